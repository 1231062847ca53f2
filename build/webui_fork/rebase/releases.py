"""Releases of upstream, as a rebase and the backtest see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from git import Repo


@dataclass(frozen=True, slots=True)
class Releases:
    """The two ends of a rebase: release commits, and epoch and version of the new one."""

    repo: Repo
    old: str
    new: str
    epoch: int
    version: str


@dataclass(frozen=True, slots=True)
class Release:
    """A release at hand: its version, commit and time (seconds since 1970)."""

    version: str
    commit: str
    epoch: int
