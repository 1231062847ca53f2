"""The base as mmdebstrap makes it: every maintainer script is run. What ours is held against."""

from __future__ import annotations

import tarfile
from pathlib import Path

import tools
from webui_fork.config.image_tables import Base
from webui_fork.core import process
from webui_fork.core.files import link_or_copy, sha256_bytes
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.sources.debian import Fetched


def build(settings: Settings, base: Base, architecture: str, fetched: Fetched, work: Path, ui: Terminal) -> Path:
    """Build a base from exactly these packages, offline; return its tar.

    Args:
        settings: of the run.
        base: what image.toml says of it.
        architecture: Debian's word.
        fetched: the packages.
        work: an empty folder.
        ui: says what is fetched.
    """
    merged = " ".join(f"usr/{name}" for name in ("bin", "sbin", "lib", "lib64"))
    argv: list[str | Path] = [
        tools.find(settings, "mmdebstrap", ui),
        "--quiet",
        "--variant=essential",
        f"--architectures={architecture}",
        f"--include={','.join(base.include)}",
        "--aptopt=APT::Sandbox::User root",
        '--aptopt=Acquire::Languages "none"',
        "--dpkgopt=force-unsafe-io",  # a reference for a minute need not survive a power cut
        *(f"--dpkgopt=path-exclude={path}" for path in base.exclude),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        f'--setup-hook=cd "$1" && mkdir -p {merged} && ln -s {merged} .',
        f'--customize-hook=echo {base.user}:x:{base.uid}:0::/tmp:/usr/sbin/nologin >> "$1/etc/passwd"',
        base.suite,
        work / "base.tar",
        f"deb [trusted=yes] copy:{_repository(settings, fetched, work, base.suite)} ./",
    ]
    # nothing of the caller's: Python's variables would move what maintainer scripts compile
    env = {"PATH": settings.environ["PATH"], "TMPDIR": str(work), "LC_ALL": "C.UTF-8"}
    env |= {"SOURCE_DATE_EPOCH": "1700000000", "DEBIAN_FRONTEND": "noninteractive"}
    process.run(argv, env=env, doing="build the Debian base", build=True)
    return work / "base.tar"


def _repository(settings: Settings, fetched: Fetched, work: Path, suite: str) -> Path:
    folder = work / "repository"
    stanzas = []
    for deb, file in zip(fetched.debs, fetched.files, strict=True):
        link_or_copy(file, folder / f"{deb.name}.deb")
        control = process.run(["dpkg-deb", "-f", str(folder / f"{deb.name}.deb")], env=settings.environ).stdout.rstrip()
        stanzas.append(f"{control}\nFilename: ./{deb.name}.deb\nSize: {deb.size}\nSHA256: {deb.digest.hex}\n")
    listing = "\n".join(stanzas).encode()
    (folder / "Packages").write_bytes(listing)
    digest = sha256_bytes(listing).removeprefix("sha256:")
    (folder / "Release").write_text(f"Suite: {suite}\nCodename: {suite}\nSHA256:\n {digest} {len(listing)} Packages\n")
    return folder


Row = tuple[bytes, int, int, int, str, bytes]  # type, mode, owner, group, link, content


def rows(tar_file: Path) -> dict[str, Row]:
    """Return what a tar holds, by path; a hard link is the file that it links to."""
    files: dict[str, Row] = {}
    with tarfile.open(tar_file) as tar:
        for info in tar:
            path = info.name.removeprefix("./").strip("/")
            if info.islnk():
                files[path] = files[info.linkname.removeprefix("./")]
            elif path not in ("", "."):
                file = tar.extractfile(info) if info.isreg() else None
                files[path] = (info.type, info.mode, info.uid, info.gid, info.linkname, file.read() if file else b"")
    return files
