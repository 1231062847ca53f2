"""Programs of another architecture, run by the kernel through qemu's user mode.

Source: the kernel's admin-guide, binfmt-misc.
"""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tools
from webui_fork.config.image_toml import MACHINES
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal

FOLDER = Path("/proc/sys/fs/binfmt_misc")
NAME = "webui-fork-aarch64"
# an ELF file of 64 bits, little-endian, that is a program or a shared object, for the machine 0xb7
_MAGIC = rb"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = rb"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"


@contextmanager
def arm64(settings: Settings) -> Iterator[None]:
    """Have this machine, and every container on it, run programs for arm64 as long as the context lasts; as root.

    Args:
        settings: find the emulator.
    """
    if platform.machine() == MACHINES["arm64"] or _registered():
        yield
        return
    emulator = tools.find(settings, "qemu-aarch64", Terminal())
    if not (FOLDER / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", FOLDER], check=True)
    # F: the kernel opens it now, so that it need not be in a container
    row = b":%s:M::%s:%s:%s:F" % (NAME.encode(), _MAGIC, _MASK, str(emulator).encode())
    (FOLDER / "register").write_bytes(row)
    try:
        yield
    finally:
        (FOLDER / NAME).write_bytes(b"-1")


def _registered() -> bool:
    """Tell whether somebody's emulator does it already."""
    return any("magic 7f454c46" in file.read_text() and "b700" in file.read_text() for file in FOLDER.glob("*aarch64*"))
