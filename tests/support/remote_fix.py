"""A line of a small release, and a git remote whose last commit fixes something in a later one."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from helpers import RELEASE
from webui_fork.config import upstream_lock
from webui_fork.config.upstream_lock import Lock, PinnedFile
from webui_fork.core import git
from webui_fork.core.settings import Settings
from webui_fork.image import inputs
from webui_fork.series import worktree
from webui_fork.sources import archive, release

CODE = "backend/open_webui/routers/scim.py"
GRANTS = "backend/open_webui/grants.py"
EMPTY = "class Grants:\n    pass\n"
OLDER = """\
import logging

from fastapi import HTTPException
from open_webui.grants import Grants

log = logging.getLogger()
ROLE = 1


async def delete_user(user):
    if not user:
        raise HTTPException(404)

    await Users.delete(user)
"""
LATER = OLDER.replace("await Users.delete(user)", "success = await Auths.delete(user)\n    return success")
FIXED = LATER.replace("    success", "    if user.role == ROLE:\n        raise HTTPException(403)\n\n    success")


@dataclass(frozen=True)
class World:
    """The checkout's settings, and a git remote."""

    settings: Settings
    remote: Path

    def put(self, path: str, text: str | None) -> None:
        """Write a file of the remote, or take it away."""
        file = self.remote / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            file.unlink()
        else:
            file.write_text(text)

    def fix(self, message: str) -> str:
        """Commit what was put; return the words that name the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", message)
        return self.last()

    def last(self) -> str:
        """Return the words that name the last commit."""
        return f"file://{self.remote}#{self.git('rev-parse', 'HEAD')}"

    def git(self, *arguments: str) -> str:
        """Run git in the remote."""
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        argv = ["git", "-C", str(self.remote), *who, *arguments]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def make(settings: Settings, folder: Path) -> World:
    """Make a line of a checkout, and a remote beside it."""
    line = settings.on_line("1.2")
    sdist, wheel = (PinnedFile(f"open_webui-1.2.3{end}", 1, "0" * 64) for end in (".tar.gz", "-py3-none-any.whl"))
    lock = Lock("1.2.3", datetime(2026, 1, 2, tzinfo=UTC), sdist, wheel, None, ())
    line.patches.mkdir(parents=True)
    (line.root / "images" / inputs.IMAGE).mkdir(parents=True)
    worktree.write_order(line, ())
    upstream_lock.write(line.lock_file, replace(lock, inputs=inputs.lock_inputs(line)))
    files = {**RELEASE, CODE: OLDER.encode(), GRANTS: EMPTY.encode()}
    members = [archive.Member(path, data) for path, data in sorted(files.items())]
    ref = f"refs/releases/1.2.3/{lock.sdist.sha256}"
    release._import(git.repository(line), members, ref, "Open WebUI 1.2.3\n", lock.epoch)
    world = World(settings, folder / "remote")
    world.remote.mkdir()
    world.git("init", "--quiet")
    world.put(CODE, LATER)
    world.put(GRANTS, EMPTY)
    world.fix("release")
    return world
