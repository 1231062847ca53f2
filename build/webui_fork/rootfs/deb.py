"""A Debian package, read without trusting it: an ar archive of two tar archives (deb(5), ar(5)).

The reader of the outer archive is ours: it takes what deb(5) describes and nothing else, where libraries for ar also
follow thin archives to other files and take sizes below zero.
"""

from __future__ import annotations

import gzip
import io
import lzma
import re
import struct
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from webui_fork.config.debian_lock import Deb
from webui_fork.core.errors import ArchiveError, from_os_error
from webui_fork.rootfs.layers import Entry, Slice

MAX_UNPACKED = 2 << 30
MAX_CONTROL = 16 << 20
_REMEDY = "The file has the locked digest, so the package itself is bad: do not use it, and tell Debian."
_MAGIC = b"!<arch>\n"
_HEADER = struct.Struct("16s12s6s6s8s10s2s")
_KINDS = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE)


class _BadError(Exception):
    """What is wrong with a package."""


_DAMAGES = (
    _BadError, tarfile.TarError, lzma.LZMAError, zlib.error, gzip.BadGzipFile, EOFError, ValueError
)  # fmt: skip
Stream = IO[bytes] | gzip.GzipFile | lzma.LZMAFile
Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Package:
    """What a package holds.

    ``fields`` are those of its control file, in order; ``control`` are the other control files, such as maintainer
    scripts; ``entries`` have the paths that the package gives, and content that stands in a file of the work folder.
    """

    deb: Deb
    fields: Fields
    control: tuple[tuple[str, bytes], ...]
    entries: tuple[Entry, ...]

    def field(self, name: str) -> str:
        """Return the value of a field, or the empty string."""
        return dict(self.fields).get(name, "")


def read(file: Path, deb: Deb, architecture: str, work: Path) -> Package:
    """Read a package; nothing of it is run, and nothing is written but its files, as one tar, to the work folder.

    Args:
        file: the package.
        deb: what the lock says of it.
        architecture: Debian's word, as amd64.
        work: where the unpacked tar is kept for as long as the entries are used.

    Raises:
        ArchiveError: it is no package, is damaged, holds what no package of ours may hold, or says that it is
            another one. DiskFullError, CacheError: the tar can't be written.
    """
    name = f"{deb.name} {deb.version}"
    try:
        with file.open("rb") as source:
            parts = dict(_parts(source, file.stat().st_size))
            control = _control(parts["control.tar"])
            tar = work / f"{deb.name}.tar"
            _unpack(parts["data.tar"], tar)
        entries = tuple(_entries(tar))
    except _DAMAGES as error:
        what = f"{name} is not a Debian package that can be used."
        raise ArchiveError(what, why=str(error), remedy=_REMEDY) from error
    except OSError as error:
        raise from_os_error(error, f"unpack {name}") from error
    package = Package(deb, _fields(control.pop("control", b"")), tuple(sorted(control.items())), entries)
    stated = (package.field("Package"), package.field("Version"), package.field("Architecture"))
    if stated not in ((deb.name, deb.version, architecture), (deb.name, deb.version, "all")):
        raise ArchiveError(
            f"The package locked as {name} for {architecture} contains another package than that.",
            why=f"Its control file has {' '.join(stated)!r}.",
            remedy=_REMEDY,
        )
    return package


def _parts(source: BinaryIO, size: int) -> Iterator[tuple[str, Stream]]:
    """Yield control.tar and data.tar, each decompressed by its name's suffix; check that nothing else is there."""
    if source.read(len(_MAGIC)) != _MAGIC:
        raise _BadError("It does not begin as an ar archive does.")
    position, names = len(_MAGIC), []
    while position < size:
        header = source.read(_HEADER.size)
        if len(header) < _HEADER.size:
            raise _BadError("It is cut short in a member's header.")
        raw_name, *_, raw_length, end = _HEADER.unpack(header)
        member, digits = raw_name.decode("ascii").rstrip(" ").removesuffix("/"), raw_length.decode("ascii").strip()
        if end != b"`\n" or not digits.isdigit():
            raise _BadError(f"The header of its member {member!r} is damaged.")
        length = int(digits)
        position += _HEADER.size + length + length % 2
        if position - length % 2 > size:
            raise _BadError(f"Its member {member!r} is cut short.")
        data = source.read(length)
        source.seek(length % 2, io.SEEK_CUR)
        names.append(member)
        if member.startswith(("control.tar", "data.tar")):
            stem, _, suffix = member.partition(".tar")
            yield f"{stem}.tar", _decompressed(data, suffix)
    if names[:1] != ["debian-binary"] or [name.partition(".tar")[:2] for name in names[1:]] != [
        ("control", ".tar"),
        ("data", ".tar"),
    ]:
        raise _BadError(f"It holds {', '.join(names) or 'nothing'}, not debian-binary, control.tar and data.tar.")


def _decompressed(data: bytes, suffix: str) -> Stream:
    match suffix:
        case "":
            return io.BytesIO(data)
        case ".xz":
            return lzma.open(io.BytesIO(data))
        case ".gz":
            return gzip.GzipFile(fileobj=io.BytesIO(data))
    raise _BadError(f"It is compressed in a way that Debian does not use: {suffix!r}.")


def _control(part: Stream) -> dict[str, bytes]:
    data = part.read(MAX_CONTROL + 1)
    if len(data) > MAX_CONTROL:
        raise _BadError("Its control files unpack to more than is allowed.")
    control: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8") as tar:
        for info in tar:
            name = info.name.removeprefix("./")
            _check_size(info)
            if info.isdir():
                continue
            if not info.isreg() or not re.fullmatch(r"[a-z0-9]+", name) or name in control:
                raise _BadError(f"Its control file {info.name!r} is not a plain file with a name of its own.")
            content = tar.extractfile(info)
            control[name] = content.read() if content else b""
    return control


def _unpack(part: Stream, target: Path) -> None:
    total = 0
    with target.open("wb") as out:
        while piece := part.read(1 << 20):
            total += len(piece)
            if total > MAX_UNPACKED:
                raise _BadError(f"It unpacks to more than {MAX_UNPACKED >> 30} GiB.")
            out.write(piece)


def _entries(tar_file: Path) -> Iterator[Entry]:
    seen: set[str] = set()
    with tarfile.open(tar_file, "r:", encoding="utf-8") as tar:
        for info in tar:
            path = _path(info.name)
            _check_size(info)
            if not path and info.isdir():
                continue
            if not path:
                raise _BadError("Its root is not a folder.")
            if info.type not in _KINDS:
                raise _BadError(f"{info.name!r} in it is neither a file, a folder nor a link.")
            if path in seen:
                raise _BadError(f"It holds {info.name!r} twice.")
            seen.add(path)
            link = _path(info.linkname) if info.islnk() else info.linkname
            if "\0" in link or (info.issym() and not link):
                raise _BadError(f"The link {info.name!r} in it leads nowhere.")
            content = Slice(tar_file, info.offset_data, info.size) if info.isreg() else b""
            yield Entry(path, info.type, info.mode & 0o7777, info.uid, info.gid, link, content)


def _check_size(info: tarfile.TarInfo) -> None:
    if info.size < 0 or info.issparse():
        raise _BadError(f"{info.name!r} in it has a size that no file of a package has.")


def _path(name: str) -> str:
    """Return a member's path without its leading `./`; the root is the empty string."""
    path = name.removeprefix("./").rstrip("/")
    if path in ("", "."):
        return ""
    if path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")) or not path.isprintable():
        raise _BadError(f"It holds a path that leads out of its tree, or has odd characters: {name!r}.")
    return path


def _fields(control: bytes) -> Fields:
    """Parse a control file: `Name: value`, with further lines of a value indented (deb-control(5))."""
    fields = []
    for part in re.split(r"\n(?=[^ \t\n])", control.decode("utf-8", "replace").rstrip("\n")):
        name, _, value = part.partition(":")
        fields.append((name, value.removeprefix(" ")))
    return tuple(fields)
