from __future__ import annotations

import struct
import sys
import tarfile
from pathlib import Path

import pytest

from webui_fork.core.errors import ArchiveError
from webui_fork.rootfs import layers, shared_libraries
from webui_fork.rootfs.layers import Entry

X86 = "usr/lib/x86_64-linux-gnu"


def library(soname: str | None, machine: int = 62) -> bytes:
    """Return the smallest file that a loader takes for a shared library."""
    names = b"\0" + (soname or "").encode() + b"\0"
    head, segments, text = 64, 56 * 2, 64 + 56 * 2
    dynamic = text + len(names) + (-len(names)) % 8
    tags = [(5, text), (10, len(names)), *([(14, 1)] if soname else []), (0, 0)]
    size = 16 * len(tags)
    elf = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 3, machine, 1, 0, head, 0, 0, 64, 56, 2, 64, 0, 0
    )
    load = struct.pack("<IIQQQQQQ", 1, 4, 0, 0, 0, dynamic + size, dynamic + size, 4096)
    program = struct.pack("<IIQQQQQQ", 2, 4, dynamic, dynamic, dynamic, size, size, 8)
    assert len(elf) + len(load) + len(program) == head + segments
    return (elf + load + program + names).ljust(dynamic, b"\0") + b"".join(struct.pack("<QQ", *tag) for tag in tags)


def tree(files: dict[str, bytes | str]) -> dict[str, Entry]:
    """Return files by their content, and links by where they lead."""
    return {
        path: layers.file_entry(path, value)
        if isinstance(value, bytes)
        else Entry(path, tarfile.SYMTYPE, 0o777, link=value)
        for path, value in files.items()
    }


def _text(data: bytes, start: int) -> str:
    return data[start : data.index(b"\0", start)].decode()


def listed(files: dict[str, bytes | str], architecture: str = "amd64") -> list[tuple[str, str]]:
    """Return what the cache has: names and paths, in its order."""
    data = layers.content(shared_libraries.entry(tree(files), architecture))
    assert data.startswith(b"glibc-ld.so.cache1.1")
    count, length = struct.unpack_from("<II", data, 20)
    assert len(data) == 48 + 24 * count + length
    rows = [struct.unpack_from("<iIIIQ", data, 48 + 24 * place) for place in range(count)]
    assert {row[0] for row in rows} <= {0x303 if architecture == "amd64" else 0xA03}
    return [(_text(data, row[1]), _text(data, row[2])) for row in rows]


def test_a_library_is_listed_by_the_name_that_it_gives_itself() -> None:
    files: dict[str, bytes | str] = {
        f"{X86}/libz.so.1.2.13": library("libz.so.1"),
        f"{X86}/libz.so.1": "libz.so.1.2.13",
    }
    assert listed(files) == [("libz.so.1", "/lib/x86_64-linux-gnu/libz.so.1")]
    assert listed({f"{X86}/libz.so.1.2.13": library("libz.so.1")}) == [], "its name leads nowhere"


def test_without_a_name_of_its_own_it_is_listed_by_the_file_s() -> None:
    assert listed({f"{X86}/libplain.so": library(None)}) == [("libplain.so", "/lib/x86_64-linux-gnu/libplain.so")]


def test_a_compiler_s_link_is_listed_too() -> None:
    files: dict[str, bytes | str] = {
        f"{X86}/libz.so.1": library("libz.so.1"),
        f"{X86}/libz.so": "libz.so.1",
        f"{X86}/libzz.so": "libz.so.1",
    }
    assert [name for name, _ in listed(files)] == ["libz.so.1", "libz.so"]


def test_a_link_may_go_by_the_name_from_before_usr_was_merged() -> None:
    link: dict[str, bytes | str] = {f"{X86}/libz.so": "/lib/x86_64-linux-gnu/libz.so.1", "lib": "usr/lib"}
    assert [name for name, _ in listed({**link, f"{X86}/libz.so.1": library("libz.so.1")})] == ["libz.so.1", "libz.so"]


def test_the_order_is_the_one_that_the_loader_searches_in() -> None:
    names = ("libb.so.9", "libb.so.10", "liba.so.1", "libab.so.1", "liba1.so.1")
    files: dict[str, bytes | str] = {f"{X86}/{name}": library(name) for name in names}
    assert [name for name, _ in listed(files)] == ["libb.so.10", "libb.so.9", "liba1.so.1", "libab.so.1", "liba.so.1"]


def test_what_somebody_adds_goes_first() -> None:
    files: dict[str, bytes | str] = {f"{place}/libz.so.1": library("libz.so.1") for place in (X86, "usr/local/lib")}
    assert listed(files) == [("libz.so.1", "/usr/local/lib/libz.so.1")]


def test_another_architecture() -> None:
    files: dict[str, bytes | str] = {
        "usr/lib/aarch64-linux-gnu/libz.so.1": library("libz.so.1", 183),
        f"{X86}/liby.so.1": library("liby.so.1"),
    }
    assert listed(files, "arm64") == [("libz.so.1", "/lib/aarch64-linux-gnu/libz.so.1")]
    assert listed({f"{X86}/libz.so.1": library("libz.so.1", 183)}) == []


def test_scripts_broken_links_and_folders_are_passed_over() -> None:
    files: dict[str, bytes | str] = {
        f"{X86}/libc.so": b"GROUP ( libc.so.6 )",
        f"{X86}/libgone.so.1": "libnone.so",
        f"{X86}/libloop.so": "libloop.so",
        f"{X86}/program": library("x"),
    }
    assert listed(files) == []


def test_a_damaged_library() -> None:
    with pytest.raises(ArchiveError, match=r"libz\.so\.1 is damaged"):
        listed({f"{X86}/libz.so.1": library("libz.so.1")[:100]})


@pytest.mark.skipif(sys.platform != "linux", reason="reads a library of this machine")
def test_a_real_library() -> None:
    real = next(Path("/usr/lib/x86_64-linux-gnu").glob("libz.so.1.*"), None) or pytest.skip("no libz")
    assert [name for name, _ in listed({f"{X86}/libz.so.1": real.read_bytes()})] == ["libz.so.1"]
