"""Read release archives without trusting them: nothing is written outside, nothing unbounded.

Members are yielded as values; the caller decides where the bytes go.
"""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Self

from webui_fork.core.errors import ArchiveError

MAX_MEMBERS = 100_000
MAX_BYTES = 4 << 30
MAX_MEMBER = 512 << 20
_MAX_HEADER = 1 << 20  # bytes of a member's long name and the like, which tarfile reads whole
_HEADERS = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)
# ValueError: a name that is not UTF-8; RuntimeError: encrypted, or compressed in a way that nobody has
ZIP_DAMAGES = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, RuntimeError)
_REMEDY = "The file has the pinned digest, so the release itself is bad: do not use it, and tell upstream."


@dataclass(frozen=True, slots=True)
class Member:
    """A file or symbolic link; for a link, ``data`` is its target."""

    path: str
    data: bytes
    executable: bool = False
    link: bool = False


def safe_path(name: str, archive: str) -> str:
    """Return a member's path if it stays inside the tree.

    Raises:
        ArchiveError: it is absolute, climbs out, is not in UTF-8, or names something no release may hold.
    """
    parts = PurePosixPath(name).parts
    bad = (
        not parts
        or name.startswith("/")
        or ".." in parts
        or "\\" in name
        or not name.isprintable()  # nor is a byte that is not UTF-8
        or any(part.lower() == ".git" for part in parts)
        or (len(parts[0]) > 1 and parts[0][1] == ":")
    )
    if bad:
        raise ArchiveError(f"{archive} holds a path that leads out of its tree: {name!r}.", remedy=_REMEDY)
    return "/".join(parts)


def safe_link(path: str, target: str, archive: str) -> None:
    """Check that a symbolic link stays inside the tree, whatever the links are that it leads over.

    A way up is taken at its beginning only: after a name, which may be another link, nobody knows where it leads.

    Raises:
        ArchiveError: it is absolute, climbs out, or climbs from something else than its own folder.
    """
    depth = len(PurePosixPath(path).parts) - 1
    parts = PurePosixPath(target).parts
    climbs = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    if not target or target.startswith("/") or not target.isprintable() or climbs > depth or ".." in parts[climbs:]:
        raise ArchiveError(f"{archive}: the link {path!r} leads out of the tree, to {target!r}.", remedy=_REMEDY)


class _Budget:
    """Counts members and bytes, and refuses a bomb or a path that comes twice."""

    def __init__(self, archive: str) -> None:
        self.archive, self.members, self.bytes = archive, 0, 0
        self.seen: set[str] = set()

    def spend(self, path: str, size: int, *, once: bool = True) -> None:
        self.members += 1
        self.bytes += size
        if self.members > MAX_MEMBERS or self.bytes > MAX_BYTES or size > MAX_MEMBER:
            raise ArchiveError(
                f"{self.archive} unpacks to more than is allowed "
                f"(limits: {MAX_MEMBERS} members, {MAX_BYTES >> 30} GiB, {MAX_MEMBER >> 20} MiB a file).",
                why=f"Reached at {path!r}.",
                remedy=_REMEDY,
            )
        if once and path in self.seen:
            raise ArchiveError(f"{self.archive} holds {path!r} twice.", remedy=_REMEDY)
        self.seen.add(path)


class _Header(tarfile.TarInfo):
    """A member's header, whose own size is looked at before tarfile reads it."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        info = super().frombuf(buf, encoding, errors)
        if info.type in _HEADERS and info.size > _MAX_HEADER:
            raise ValueError(f"a header of {info.size} bytes")
        return info


def sdist_members(path: Path, name: str) -> Iterator[Member]:
    """Yield what a source distribution holds, without its one top folder.

    Raises:
        ArchiveError: it is cut short, not a tar.gz, or unsafe.
    """
    budget = _Budget(name)
    top: str | None = None
    try:
        with tarfile.open(path, "r|gz", tarinfo=_Header) as tar:
            for info in tar:
                if info.isdir():
                    budget.spend(safe_path(info.name, name) + "/", 0, once=False)
                    continue
                head, _, rest = safe_path(info.name, name).partition("/")
                top = top or head
                if head != top or not rest:
                    raise ArchiveError(f"{name} has more than one top folder ({info.name!r}).", remedy=_REMEDY)
                if info.issym():
                    safe_link(rest, info.linkname, name)
                    budget.spend(rest, 0)
                    yield Member(rest, info.linkname.encode(), link=True)
                    continue
                if not info.isreg():
                    raise ArchiveError(
                        f"{name} holds {rest!r}, which is neither a file nor a symbolic link.", remedy=_REMEDY
                    )
                budget.spend(rest, info.size)
                file = tar.extractfile(info)
                data = file.read() if file else b""
                if len(data) != info.size:
                    raise EOFError(f"{rest}: {len(data)} of {info.size} bytes")
                yield Member(rest, data, executable=bool(info.mode & 0o100))
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, ValueError) as error:
        raise ArchiveError(f"{name} is cut short or not a tar.gz.", why=str(error), remedy=_REMEDY) from error
    if top is None:
        raise ArchiveError(f"{name} is empty.", remedy=_REMEDY)


@dataclass(frozen=True, slots=True)
class WheelFile:
    """A file of a wheel: its path below the folder asked for, its size, and how to read it."""

    path: str
    size: int
    read: Callable[[], bytes]


@contextmanager
def wheel_files(path: Path, name: str, under: str) -> Iterator[list[WheelFile]]:
    """Open a wheel and yield its files below a folder; they can be read as long as the context lasts.

    Raises:
        ArchiveError: it is not a zip, unsafe, damaged, or has nothing under the folder.
    """
    budget = _Budget(name)
    prefix = under.rstrip("/") + "/"
    try:
        wheel = zipfile.ZipFile(path)
    except ZIP_DAMAGES as error:
        raise ArchiveError(f"{name} is damaged or not a wheel.", why=str(error), remedy=_REMEDY) from error
    with wheel:
        files = []
        for info in wheel.infolist():
            if info.filename.endswith("/") or not info.filename.startswith(prefix):  # a name may be empty
                continue
            inside = safe_path(info.filename, name)[len(prefix) :]
            kind = (info.external_attr >> 16) & 0o170000
            if kind not in (0, 0o100000):
                raise ArchiveError(f"{name} holds {inside!r}, which is not a plain file.", remedy=_REMEDY)
            budget.spend(inside, info.file_size)
            files.append(WheelFile(inside, info.file_size, partial(_read, wheel, info, name)))
        if not files:
            raise ArchiveError(f"{name} has nothing under {under}/.", remedy="Check [[application]] in image.toml.")
        yield files


def _read(wheel: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> bytes:
    """Return a file of a wheel.

    Raises:
        ArchiveError: it is damaged; a position outside of the file is an OSError of zipfile's.
    """
    try:
        return wheel.read(info)
    except ZIP_DAMAGES as error:
        raise ArchiveError(f"{name} is damaged at {info.filename!r}.", why=str(error), remedy=_REMEDY) from error
