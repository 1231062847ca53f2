"""Deterministic layers: one order, one owner rule, one time, and a compressor pinned by version.

gzip bytes differ between zlib, zlib-ng and their CPU paths, so layers are compressed by libdeflate
from a hash-locked wheel, in independent gzip members of ``MEMBER`` bytes of input
(RFC 1952, section 2.2: a gzip file is a series of members). See docs/adr/0003-compression.md.
"""

from __future__ import annotations

import functools
import hashlib
import stat
import tarfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import deflate

from webui_fork.core.digest import Digest
from webui_fork.core.errors import ImageError, from_os_error
from webui_fork.oci.model import WHITEOUT, Layer

MEMBER = 4 << 20
LEVEL = 6
_THREADS = 2
_PROBE = "660e7ba6bddf4f7a"  # of libdeflate 1.25 (deflate 0.9.0) at LEVEL over _probe_input()


@dataclass(frozen=True, slots=True)
class Slice:
    """Bytes that stand in a file: ``size`` of them from ``offset``."""

    file: Path
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Lazy:
    """Bytes that are read when they are written: ``size`` of them, from ``read``."""

    size: int
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of a layer. ``path`` is relative; ``content`` is for files, ``link`` for links.

    ``kind`` is one of tarfile's types: REGTYPE, DIRTYPE, SYMTYPE, LNKTYPE. ``removes``: it is a whiteout of ours.
    """

    path: str
    kind: bytes
    mode: int
    uid: int = 0
    gid: int = 0
    link: str = ""
    content: bytes | Slice | Lazy = b""
    removes: bool = False


def file_entry(path: str, content: bytes | Slice | Lazy, executable: bool = False) -> Entry:
    """Return a plain file owned by root."""
    return Entry(path, tarfile.REGTYPE, 0o755 if executable else 0o644, content=content)


def folder_entry(path: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> Entry:
    """Return a folder."""
    return Entry(path, tarfile.DIRTYPE, mode, uid, gid)


def names_whiteout(path: str) -> bool:
    """Tell whether engines would read a path, or a folder on its way, as an order to remove something."""
    return any(part.startswith(WHITEOUT) for part in path.split("/"))


def whiteout(path: str) -> Entry:
    """Return the marker that removes a path of a lower layer (OCI image-spec, layer.md)."""
    parent, _, name = path.rpartition("/")
    marker = file_entry(f"{parent}/{WHITEOUT}{name}" if parent else f"{WHITEOUT}{name}", b"")
    return replace(marker, removes=True)


def from_folder(folder: Path, prefix: str) -> Iterator[Entry]:
    """Yield what a folder holds, as root's; only the executable bit of a mode is kept.

    Raises:
        ImageError: it holds something that is neither file, folder nor link.
    """
    for path in sorted(folder.rglob("*")):
        name = f"{prefix}/{path.relative_to(folder).as_posix()}"
        info = path.lstat()
        if stat.S_ISLNK(info.st_mode):
            yield Entry(name, tarfile.SYMTYPE, 0o777, link=str(path.readlink()))
        elif stat.S_ISDIR(info.st_mode):
            yield folder_entry(name)
        elif stat.S_ISREG(info.st_mode):
            yield file_entry(name, Slice(path, 0, info.st_size), bool(info.st_mode & 0o100))
        else:
            raise ImageError(f"{path} is neither a file, a folder nor a link.")


def content(entry: Entry) -> bytes:
    """Return the bytes of a file."""
    match entry.content:
        case Slice(file, offset, size):
            with file.open("rb") as opened:
                opened.seek(offset)
                return opened.read(size)
        case Lazy(_, read):
            return read()
        case data:
            return data


def normalise(entries: Iterable[Entry], *, parents: bool = True) -> list[Entry]:
    """Sort entries by path, add missing parent folders, and put a hard link after its file.

    Args:
        parents: without, no folder is added: a layer on top must not reset those below.

    Raises:
        ImageError: a path comes twice with different content, a hard link points nowhere, or a file that an image is
            made of has the name of a whiteout: engines would remove another one for it.
    """
    by_path: dict[str, Entry] = {}
    for entry in entries:
        if any(part in ("", ".", "..") for part in entry.path.split("/")):
            raise ImageError(f"A layer can't have the path {entry.path!r}.")
        if names_whiteout(entry.path.rpartition("/")[0] if entry.removes else entry.path):
            raise ImageError(
                f"A layer can't hold a file called {entry.path!r}.",
                why="Engines read the name as an order to remove a file of the layers below.",
            )
        before = by_path.setdefault(entry.path, entry)
        if before is not entry and before.kind != tarfile.DIRTYPE and before != entry:
            raise ImageError(f"Two files want the path /{entry.path} of one layer.")
    for path in list(by_path) if parents else []:
        parent = path.rpartition("/")[0]
        while parent and parent not in by_path:
            by_path[parent] = folder_entry(parent)
            parent = parent.rpartition("/")[0]
    # a hard-linked file is stored under the first of its names
    groups: dict[str, list[str]] = {}
    for entry in by_path.values():
        if entry.kind == tarfile.LNKTYPE:
            groups.setdefault(entry.link, [entry.link]).append(entry.path)
    for target, names in groups.items():
        if target not in by_path:
            raise ImageError(f"The hard link /{names[1]} points at /{target}, which is not there.")
        original, first = by_path[target], min(names)
        for name in names:
            by_path[name] = replace(original, path=name, kind=tarfile.LNKTYPE, link=first, content=b"")
        by_path[first] = replace(original, path=first)
    return [by_path[path] for path in sorted(by_path)]


def _probe_input() -> bytes:
    words = (hashlib.sha256(bytes([i])).hexdigest().encode() for i in range(256))
    return b"\n".join(word * (1 + i % 7) for i, word in enumerate(words))


@functools.cache
def check_compressor() -> None:
    """Check that the compressor writes the bytes it wrote when the digests were published.

    Raises:
        ImageError: it is another version, or miscompiled.
    """
    probe_digest = hashlib.sha256(_compress(_probe_input())).hexdigest()[:16]
    if probe_digest != _PROBE:
        raise ImageError(
            "The compressor of this environment writes other bytes than the pinned one.",
            why=f"Its probe gave {probe_digest}, not {_PROBE}; the image would have another digest.",
            remedy="Install the locked packages: `pip install --require-hashes -r requirements/tool.lock`.",
        )


def _compress(data: bytes) -> bytes:
    return bytes(deflate.gzip_compress(data, LEVEL))


class _Writer:
    """A file to write a tar to: hashes it, cuts it into members, compresses them in threads."""

    def __init__(self, out: BinaryIO, pool: ThreadPoolExecutor) -> None:
        self._out, self._pool = out, pool
        self._buffer = bytearray()
        self._pending: deque[Future[bytes]] = deque()
        self._plain, self._packed = hashlib.sha256(), hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> int:
        self._plain.update(data)
        self._buffer += data
        while len(self._buffer) >= MEMBER:
            self._submit(bytes(self._buffer[:MEMBER]))
            del self._buffer[:MEMBER]
        return len(data)

    def _submit(self, member: bytes) -> None:
        self._pending.append(self._pool.submit(_compress, member))
        while len(self._pending) > 2 * _THREADS:  # bounds the memory
            self._drain()

    def _drain(self) -> None:
        packed = self._pending.popleft().result()
        self._packed.update(packed)
        self._size += len(packed)
        self._out.write(packed)

    def finish(self) -> Layer:
        if self._buffer:
            self._submit(bytes(self._buffer))
        while self._pending:
            self._drain()
        return Layer(Digest.of_hex(self._packed.hexdigest()), self._size, Digest.of_hex(self._plain.hexdigest()))


def write(entries: Iterable[Entry], path: Path, epoch: int, *, parents: bool = True) -> Layer:
    """Write a layer as tar.gz.

    Args:
        entries: what it holds, in any order. path: the file to write.
        epoch: every entry's time of modification, in seconds since 1970.
        parents: add the folders that the entries need.

    Returns:
        The layer's digests and size; the same entries give the same bytes everywhere.

    Raises:
        ImageError: the entries contradict each other, or the compressor is not the pinned one.
        DiskFullError, CacheError: the file can't be written.
    """
    check_compressor()
    ordered = normalise(entries, parents=parents)
    try:
        with path.open("wb") as out, ThreadPoolExecutor(_THREADS) as pool:
            writer = _Writer(out, pool)
            for entry in ordered:
                _write_entry(writer, entry, epoch)
            writer.write(bytes(2 * tarfile.BLOCKSIZE))
            return writer.finish()
    except OSError as error:
        raise from_os_error(error, f"write the layer {path.name}") from error


def _write_entry(writer: _Writer, entry: Entry, epoch: int) -> None:
    info = tarfile.TarInfo(entry.path + ("/" if entry.kind == tarfile.DIRTYPE else ""))
    info.type, info.mode, info.uid, info.gid, info.mtime = entry.kind, entry.mode, entry.uid, entry.gid, epoch
    info.linkname = entry.link
    info.size = len(entry.content) if isinstance(entry.content, bytes) else entry.content.size
    writer.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
    if isinstance(entry.content, Slice):
        _copy_slice(writer, entry.content)
    else:
        data = entry.content if isinstance(entry.content, bytes) else entry.content.read()
        if len(data) != info.size:
            raise ImageError(f"/{entry.path} has {len(data)} bytes, not the {info.size} it was announced with.")
        writer.write(data)
    if info.size % tarfile.BLOCKSIZE:
        writer.write(bytes(tarfile.BLOCKSIZE - info.size % tarfile.BLOCKSIZE))


def _copy_slice(writer: _Writer, part: Slice) -> None:
    left = part.size
    with part.file.open("rb") as file:
        file.seek(part.offset)
        while left:
            data = file.read(min(left, 1 << 20))
            if not data:
                raise ImageError(f"{part.file} shrank while it was read.")
            writer.write(data)
            left -= len(data)
