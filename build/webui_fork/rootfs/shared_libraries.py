"""The loader's cache of shared libraries, as `ldconfig` would write it, for either architecture.

Without it the loader looks into Debian's own folders only, and `ctypes.util.find_library` sees nothing.
Source: `glibc-ld.so.cache1.1`, sysdeps/generic/dl-cache.h and elf/dl-cache.c of glibc.
"""

from __future__ import annotations

import io
import posixpath
import re
import struct
import tarfile
from collections.abc import Mapping
from typing import Any

from webui_fork.core.errors import ArchiveError
from webui_fork.rootfs import layers
from webui_fork.rootfs.layers import Entry

PATH = "etc/ld.so.cache"
MULTIARCH = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
_FLAGS = {"amd64": 0x0303, "arm64": 0x0A03}  # FLAG_ELF_LIBC6 with FLAG_X8664_LIB64 or FLAG_AARCH64_LIB64
_MACHINE = {"amd64": "EM_X86_64", "arm64": "EM_AARCH64"}
_HEAD = struct.Struct("<17s3sIIB3xI12x")
_LITTLE_ENDIAN = 2
_ENTRY = struct.Struct("<iIIIQ")
_LIBRARY = re.compile(r"(lib|ld-)[^/]*\.so[^/]*")


def entry(tree: Mapping[str, Entry], architecture: str) -> Entry:
    """Return the cache file of a tree.

    Args:
        tree: its files, by path.
        architecture: Debian's word.

    Raises:
        ArchiveError: a library is damaged.
    """
    libraries = sorted(_libraries(tree, architecture).items(), key=lambda pair: _order(pair[0]), reverse=True)
    start = _HEAD.size + _ENTRY.size * len(libraries)
    rows, text = bytearray(), bytearray()
    for name, path in libraries:
        name_at = start + len(text)
        text += name.encode() + b"\0"
        rows += _ENTRY.pack(_FLAGS[architecture], name_at, start + len(text), 0, 0)
        text += path.encode() + b"\0"
    head = _HEAD.pack(b"glibc-ld.so.cache", b"1.1", len(libraries), len(text), _LITTLE_ENDIAN, 0)
    return layers.file_entry(PATH, bytes(head + rows + text))


def _order(name: str) -> tuple[tuple[bool, int], ...]:
    """Return what the loader's binary search compares: numbers by value and after letters (_dl_cache_libcmp)."""
    parts: list[str] = re.findall(r"\d+|\D", name)
    return tuple((part.isdigit(), int(part) if part.isdigit() else ord(part)) for part in parts)


def _libraries(tree: Mapping[str, Entry], architecture: str) -> dict[str, str]:
    """Return where each library stands, by the name that the loader is asked for."""
    where: dict[str, str] = {}
    multiarch = MULTIARCH[architecture]
    for folder, real in (
        ("/usr/local/lib", "usr/local/lib"),
        (f"/usr/local/lib/{multiarch}", f"usr/local/lib/{multiarch}"),
        (f"/lib/{multiarch}", f"usr/lib/{multiarch}"),
        ("/lib", "usr/lib"),
        ("/lib64", "usr/lib64"),
    ):
        names = (path.removeprefix(f"{real}/") for path in tree if path.startswith(f"{real}/"))
        for name in sorted(name for name in names if _LIBRARY.fullmatch(name)):
            path, link = f"{real}/{name}", tree[f"{real}/{name}"].kind == tarfile.SYMTYPE
            soname = _soname(tree, path, architecture)
            if soname and link and name.endswith(".so") and soname.startswith(name):
                soname = name  # a link for compilers, such as libz.so, is listed under its own name
            if soname and f"{real}/{soname}" in tree:
                where.setdefault(soname, f"{folder}/{soname}")
    return where


def _soname(tree: Mapping[str, Entry], path: str, architecture: str) -> str | None:
    """Return the name that a shared library gives itself, else its file's; None of what is none of ours."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.dynamic import DynamicSegment
    from elftools.elf.elffile import ELFFile

    file = _follow(tree, path)
    if file is None:
        return None
    data = layers.content(tree[file])
    if not data.startswith(b"\x7fELF"):
        return None  # a linker script, such as libc.so
    try:
        elf = ELFFile(io.BytesIO(data))
        if elf["e_machine"] != _MACHINE[architecture]:
            return None
        dynamic = [segment for segment in elf.iter_segments() if isinstance(segment, DynamicSegment)]
        tags: list[Any] = [tag for segment in dynamic for tag in segment.iter_tags("DT_SONAME")]
    except (ELFError, KeyError, UnicodeDecodeError) as error:
        raise ArchiveError(f"The shared library /{file} is damaged.", why=str(error)) from error
    return str(tags[0].soname) if tags else posixpath.basename(path)


def _follow(tree: Mapping[str, Entry], path: str) -> str | None:
    """Return the plain file that a path of the tree leads to, or None."""
    for _ in range(8):
        item = tree.get(path)
        if item is None or item.kind == tarfile.DIRTYPE:
            return None
        if item.kind == tarfile.REGTYPE:
            return path
        below = posixpath.join(posixpath.dirname(path), item.link) if item.kind == tarfile.SYMTYPE else item.link
        path = posixpath.normpath(below).lstrip("/")
        first, _, rest = path.partition("/")
        if (upper := tree.get(first)) and upper.kind == tarfile.SYMTYPE:  # /lib, since /usr is merged
            path = f"{upper.link}/{rest}"
    return None
