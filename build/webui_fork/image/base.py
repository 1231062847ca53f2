"""The Debian base of an image: a tree from pinned packages, as a layer."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import msgspec

from webui_fork.config.debian_lock import Deb
from webui_fork.config.image_toml import ImageSpec
from webui_fork.config.locked_image import Packaged
from webui_fork.core import files, process
from webui_fork.core.errors import ImageError, ToolError
from webui_fork.core.files import link_or_copy, sha256_bytes
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import layers
from webui_fork.image.inputs import fetch_kept
from webui_fork.image.layer_cache import LayerCache, Made
from webui_fork.image.layers import Entry, Slice
from webui_fork.sources import debian, programs
from webui_fork.sources.debian import Fetched

# State of the build, not of the base: host paths, caches, logs, what the engine mounts over.
_LEFT_OUT = re.compile(
    r"(dev|proc|sys|run|tmp|var/tmp|var/log|var/cache|var/lib/apt|etc/apt|var/lib/systemd)/.+"
    r"|etc/(machine-id|hostname|resolv\.conf|hosts|\.pwd\.lock|dpkg/dpkg\.cfg\.d/.*)"
    r"|var/lib/dpkg/(lock.*|triggers/Lock|.*-old|parts/.*)"
)


def base_entries(
    settings: Settings, spec: ImageSpec, fetched: Fetched, mmdebstrap: Path, work: Path, epoch: int
) -> Iterator[Entry]:
    """Build the base with mmdebstrap from exactly these packages, offline, and yield its entries.

    Args:
        fetched: the packages. mmdebstrap: the program. work: an empty folder for the time being.
        epoch: SOURCE_DATE_EPOCH.

    Raises:
        ToolError: mmdebstrap failed. ImageError: the base has other packages than it should.
    """
    repository = _local_repository(settings, fetched, work, spec.base.suite)
    tar = work / "base.tar"
    passwd = f"{spec.base.user}:x:{spec.base.uid}:0::/tmp:/usr/sbin/nologin"
    usr = " ".join(
        f"usr/{name}" for name in ("bin", "sbin", "lib", *(["lib64"] if spec.architecture == "amd64" else []))
    )
    argv: list[str | Path] = [
        mmdebstrap,
        "--quiet",
        "--variant=essential",
        f"--architectures={spec.architecture}",
        f"--include={','.join(spec.base.include)}",
        "--aptopt=APT::Sandbox::User root",
        '--aptopt=Acquire::Languages "none"',
        *(f"--dpkgopt=path-exclude={path}" for path in spec.base.exclude),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        # merged /usr from the start (what mmdebstrap's own merged-usr hook does, wherever that is installed)
        f'--setup-hook=cd "$1" && mkdir -p {usr} && ln -s {usr} .',
        f'--customize-hook=echo {passwd} >> "$1/etc/passwd"',
        spec.base.suite,
        tar,
        f"deb [trusted=yes] copy:{repository} ./",
    ]
    env = {
        "PATH": settings.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin",
        "SOURCE_DATE_EPOCH": str(epoch),
        "LC_ALL": "C.UTF-8",
        "TMPDIR": str(work),
        "HOME": str(work),
        "DEBIAN_FRONTEND": "noninteractive",
    }
    try:
        process.run(argv, env=env, doing="build the Debian base", build=True)
    except ToolError as error:
        if os.geteuid() == 0:
            raise
        remedy = "Run this as root (in a container, say), or set up user namespaces for mmdebstrap (package uidmap)."
        raise ToolError(error.what, why=error.why, remedy=remedy) from error
    entries = [
        _unprivileged(entry)
        for entry in layers.from_tar(tar)
        if not _LEFT_OUT.fullmatch(entry.path) and not any(fnmatch(f"/{entry.path}", each) for each in spec.base.remove)
    ]
    _check_installed(entries, fetched.debs)
    yield from entries


def _unprivileged(entry: Entry) -> Entry:
    """Take set-uid and set-gid off a program: nobody in a container of ours becomes somebody else."""
    return replace(entry, mode=entry.mode & 0o1777) if entry.kind == tarfile.REGTYPE else entry


def _local_repository(settings: Settings, fetched: Fetched, work: Path, suite: str) -> Path:
    """Lay out a flat apt repository of the packages; each was checked against the lock before."""
    folder = work / "repository"
    stanzas = []
    for deb, file in zip(fetched.debs, fetched.files, strict=True):
        name = f"{deb.name}.deb"
        files.check(file, deb.sha256)
        link_or_copy(file, folder / name)
        control = process.run(["dpkg-deb", "-f", str(folder / name)], env=settings.environ).stdout.rstrip()
        stanzas.append(f"{control}\nFilename: ./{name}\nSize: {deb.size}\nSHA256: {deb.sha256}\n")
    packages = "\n".join(stanzas).encode()
    (folder / "Packages").write_bytes(packages)
    digest = sha256_bytes(packages).removeprefix("sha256:")
    release = f"Suite: {suite}\nCodename: {suite}\nSHA256:\n {digest} {len(packages)} Packages\n"
    (folder / "Release").write_text(release)
    return folder


def _check_installed(entries: list[Entry], debs: tuple[Deb, ...]) -> None:
    status = next((entry for entry in entries if entry.path == "var/lib/dpkg/status"), None)
    if status is None or not isinstance(status.content, Slice):
        raise ImageError("The base has no package database.")
    with status.content.file.open("rb") as file:
        file.seek(status.content.offset)
        text = file.read(status.content.size).decode()
    installed = set(re.findall(r"^Package: (.+)\n(?:.+\n)*?Version: (.+)$", text, re.MULTILINE))
    locked = {(deb.name, deb.version) for deb in debs}
    if installed != locked:
        rows = [" ".join(pair) for pair in sorted(installed ^ locked)]
        raise ImageError("The base does not have exactly the locked packages.", why=", ".join(rows))


def base(
    settings: Settings, packaged: Packaged, cache: LayerCache, ui: Terminal, locked: bool
) -> tuple[Made, debian.Fetched]:
    """Return the layer of the Debian base, and the packages it is made of (the locked ones, if ``locked``).

    Raises:
        ToolError, SourceError, DriftError, ImageError: see :mod:`webui_fork.sources.debian` and
            :mod:`webui_fork.image.base`.
    """
    spec = packaged.spec
    fetch_kept(settings, [deb.sha256 for deb in packaged.debian.debs], ui)
    fetched = debian.obtain(settings, spec, packaged.debian, ui, locked=locked)

    def make(work: Path, _held: ExitStack) -> Iterable[Entry]:
        program = programs.find(settings, "mmdebstrap", ui)
        return base_entries(settings, spec, fetched, program, work, cache.epoch)

    key = {
        "debs": [deb.sha256 for deb in fetched.debs],
        "base": msgspec.to_builtins(spec.base),
        "architecture": spec.architecture,
    }
    return cache.get("base", key, make, "Building the Debian base"), fetched
