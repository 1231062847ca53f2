"""The patchset revision: what is built from a release and a changed series or lock gets a number of its own.

A published tag never moves, so what changes an image takes the next one. docs/adr/0007-patchset-revision.md
"""

from __future__ import annotations

from dataclasses import replace

from webui_fork.config import upstream_lock
from webui_fork.config.upstream_lock import Lock
from webui_fork.core import git
from webui_fork.core.errors import LockError
from webui_fork.core.settings import Settings
from webui_fork.image import inputs as image_inputs


def committed(settings: Settings) -> Lock | None:
    """Return the lock of the checkout's last commit, or None where there is none that can be read."""
    done = git.in_checkout(settings, "show", "HEAD:./upstream.lock", check=False)
    try:
        return upstream_lock.parse(done.stdout) if done.code == 0 else None
    except LockError:
        return None


def following(pinned: Lock, before: Lock | None, inputs: tuple[tuple[str, str], ...]) -> Lock:
    """Return the lock with these inputs, and the revision that belongs to them.

    Args:
        pinned: the lock at hand. before: the committed one: many edits between two commits are one revision.
        inputs: what the other locks and the series are now.
    """
    last = before or pinned
    grown = max(pinned.revision, last.revision + (last.inputs != inputs))
    return replace(pinned, inputs=inputs, revision=grown if last.version == pinned.version else 1)


def record(settings: Settings, pinned: Lock) -> bool:
    """Write `upstream.lock` with the digests of today's other locks and series; return whether a byte changed.

    Raises:
        SeriesError: the series can't be read. CacheError: the file can't be written.
    """
    settled = following(pinned, committed(settings), image_inputs.lock_inputs(settings))
    return upstream_lock.write(settings.lock_file, settled)
