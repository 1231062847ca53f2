"""The trees of an image: a Debian base from pinned packages, Python packages from pinned wheels."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import re
import shutil
import tarfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from webui_fork import layers
from webui_fork.config import requirements_lock
from webui_fork.config.debian_lock import Deb
from webui_fork.config.image_toml import ImageSpec
from webui_fork.core import files, process
from webui_fork.core.errors import ImageError, LockError, ToolError
from webui_fork.core.files import link_or_copy, sha256_bytes, temp_folder
from webui_fork.core.settings import Settings
from webui_fork.layers import Entry, Slice
from webui_fork.sources.debian import Fetched

# State of the build, not of the base: host paths, caches, logs, what the engine mounts over.
# `#!/x/python`, or uv's form for paths that don't fit there
_SHEBANG = re.compile(rb"#!/bin/sh\n'''exec' [^\n]*\n' '''\n|#!(?!/usr/bin/env )[^\n]*python[^\n]*\n")
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
    found = [
        _unprivileged(entry)
        for entry in layers.from_tar(tar)
        if not _LEFT_OUT.fullmatch(entry.path) and not any(fnmatch(f"/{entry.path}", each) for each in spec.base.remove)
    ]
    _check_installed(found, fetched.debs)
    yield from found


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
    wanted = {(deb.name, deb.version) for deb in debs}
    if installed != wanted:
        rows = [" ".join(pair) for pair in sorted(installed ^ wanted)]
        raise ImageError("The base does not have exactly the locked packages.", why=", ".join(rows))


def requirements_input(text: bytes, spec: ImageSpec) -> str:
    """Return the digest that `requirements.lock` records of what it was derived from."""
    without = "".join(f" -{name}" for name in spec.python.without)
    head = f"{spec.python.version} {spec.machine}{without}\n".encode()
    return sha256_bytes(head + text)


def recorded_input(lock_text: str) -> str | None:
    """Return the digest that a `requirements.lock` records, or None."""
    match = re.search(r"^# input=(sha256:[0-9a-f]{64})$", lock_text, re.MULTILINE)
    return match.group(1) if match else None


def _uv() -> str:
    from uv import find_uv_bin

    return find_uv_bin()


def uv_version() -> str:
    """Return the version of uv, which is an input of what it installs."""
    from importlib.metadata import version

    return version("uv")


def _uv_env(settings: Settings, index: Mapping[str, str]) -> dict[str, str]:
    return {
        **settings.environ,
        **index,
        "UV_CACHE_DIR": str(settings.cache / "uv"),
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
    }


def _python_arguments(spec: ImageSpec) -> list[str]:
    platform = f"{spec.machine}-manylinux_2_{requirements_lock.GLIBC}"
    return ["--python-version", spec.python.version, "--python-platform", platform, "--only-binary", ":all:"]


def lock_requirements(settings: Settings, spec: ImageSpec, text: bytes, file: Path, index: Mapping[str, str]) -> str:
    """Resolve a requirements file to one wheel a distribution, by hash; keeps the versions an old lock has.

    Args:
        text: the release's requirements. file: the lock, for the versions to keep if it exists.
        index: uv's variables for the index.

    Returns:
        The new lock's text; it names no index.

    Raises:
        ToolError: they can't be resolved.
    """
    with temp_folder(settings.cache / "tmp", "lock") as work:
        (work / "requirements.txt").write_bytes(text)
        out = work / "requirements.lock"
        if file.exists():
            shutil.copyfile(file, out)
        argv = [_uv(), "pip", "compile", "--quiet", "--no-config", "--generate-hashes", "--no-header", "--no-annotate"]
        argv += ["--no-emit-index-url", "--no-emit-find-links", *_python_arguments(spec)]
        argv += [str(work / "requirements.txt"), "-o", str(out)]
        process.run(argv, env=_uv_env(settings, index), doing="lock the Python packages")
        body = out.read_text()
        exact = work / "pylock.toml"
        argv = [_uv(), "pip", "compile", "--quiet", "--no-config", "--no-deps", "--format", "pylock.toml"]
        argv += [*_python_arguments(spec), str(out), "-o", str(exact)]
        process.run(argv, env=_uv_env(settings, index), doing="choose the wheels of the Python packages")
        chosen = requirements_lock.choose(tomllib.loads(exact.read_text()), spec.python.version, spec.machine)
    head = "# The Python packages of the image. Written by `nox -s lock`, by nothing else.\n"
    body = "".join(line for line in body.splitlines(keepends=True) if not line.startswith("#"))
    for name in spec.python.without:
        body = re.sub(rf"^{re.escape(name)}==.*\n(?:    .*\n)*", "", body, flags=re.MULTILINE)
    body = requirements_lock.narrow(body, chosen)
    return f"{head}# input={requirements_input(text, spec)}\n{body}"


def check_requirements(text: str, wanted: bytes | None, spec: ImageSpec, file: Path) -> None:
    """Check that `requirements.lock` was made from the requirements that `image.toml` names, and has hashes.

    Raises:
        LockError: it was made from others, or a requirement lacks a hash.
    """
    remedy = "Run `nox -s lock` and review the change."
    if wanted is None:
        raise LockError(f"The release has no {spec.python.requirements}.", remedy="Check [python] in image.toml.")
    if recorded_input(text) != requirements_input(wanted, spec):
        raise LockError(f"{file} was not made from {spec.python.requirements}.", remedy=remedy)
    for number, line in enumerate(text.splitlines(), 1):
        if "==" in line and not line.rstrip().endswith("\\"):
            raise LockError(f"{file}:{number}: {line.split('==')[0]} has no hash.", remedy=remedy)


def python_entries(
    settings: Settings, spec: ImageSpec, lock: str, index: Mapping[str, str], work: Path
) -> Iterator[Entry]:
    """Install the locked wheels into a folder (nothing is built or executed) and yield its entries.

    Args:
        lock: the text of `requirements.lock`. index: uv's variables for the index. work: an empty folder.

    Raises:
        ToolError: uv failed: a wheel is gone, or a hash is wrong.
    """
    target, requirements = work / "site", work / "requirements.lock"
    requirements.write_text(lock, encoding="utf-8")
    argv = [_uv(), "pip", "install", "--quiet", "--no-config", "--target", str(target), "--require-hashes", "--no-deps"]
    argv += ["--no-compile-bytecode", "--link-mode", "hardlink", *_python_arguments(spec), "-r", str(requirements)]
    env = _uv_env(settings, index)
    # what the cache has needs no network, and hashes make it the same
    if process.run([*argv, "--offline"], env=env, check=False).code:
        process.run(argv, env=env, doing="install the locked Python packages")
    (target / ".lock").unlink(missing_ok=True)
    for record in sorted(target.glob("*.dist-info/RECORD")):
        _fix_scripts(target, record, spec.python.version)
    _check_scripts(target, spec.python.version)
    yield from layers.from_folder(target, spec.python.target.strip("/"))


def _fix_scripts(target: Path, record: Path, version: str) -> None:
    """Make the scripts of a distribution start the image's interpreter, not this machine's.

    uv writes this machine's interpreter into the first line, or, where its path is long or has a
    space, a few lines of shell; RECORD follows what we write.
    """
    rows = list(csv.reader(io.StringIO(record.read_text())))
    changed = False
    for row in rows:
        if (
            PurePosixPath(row[0]).parts[-2:-1] != ("bin",)
            or not (path := target / "bin" / PurePosixPath(row[0]).name).exists()
        ):
            continue
        data = path.read_bytes()
        if not (match := _SHEBANG.match(data)):
            continue
        data = f"#!/usr/bin/python{version}\n".encode() + data[match.end() :]
        path.unlink()  # a hard link into uv's cache must not be written through
        path.write_bytes(data)
        path.chmod(0o755)
        encoded = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        row[1:] = [f"sha256={encoded}", str(len(data))]
        changed = True
    if changed:
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(sorted(rows))
        record.unlink()
        record.write_text(out.getvalue())


def _check_scripts(target: Path, version: str) -> None:
    """Refuse a script that starts anything but the image's interpreter.

    Raises:
        ImageError: one names a path of this machine.
    """
    good = (f"#!/usr/bin/python{version}".encode(), b"#!/usr/bin/env ", b"#!/bin/sh\n", b"#!/bin/bash\n")
    for path in sorted((target / "bin").glob("*")):
        data = path.read_bytes()
        if data.startswith(b"#!") and not (data.startswith(good) and b"'''exec' " not in data[:200]):
            raise ImageError(
                f"The script {path.name} starts {data.splitlines()[0][:100]!r}, which is not in the image."
            )
