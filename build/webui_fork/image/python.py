"""The Python packages of an image: their lock, and their layer."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path, PurePosixPath

import msgspec
from packaging.requirements import InvalidRequirement, Requirement

from webui_fork.config import overrides, requirements_lock
from webui_fork.config.image_toml import ImageSpec
from webui_fork.config.locked_image import Packaged
from webui_fork.core import process
from webui_fork.core.errors import ImageError, LockError, ToolError
from webui_fork.core.files import ensure_folder, sha256_bytes, temp_folder
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image.inputs import fetch_kept
from webui_fork.image.layer_cache import LayerCache, Made
from webui_fork.rootfs import layers
from webui_fork.rootfs.layers import Entry
from webui_fork.sources import built_wheels, uv, wheels

_CPU_INDEX = (
    "PyTorch's build for CPUs is not on the default package index: name PyTorch's own index for CPUs in "
    "PIP_EXTRA_INDEX_URL, or a folder that has the wheel in PIP_FIND_LINKS (docs/image.md#flavours)."
)
# `#!/x/python`, or uv's form for paths that don't fit there
_SHEBANG = re.compile(rb"#!/bin/sh\n'''exec' [^\n]*\n' '''\n|#!(?!/usr/bin/env )[^\n]*python[^\n]*\n")


def python(settings: Settings, packaged: Packaged, cache: LayerCache, ui: Terminal) -> Made:
    """Return the layer of the Python packages.

    Raises:
        ToolError: uv can't install them.
    """
    spec = packaged.spec

    def make(work: Path, _held: ExitStack) -> Iterable[Entry]:
        from webui_fork.sources import package_index

        make_wheels(settings, spec, work / "built", ui)
        where = package_index.configured(settings).uv_variables(work / "built")
        return python_entries(settings, spec, packaged.requirements, where, work, ui)

    key = {
        "lock": sha256_bytes(packaged.requirements.encode()),
        "python": msgspec.to_builtins(spec.python),
        "machine": spec.machine,
        "uv": uv.version(),
    }
    return cache.get("python", key, make, "Installing the Python packages")


def make_wheels(settings: Settings, spec: ImageSpec, folder: Path, ui: Terminal) -> None:
    """Have the wheels of an image that no index has, in a folder and in the cache.

    Raises:
        SourceError, DigestError, ArchiveError: see :func:`webui_fork.sources.built_wheels.obtain`.
    """
    fetch_kept(settings, [source.digest for source in spec.python.sources], ui)
    built_wheels.obtain(settings, spec.python.sources, ensure_folder(folder), ui)


def requirements_input(text: bytes, spec: ImageSpec) -> str:
    """Return the digest that `requirements.lock` records of what it was derived from."""
    changes = [f" +{name}" for name in spec.python.additions] + [f" -{name}" for name in spec.python.without]
    changes += [f" {one.pin}" for one in spec.overrides] + [f" {one.sha256}" for one in spec.python.sources]
    head = f"{spec.python.version} {spec.machine}{''.join(changes)}\n".encode()
    return sha256_bytes(head + text)


def recorded_input(lock_text: str) -> str | None:
    """Return the digest that a `requirements.lock` records, or None."""
    match = re.search(r"^# input=(sha256:[0-9a-f]{64})$", lock_text, re.MULTILINE)
    return match.group(1) if match else None


def _python_arguments(spec: ImageSpec) -> list[str]:
    platform = f"{spec.machine}-manylinux_2_{requirements_lock.GLIBC}"
    return ["--python-version", spec.python.version, "--python-platform", platform, "--only-binary", ":all:"]


def lock_requirements(
    settings: Settings,
    spec: ImageSpec,
    text: bytes,
    old: str,
    ui: Terminal,
    upgrade: Iterable[str] = (),
    alike: str = "",
) -> tuple[str, tuple[str, ...]]:
    """Resolve a requirements file to one wheel a distribution, by hash; keeps the versions an old lock has.

    Args:
        settings: have the index.
        spec: the image, with its overrides.
        text: the release's requirements.
        old: the text of the old lock, "" if there is none.
        ui: says what is downloaded.
        upgrade: names of distributions to move to the newest version that the requirements admit.
        alike: the text of another architecture's new lock, whose versions are kept rather than those of the old one.

    Returns:
        The new lock's text, which names no index; a line for each override that is not needed, and was left out.

    Raises:
        LockError: they have a line that is more than a name and versions. ToolError: they can't be resolved.
    """
    _refuse_options(text.decode("utf-8", "replace"), spec)
    doing, needless = "lock the Python packages", tuple[str, ...]()
    with temp_folder(settings.cache / "tmp", "lock") as work:
        additions = "".join(f"{name}\n" for name in spec.python.additions)
        (work / "requirements.txt").write_bytes(text + b"\n" + additions.encode())
        arguments: list[str | Path] = [work / "requirements.txt", *_python_arguments(spec)]
        make_wheels(settings, spec, work / "built", ui)
        resolve = partial(uv.resolve, settings, folders=[work / "built"])
        if spec.overrides:
            plain = resolve(arguments, work / "plain.lock", doing=doing)
            needed, needless = overrides.split(spec.overrides, requirements_lock.versions(plain))
            rows = overrides.constraints(needed, text.decode("utf-8", "replace"))
            (work / "overrides.txt").write_text(rows, encoding="utf-8")
            arguments += ["--overrides", work / "overrides.txt"]
        out = work / "requirements.lock"
        out.write_text(requirements_lock.preferences(alike, old) if alike else old, encoding="utf-8")
        # of a version that stays uv keeps the hash, too; a wheel that is made here may have another since
        for name in (*upgrade, *(source.name for source in spec.python.sources)):
            arguments += ["--upgrade-package", name]
        body = resolve([*arguments, "--generate-hashes"], out, doing=doing)
        (work / "exactly.txt").write_text(requirements_lock.exactly(out.read_text(encoding="utf-8")), encoding="utf-8")
        exact: list[str | Path] = [
            work / "exactly.txt",
            *_python_arguments(spec),
            "--no-deps",
            "--format",
            "pylock.toml",
        ]
        pylock = resolve(exact, work / "pylock.toml", doing="choose the wheels of the Python packages")
        chosen = requirements_lock.choose(tomllib.loads(pylock), spec.python.version, spec.machine)
    head = "# The Python packages of the image. Written by `nox -s lock`, by nothing else.\n"
    body = requirements_lock.narrow(_without(body, spec.python.without), chosen)
    return f"{head}# input={requirements_input(text, spec)}\n{body}", needless


def _without(lock: str, names: Iterable[str]) -> str:
    """Return a lock without its comments, and without some distributions."""
    lock = "".join(line for line in lock.splitlines(keepends=True) if not line.startswith("#"))
    for name in names:
        lock = re.sub(rf"^{re.escape(name)}==.*\n(?:    .*\n)*", "", lock, flags=re.MULTILINE)
    return lock


def _refuse_options(text: str, spec: ImageSpec) -> None:
    """Refuse lines with which a release would name an index, a file, a URL or a variable, or have its code run.

    Source: pip's requirements file format.

    Raises:
        LockError: there is one.
    """
    for number, line in enumerate(text.splitlines(), 1):
        requirement = re.sub(r"(^|\s)#.*", "", line).strip()
        try:
            odd = requirement and ("$" in requirement or Requirement(requirement).url)
        except InvalidRequirement:
            odd = requirement
        if odd:
            raise LockError(
                f"{spec.python.requirements}:{number} is more than a distribution and its versions.",
                why=line.strip()[:200],
                remedy="Nothing was locked. Look at what the release wants with it, and report it.",
            )


def check_requirements(text: str, expected: bytes | None, spec: ImageSpec, file: Path) -> None:
    """Check that `requirements.lock` was made from the requirements that `image.toml` names, and has hashes.

    Raises:
        LockError: it was made from others, or a requirement lacks a hash.
    """
    remedy = "Run `nox -s lock` and review the change."
    if expected is None:
        raise LockError(f"The release has no {spec.python.requirements}.", remedy="Check [python] in image.toml.")
    if recorded_input(text) != requirements_input(expected, spec):
        raise LockError(f"{file} was not made from {spec.python.requirements}.", remedy=remedy)
    for number, line in enumerate(text.splitlines(), 1):
        if "==" in line and not line.rstrip().endswith("\\"):
            raise LockError(f"{file}:{number}: {line.split('==')[0]} has no hash.", remedy=remedy)


def python_entries(
    settings: Settings, spec: ImageSpec, lock: str, index: Mapping[str, str], work: Path, ui: Terminal
) -> Iterator[Entry]:
    """Install the locked wheels into a folder (nothing is built or executed) and yield its entries.

    Args:
        lock: the text of `requirements.lock`. index: uv's variables for the index. work: an empty folder.
        ui: says where wheels come from.

    Raises:
        ToolError: uv failed: a wheel is gone, or a hash is wrong.
    """
    target, requirements = work / "site", work / "requirements.lock"
    requirements.write_text(requirements_lock.exactly(lock), encoding="utf-8")
    argv = [uv.program(), "pip", "install", "--quiet", "--no-config", "--require-hashes", "--no-deps"]
    argv += ["--target", str(target)]
    argv += ["--no-compile-bytecode", "--link-mode", "hardlink", *_python_arguments(spec), "-r", str(requirements)]
    env = uv.environment(settings, index)
    # what the cache has needs no network, and hashes make it the same
    if process.run([*argv, "--offline"], env=env, check=False).code:
        pins = list(requirements_lock.pins(lock))
        fetch_kept(settings, [sha256 for _, _, sha256 in pins], ui)
        if wheels.at_hand(settings, lock, work / "wheels") == len(pins):
            argv += ["--no-index", "--find-links", str(work / "wheels")]
        try:
            process.run(argv, env=env, doing="install the locked Python packages")
        except ToolError as error:
            if "+cpu" in error.why:
                error.remedy = _CPU_INDEX
            raise
    (target / ".lock").unlink(missing_ok=True)
    for record in sorted(target.glob("*.dist-info/RECORD")):
        _forget_the_wheel(record)
        _fix_scripts(target, record, spec.python.version)
    _check_scripts(target, spec.python.version)
    yield from layers.from_folder(target, spec.python.target.strip("/"))


def _forget_the_wheel(record: Path) -> None:
    """Remove the note that uv leaves where a wheel was a file of this machine: when that was written, say."""
    note = record.with_name("uv_cache.json")
    if not note.exists():
        return
    row = f"{record.parent.name}/{note.name},".encode()
    lines = [line for line in record.read_bytes().splitlines(keepends=True) if not line.startswith(row)]
    mode = record.stat().st_mode
    note.unlink()
    record.unlink()  # a hard link into uv's cache must not be written through
    record.write_bytes(b"".join(lines))
    record.chmod(mode)


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
