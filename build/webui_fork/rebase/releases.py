"""Ends of upstream, as a rebase and the backtest see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from webui_fork.core.errors import UsageError
from webui_fork.core.git import Repo
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.sources import package_index, release

if TYPE_CHECKING:
    from packaging.version import Version


@dataclass(frozen=True, slots=True)
class Ends:
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


def of_range(settings: Settings, ui: Terminal, first: str, last: str | None) -> list[Release]:
    """Have the stable releases of a range in the local repository, oldest first; downloads what is missing."""
    low, high = version(first), version(last) if last else None
    where = package_index.configured(settings)
    listed, _ = package_index.listing(where, package_index.session(where))
    in_range = [one for one in listed if low <= version(one.version) and (high is None or version(one.version) <= high)]
    if len(in_range) < 2:
        raise UsageError(
            f"The index has fewer than two stable releases from {first} on.", remedy="Try an older --from."
        )
    locks = [one.lock for one in in_range]
    with ui.step("releases", f"Preparing {len(locks)} releases"):
        return [Release(one.version, release.release_commit(settings, one, ui), one.epoch) for one in locks]


def named(settings: Settings, ui: Terminal, versions: Sequence[str]) -> list[Release]:
    """Have releases in the local repository, in the order in which they are named.

    Raises:
        LockError: the index has no such release. SourceError: it can't be had.
    """
    where = package_index.configured(settings)
    listed, _ = package_index.listing(where, package_index.session(where))
    locks = [package_index.pick(listed, one).lock for one in versions]
    return [Release(one.version, release.release_commit(settings, one, ui), one.epoch) for one in locks]


def version(text: str) -> Version:
    """Parse a version.

    Raises:
        UsageError: it is none.
    """
    from packaging.version import InvalidVersion, Version

    try:
        return Version(text)
    except InvalidVersion:
        raise UsageError(f"{text!r} is not a version.", remedy="As in --from 0.9.0") from None
