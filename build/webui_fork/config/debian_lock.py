"""`debian.lock`: the Debian packages of an image.

One package a line: name, version, sha256, size, archive, path. Only `nox -s lock` writes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from webui_fork.config.image_tables import Base
from webui_fork.config.image_toml import ImageSpec
from webui_fork.core.digest import Digest
from webui_fork.core.errors import LockError
from webui_fork.core.files import sha256_bytes

_REMEDY = "Take it back with `git checkout`, or write it anew with `nox -s lock`."
_HEAD = re.compile(r"# suite=([a-z]+) architecture=([a-z0-9]+) input=(sha256:[0-9a-f]{64}) snapshot=(\d{8}T\d{6}Z)")
_ROW = re.compile(
    r"([a-z0-9][a-z0-9+.-]+) ([A-Za-z0-9.+~:-]+) sha256:([0-9a-f]{64}) ([1-9]\d*) (main|security) (pool/[^\s]+\.deb)"
)


_RELEASES = {"bookworm": "12", "trixie": "13"}


@dataclass(frozen=True, slots=True)
class Deb:
    """A Debian package: ``archive`` is main or security, ``path`` relative to it, ``size`` in bytes."""

    name: str
    version: str
    digest: Digest
    size: int
    archive: str
    path: str

    @property
    def source(self) -> str:
        """The name of its source package, by its place in the pool."""
        return self.path.split("/")[-2]


@dataclass(frozen=True, slots=True)
class DebianLock:
    """A parsed `debian.lock`. ``snapshot`` is when it was resolved, as snapshot archives write it."""

    suite: str
    architecture: str
    input: str
    snapshot: str
    debs: tuple[Deb, ...]


def input_digest(base: Base) -> str:
    """Return the digest of what the lock is derived from: suite and wanted packages."""
    return sha256_bytes("\n".join((base.suite, *sorted(base.include))).encode())


def parse(text: str, file: Path) -> DebianLock:
    """Parse a lock's text.

    Raises:
        LockError: a line is odd; the message has file, line and remedy.
    """
    lines = text.splitlines()
    head = next((match for line in lines if (match := _HEAD.fullmatch(line))), None)
    if head is None:
        raise LockError(f"{file}:1: the line with suite, architecture, input and snapshot is missing.", remedy=_REMEDY)
    debs: list[Deb] = []
    for number, line in enumerate(lines, 1):
        if line.startswith("#") or not line.strip():
            continue
        row = _ROW.fullmatch(line)
        if not row or ".." in row.group(6):
            raise LockError(
                f"{file}:{number}: is not `name version sha256:… size archive path`: {line[:100]!r}", remedy=_REMEDY
            )
        if any(deb.name == row.group(1) for deb in debs):
            raise LockError(f"{file}:{number}: {row.group(1)} is locked twice.", remedy=_REMEDY)
        name, version, sha256, size, archive, path = row.groups()
        debs.append(Deb(name, version, Digest.of_hex(sha256), int(size), archive, path))
    if not debs:
        raise LockError(f"{file}: locks no package.", remedy=_REMEDY)
    suite, architecture, digest, snapshot = head.groups()
    return DebianLock(suite, architecture, digest, snapshot, tuple(debs))


def read(file: Path) -> DebianLock:
    """Read a lock file.

    Raises:
        LockError: missing, unreadable or odd.
    """
    try:
        return parse(file.read_text(encoding="utf-8"), file)
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"{file} can't be read.", why=str(error), remedy=_REMEDY) from None


def dump(lock: DebianLock) -> str:
    """Return the canonical text of a lock."""
    lines = [
        "# The Debian packages of the base. Written by `nox -s lock`, by nothing else.",
        f"# suite={lock.suite} architecture={lock.architecture} input={lock.input} snapshot={lock.snapshot}",
    ]
    lines += [f"{d.name} {d.version} {d.digest} {d.size} {d.archive} {d.path}" for d in lock.debs]
    return "\n".join(lines) + "\n"


def differences(old: tuple[Deb, ...], new: tuple[Deb, ...]) -> tuple[str, ...]:
    """Return a line for each package that is not the same."""
    before, after = ({deb.name: deb for deb in debs} for debs in (old, new))
    rows = []
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was is None or now is None or was.digest != now.digest:
            rows.append(f"{name}: {was.version if was else 'absent'} -> {now.version if now else 'absent'}")
    return tuple(rows)


def check_input(lock: DebianLock, spec: ImageSpec, file: Path) -> None:
    """Check that the lock was made for this image.

    Raises:
        LockError: suite, architecture or the list of packages changed since.
    """
    expected = (spec.base.suite, spec.architecture, input_digest(spec.base))
    if (lock.suite, lock.architecture, lock.input) != expected:
        raise LockError(
            f"{file} was made for another list of packages than [base] in image.toml has.", remedy="Run `nox -s lock`."
        )


def release(suite: str) -> str:
    """Return the number of Debian's release, as `12`; of a suite that is not known, its name."""
    return _RELEASES.get(suite, suite)
