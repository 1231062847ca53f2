"""`policy.toml`: which releases of upstream a rebase goes to by itself. Without it, that is the newest."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta
from packaging.version import Version

from webui_fork.config import toml
from webui_fork.config.toml import Table, form
from webui_fork.core.errors import LockError

FILE = "policy.toml"
REMEDY = "docs/rebase.md describes every key."


class Skip(Table, frozen=True, kw_only=True):
    """A release that is left out, and why."""

    version: Annotated[str, form(r"\d+(\.\d+){1,3}")]
    reason: Annotated[str, form(r"[^\s\x00-\x1f][^\x00-\x1f]*")]


class PolicyDocument(Table, frozen=True, kw_only=True):
    """Which releases a rebase goes to by itself.

    ``days``: how old one must be, unless it fixes a vulnerability; ``only``: which part of the version may grow.
    """

    days: Annotated[int, Meta(ge=0, le=365)] = 0
    only: Literal["any", "minor", "patch"] = "any"
    skip: tuple[Skip, ...] = ()

    def refusal(self, pinned: str, version: str) -> str:
        """Return why a release is never gone to, or "".

        Args:
            pinned: the version that is pinned.
            version: the release's.
        """
        for row in self.skip:
            if Version(row.version) == Version(version):
                return f"{FILE} skips it: {row.reason}"
        same = {"any": 0, "minor": 1, "patch": 2}[self.only]
        old, new = (Version(one).release[:same] for one in (pinned, version))
        return f"{FILE} takes {self.only} releases only" if old != new else ""

    def wait(self, age: timedelta) -> str:
        """Return why a release has to wait, or "".

        Args:
            age: since it was published.
        """
        left = timedelta(days=self.days) - age
        return f"it is {max(age.days, 0)} days old, and {FILE} waits for {self.days}" if left > timedelta() else ""


def read(root: Path) -> PolicyDocument:
    """Read the policy of a checkout; where it has none, every release is gone to.

    Args:
        root: of the checkout.

    Raises:
        LockError: the file is odd; the message has the file, the line and the remedy.
    """
    file = root / FILE
    return toml.read(file, PolicyDocument, LockError, REMEDY) if file.exists() else PolicyDocument()
