"""An image's description together with the locks beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from webui_fork.config import debian_lock
from webui_fork.config.image_toml import ImageSpec
from webui_fork.core.errors import LockError


@dataclass(frozen=True, slots=True)
class Packaged:
    """An image's description, and the locks beside it."""

    spec: ImageSpec
    requirements: str
    debian: debian_lock.DebianLock

    @property
    def requirements_file(self) -> Path:
        """Where the lock of the Python packages is."""
        return self.spec.lock("requirements")


def read(spec: ImageSpec) -> Packaged:
    """Read the locks of an image.

    Raises:
        LockError: one is missing or odd, or was made for other packages.
    """
    packages_file = spec.lock("debian")
    packages = debian_lock.read(packages_file)
    debian_lock.check_input(packages, spec, packages_file)
    if spec.wheels is None:
        return Packaged(spec, "", packages)
    file = spec.lock("requirements")
    try:
        requirements = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"{file} can't be read.", why=str(error), remedy="Run `nox -s lock`.") from None
    return Packaged(spec, requirements, packages)
