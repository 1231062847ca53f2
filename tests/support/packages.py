"""Debian packages as files, whole and broken, made as dpkg-deb makes them."""

from __future__ import annotations

import io
import lzma
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from webui_fork.config.debian_lock import Deb
from webui_fork.core.digest import Digest

Member = tuple[str, bytes, str | bytes]  # name, tarfile's type, link or content

CONTROL = "Package: hello\nVersion: 1.0-1\nArchitecture: amd64\nDescription: says hello\n again\n"


def tar(members: Iterable[Member]) -> bytes:
    """Return an uncompressed tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8") as archive:
        for name, kind, value in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, 0o755 if kind == tarfile.DIRTYPE else 0o644
            data = value if isinstance(value, bytes) else b""
            info.size = len(data)
            info.linkname = value if isinstance(value, str) else ""
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def file(name: str, data: bytes = b"") -> Member:
    """Return a plain file."""
    return (name, tarfile.REGTYPE, data)


def folder(name: str) -> Member:
    """Return a folder."""
    return (name, tarfile.DIRTYPE, b"")


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Member:
    """Return a symbolic or a hard link."""
    return (name, kind, target)


def ar(parts: Mapping[str, bytes]) -> bytes:
    """Return an ar archive of members by name."""
    out = b"!<arch>\n"
    for name, data in parts.items():
        head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        out += head + data + b"\n" * (len(data) % 2)
    return out


def parts(
    members: Iterable[Member] = (), control: str = CONTROL, files: Mapping[str, bytes] | None = None
) -> dict[str, bytes]:
    """Return the members of a package's outer archive."""
    controls = [file("./control", control.encode()), *(file(f"./{name}", data) for name, data in (files or {}).items())]
    return {
        "debian-binary": b"2.0\n",
        "control.tar.xz": lzma.compress(tar([folder("./"), *controls])),
        "data.tar.xz": lzma.compress(tar([folder("./"), *members])),
    }


def write(path: Path, outer: Mapping[str, bytes]) -> Path:
    """Write a package."""
    path.write_bytes(ar(outer))
    return path


def deb(name: str = "hello", version: str = "1.0-1") -> Deb:
    """Return what a lock says of a package."""
    return Deb(name, version, Digest.of_hex("0" * 64), 1, "main", f"pool/main/h/{name}/{name}_{version}.deb")
