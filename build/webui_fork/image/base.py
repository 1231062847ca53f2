"""The Debian base of an image: a layer from pinned packages."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import msgspec

from webui_fork.config.debian_lock import Deb
from webui_fork.config.image_toml import ImageSpec
from webui_fork.config.locked_image import Packaged
from webui_fork.core import files
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image.inputs import fetch_kept
from webui_fork.image.layer_cache import LayerCache, Made
from webui_fork.rootfs import deb as deb_package
from webui_fork.rootfs import debian as debian_system
from webui_fork.rootfs.deb import Package
from webui_fork.rootfs.layers import Entry
from webui_fork.sources import debian
from webui_fork.sources.debian import Fetched

_THREADS = 2  # xz takes most of the time, and lets go of the interpreter's lock


def base(settings: Settings, packaged: Packaged, cache: LayerCache, ui: Terminal, locked: bool) -> tuple[Made, Fetched]:
    """Return the layer of the Debian base, and the packages it is made of (the locked ones, if ``locked``).

    Raises:
        SourceError, DriftError: see :mod:`webui_fork.sources.debian`. ArchiveError: a package is bad.
        ImageError: packages contradict each other.
    """
    spec = packaged.spec
    fetch_kept(settings, [deb.digest for deb in packaged.debian.debs], ui)
    fetched = debian.obtain(settings, spec, packaged.debian, ui, locked=locked)

    def make(work: Path, _held: ExitStack) -> Iterable[Entry]:
        return entries(spec, fetched, work)

    key = {
        "debs": [deb.digest for deb in fetched.debs],
        "base": msgspec.to_builtins(spec.base),
        "architecture": spec.architecture,
    }
    return cache.get("base", key, make, "Building the Debian base"), fetched


def entries(spec: ImageSpec, fetched: Fetched, work: Path) -> list[Entry]:
    """Return the files of the base of an image.

    Args:
        spec: the image.
        fetched: its packages.
        work: an empty folder, which must last until the entries are written.

    Raises:
        ArchiveError, ImageError, DigestError: see :func:`base`.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        packages = list(pool.map(partial(_package, spec.architecture, work), fetched.debs, fetched.files))
    return debian_system.entries(packages, spec.base, spec.architecture)


def _package(architecture: str, work: Path, deb: Deb, file: Path) -> Package:
    files.check(file, deb.digest)
    return deb_package.read(file, deb, architecture, work)
