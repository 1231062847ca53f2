"""What of an image comes from packages: the Debian base and the Python packages, each a layer."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from webui_fork import rootfs
from webui_fork.config.locked_image import Packaged
from webui_fork.contents import LayerCache, Made, code_digest
from webui_fork.core.files import sha256_bytes
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.layers import Entry
from webui_fork.sources import debian, programs


def base(
    settings: Settings, packaged: Packaged, cache: LayerCache, ui: Terminal, locked: bool
) -> tuple[Made, debian.Fetched]:
    """Return the layer of the Debian base, and the packages it is made of (the locked ones, if ``locked``).

    Raises:
        ToolError, SourceError, DriftError, ImageError: see :mod:`webui_fork.sources.debian` and
            :mod:`webui_fork.rootfs`.
    """
    spec = packaged.spec
    fetched = debian.obtain(settings, spec, packaged.debian, ui, locked=locked)

    def make(work: Path, _held: ExitStack) -> Iterable[Entry]:
        program = programs.find(settings, "mmdebstrap", ui)
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
        from webui_fork.sources import package_index

        where = package_index.configured(settings).uv_variables()
        return rootfs.python_entries(settings, spec, packaged.requirements, where, work)

    key = {
        "lock": sha256_bytes(packaged.requirements.encode()),
        "python": asdict(spec.python),
        "machine": spec.machine,
        "uv": rootfs.uv_version(),
        "code": code_digest("layers", "rootfs"),
    }
    return cache.get("python", key, make, "Installing the Python packages")
