"""Lines: older releases that one checkout keeps alive beside its own, each with a lock, a series and images.

A line is a folder `lines/0.11/` with the parts of a checkout that describe a build: `upstream.lock`, `patches/` and
`images/open-webui/`. All else, the proofs too, is the checkout's.
"""

from __future__ import annotations

import shutil
from dataclasses import replace

from webui_fork.config import upstream_lock
from webui_fork.core.errors import UsageError
from webui_fork.core.files import ensure_folder, temp_folder
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import refresh_locks
from webui_fork.image.inputs import IMAGE
from webui_fork.series import worktree


def name_of(version: str) -> str:
    """Return the line of a release: 0.11 of 0.11.4.

    Raises:
        UsageError: it is no release's version.
    """
    parts = version.split(".")
    if not 2 <= len(parts) <= 4 or not all(part.isdecimal() and len(part) < 7 for part in parts):
        raise UsageError(f"{version!r} is not a release.", remedy="As in --onto 0.11.4")
    return ".".join(parts[:2])


def at(settings: Settings, version: str) -> Settings:
    """Return the settings of a release's line, which need not exist.

    Raises:
        UsageError: the line is at another release. LockError: its lock can't be read.
    """
    name = name_of(version)
    line = settings.on_line(name)
    pinned = upstream_lock.read(line.lock_file).version if line.lock_file.exists() else version
    if pinned != version:
        raise UsageError(
            f"lines/{name} is at {pinned}, not {version}.",
            remedy=f"Use --onto {pinned}, or move it: nox -s lock -- --line {name} --release {version}",
        )
    return line


def begin(settings: Settings, line: Settings, ui: Terminal, version: str) -> None:
    """Make a line, whole or not at all, with the checkout's images.

    Args:
        settings: of the checkout. line: of the line. ui: says what is done. version: the line's release.

    Raises:
        LockError, SourceError, ToolError: the release can't be locked.
    """
    ui.say(f"Creating lines/{line.line} with the images of this checkout and the locks of {version}.")
    with temp_folder(settings.out / "tmp", "line-") as work:
        part = replace(line, root=work / line.line)
        of_a_release = shutil.ignore_patterns("overrides.toml")
        shutil.copytree(settings.root / "images" / IMAGE, part.root / "images" / IMAGE, ignore=of_a_release)
        ensure_folder(part.patches)
        worktree.write_order(part, ())
        refresh_locks.refresh(part, ui, version)
        # what was never published is its first revision
        upstream_lock.write(part.lock_file, replace(upstream_lock.read(part.lock_file), revision=1))
        ensure_folder(line.root.parent)
        shutil.move(part.root, line.root)
