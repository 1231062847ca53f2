"""The packages that a checkout locks for its main image, held against those of another checkout."""

from __future__ import annotations

from pathlib import Path

from webui_fork.config import debian_lock, requirements_lock
from webui_fork.core.settings import Settings
from webui_fork.image.inputs import IMAGE
from webui_fork.sources import interface
from webui_fork.sources.interface import Difference


def differences(old: Settings, new: Settings) -> tuple[Difference, ...]:
    """Return which packages two checkouts lock otherwise for the main image, of any flavour and architecture.

    Raises:
        LockError: a lock is odd.
    """
    return interface.compared(_packages(old.root / "images" / IMAGE), _packages(new.root / "images" / IMAGE))


def _packages(folder: Path) -> interface.Rows:
    rows: interface.Rows = {}
    for file in folder.glob("*requirements.lock"):
        for name, version in requirements_lock.packages(file.read_text(encoding="utf-8")):
            rows.setdefault(("wheel", name), set()).add(version)
    for file in folder.glob("*debian.lock"):
        for deb in debian_lock.read(file).debs:
            rows.setdefault(("Debian package", deb.name), set()).add(deb.version)
    return rows
