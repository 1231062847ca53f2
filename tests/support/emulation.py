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
from webui_fork.core.files import exclusive
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal

FOLDER = Path("/proc/sys/fs/binfmt_misc")
OURS = FOLDER / "webui-fork-aarch64"
# an ELF file of 64 bits, little-endian, that is a program or a shared object, for the machine 0xb7
_MAGIC = rb"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = rb"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"


@contextmanager
def arm64(settings: Settings) -> Iterator[None]:
    """Have this machine, and every container on it, run programs for arm64 as long as the context lasts; as root.

    Args:
        settings: find the emulator; its cache is where runs wait for each other.
    """
    if platform.machine() == MACHINES["arm64"]:
        yield
        return
    with exclusive(settings.cache / "binfmt.lock", "programs for arm64", print):
        mounted = (FOLDER / "register").exists()
        if not mounted:
            subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", FOLDER], check=True)
        _forget()  # of a run that was killed
        try:
            if not _somebody_does():
                emulator = tools.find(settings, "qemu-aarch64", Terminal())
                # F: the kernel opens it now, so that it need not be in a container
                row = b":%s:M::%s:%s:%s:F" % (OURS.name.encode(), _MAGIC, _MASK, str(emulator).encode())
                (FOLDER / "register").write_bytes(row)
            yield
        finally:
            _forget()
            if not mounted:
                subprocess.run(["umount", FOLDER], check=True)


def _forget() -> None:
    if OURS.exists():
        OURS.write_bytes(b"-1")


def _somebody_does() -> bool:
    """Tell whether an emulator of somebody else's runs them, in containers, too."""
    rows = [set(file.read_text().splitlines()) for file in FOLDER.glob("*aarch64*")]
    return any("enabled" in row and any(line.startswith("flags:") and "F" in line for line in row) for row in rows)
