"""What of an image comes from packages: the Debian base and the Python packages, each a layer."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from webui_fork import debian, rootfs, tools
from webui_fork.contents import LayerCache, Made, code_digest
from webui_fork.core.errors import LockError
from webui_fork.core.files import sha256_bytes
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import ImageSpec
from webui_fork.layers import Entry


@dataclass(frozen=True, slots=True)
class Packaged:
    """An image's description, and the locks beside it."""

    spec: ImageSpec
    requirements: str
    debian: debian.DebianLock

    @property
    def requirements_file(self) -> Path:
        """Where the lock of the Python packages is."""
        return self.spec.folder / "requirements.lock"


def read(spec: ImageSpec) -> Packaged:
    """Read the locks of an image.

    Raises:
        LockError: one is missing or odd, or was made for other packages.
    """
    packaged = spec.folder / "debian.lock"
    debian_lock = debian.read(packaged)
    debian.check_input(debian_lock, spec, packaged)
    if spec.wheels is None:
        return Packaged(spec, "", debian_lock)
    file = spec.folder / "requirements.lock"
    try:
        requirements = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"{file} can't be read.", why=str(error), remedy="Run `nox -s lock`.") from None
    return Packaged(spec, requirements, debian_lock)


def base(
    settings: Settings, packaged: Packaged, cache: LayerCache, ui: Terminal, locked: bool
) -> tuple[Made, debian.Fetched]:
    """Return the layer of the Debian base, and the packages it is made of (the locked ones, if ``locked``).

    Raises:
        ToolError, SourceError, DriftError, ImageError: see :mod:`webui_fork.debian` and :mod:`webui_fork.rootfs`.
    """
    spec = packaged.spec
    fetched = debian.obtain(settings, spec, packaged.debian, ui, locked=locked)

    def make(work: Path, _held: ExitStack) -> Iterable[Entry]:
        program = tools.find(settings, "mmdebstrap", ui)
        return rootfs.base_entries(settings, spec, fetched, program, work, cache.epoch)

    key = {
        "debs": [deb.sha256 for deb in fetched.debs],
        "base": asdict(spec.base),
        "architecture": spec.architecture,
        "code": code_digest("layers", "rootfs", "process"),
    }
    return cache.get("base", key, make, "Building the Debian base"), fetched


def python(settings: Settings, packaged: Packaged, cache: LayerCache) -> Made:
    """Return the layer of the Python packages.

    Raises:
        ToolError: uv can't install them.
    """
    spec = packaged.spec

    def make(work: Path, _held: ExitStack) -> Iterable[Entry]:
        from webui_fork import index

        where = index.configured(settings).uv_variables()
        return rootfs.python_entries(settings, spec, packaged.requirements, where, work)

    key = {
        "lock": sha256_bytes(packaged.requirements.encode()),
        "python": asdict(spec.python),
        "machine": spec.machine,
        "uv": rootfs.uv_version(),
        "code": code_digest("layers", "rootfs"),
    }
    return cache.get("python", key, make, "Installing the Python packages")
