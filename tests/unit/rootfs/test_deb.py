from __future__ import annotations

import gzip
import lzma
import tarfile
from pathlib import Path

import pytest

import packages
from packages import file, folder, link
from webui_fork.core.errors import ArchiveError
from webui_fork.rootfs import deb, layers


def read(tmp_path: Path, outer: dict[str, bytes], architecture: str = "amd64") -> deb.Package:
    return deb.read(packages.write(tmp_path / "p.deb", outer), packages.deb(), architecture, tmp_path)


def test_a_package_is_read(tmp_path: Path) -> None:
    members = [
        folder("./usr/"),
        file("./usr/x", b"data"),
        link("./usr/y", "/etc/z"),
        link("./usr/w", "./usr/x", tarfile.LNKTYPE),
    ]
    package = read(tmp_path, packages.parts(members, files={"postinst": b"#!/bin/sh\nexit 1\n"}))
    assert [(entry.path, entry.kind, entry.link) for entry in package.entries] == [
        ("usr", tarfile.DIRTYPE, ""),
        ("usr/x", tarfile.REGTYPE, ""),
        ("usr/y", tarfile.SYMTYPE, "/etc/z"),
        ("usr/w", tarfile.LNKTYPE, "usr/x"),
    ]
    assert layers.content(package.entries[1]) == b"data"
    assert package.control == (("postinst", b"#!/bin/sh\nexit 1\n"),)
    assert package.fields == (
        ("Package", "hello"), ("Version", "1.0-1"), ("Architecture", "amd64"), ("Description", "says hello\n again"),
    )  # fmt: skip
    assert package.field("Homepage") == ""


def test_every_compression_that_debian_uses(tmp_path: Path) -> None:
    outer = packages.parts([file("./x", b"data" * 5)])
    plain = lzma.decompress(outer.pop("data.tar.xz"))
    for suffix, data in (("", plain), (".gz", gzip.compress(plain)), (".xz", lzma.compress(plain))):
        (entry,) = read(tmp_path, {**outer, f"data.tar{suffix}": data}).entries
        assert layers.content(entry) == b"data" * 5


def test_a_package_for_every_architecture(tmp_path: Path) -> None:
    control = packages.CONTROL.replace("amd64", "all")
    assert read(tmp_path, packages.parts(control=control), "arm64").field("Architecture") == "all"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("hello\n", "other\n"),
        ("1.0-1", "1.0-2"),
        ("amd64", "arm64"),
        ("Architecture: amd64\n", ""),
        ("Package", "Packet"),
    ],
)
def test_a_control_file_that_lies(tmp_path: Path, old: str, new: str) -> None:
    with pytest.raises(ArchiveError, match="contains another package than that"):
        read(tmp_path, packages.parts(control=packages.CONTROL.replace(old, new, 1)))


WHOLE = packages.parts([file("./x")])


@pytest.mark.parametrize(
    ("outer", "why"),
    [
        ({}, "It holds nothing"),
        ({"debian-binary": b"2.0\n"}, "It holds debian-binary, not debian-binary, control.tar and data.tar."),
        ({key: WHOLE[key] for key in ("debian-binary", "data.tar.xz", "control.tar.xz")}, "holds debian-binary, data"),
        ({**WHOLE, "extra": b""}, "holds debian-binary, control.tar.xz, data.tar.xz, extra"),
        (
            {"debian-binary": b"2.0\n", "control.tar.zst": b"", "data.tar.zst": b""},
            "in a way that Debian does not use: '.zst'",
        ),
        ({**WHOLE, "data.tar.xz": WHOLE["data.tar.xz"][:-20]}, ""),
        ({**WHOLE, "data.tar.xz": b"no xz"}, ""),
        ({"debian-binary": b"2.0\n", "control": b"", "data": b""}, "holds debian-binary, control, data"),
        ({**WHOLE, "data.tar.xz": lzma.compress(b"no tar" * 200)}, ""),
    ],
)
def test_a_file_that_is_no_package(tmp_path: Path, outer: dict[str, bytes], why: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        read(tmp_path, outer)
    assert why in str(caught.value.why)
    assert "do not use it" in caught.value.remedy


@pytest.mark.parametrize("cut", [0, 4, 30, 70, 200])
def test_a_package_that_is_cut_short(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "p.deb"
    path.write_bytes(packages.ar(WHOLE)[:cut])
    with pytest.raises(ArchiveError):
        deb.read(path, packages.deb(), "amd64", tmp_path)


@pytest.mark.parametrize("size", [b"-8        ", b"1e2       ", b"9999999999"])
def test_a_member_with_an_impossible_size(tmp_path: Path, size: bytes) -> None:
    path = tmp_path / "p.deb"
    path.write_bytes(packages.ar(WHOLE).replace(b"4         `\n", size + b"`\n", 1))
    with pytest.raises(ArchiveError):
        deb.read(path, packages.deb(), "amd64", tmp_path)


def test_a_thin_archive_leads_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "p.deb"
    path.write_bytes(b"!<thin>\n" + packages.ar(WHOLE)[8:])
    with pytest.raises(ArchiveError, match="not a Debian package"):
        deb.read(path, packages.deb(), "amd64", tmp_path)


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([file("/etc/passwd")], "leads out of its tree"),
        ([file("./../x")], "leads out of its tree"),
        ([file("./a/../../x")], "leads out of its tree"),
        ([file("./a//x")], "leads out of its tree"),
        ([file("./a\nb")], "odd characters"),
        ([link("./x", "../y", tarfile.LNKTYPE)], "leads out of its tree"),
        ([link("./x", "")], "leads nowhere"),
        ([("./dev/null", tarfile.CHRTYPE, b"")], "neither a file"),
        ([("./dev/sda", tarfile.BLKTYPE, b"")], "neither a file"),
        ([("./pipe", tarfile.FIFOTYPE, b"")], "neither a file"),
        ([file("./x"), file("x")], "twice"),
        ([("./", tarfile.REGTYPE, b"")], "root is not a folder"),
    ],
)
def test_a_package_that_reaches_too_far(tmp_path: Path, members: list[packages.Member], why: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        read(tmp_path, packages.parts(members))
    assert why in str(caught.value.why)


def test_control_files_are_plain_files(tmp_path: Path) -> None:
    for name in ("../x", "a/b", "Control"):
        with pytest.raises(ArchiveError):
            read(tmp_path, packages.parts(files={name: b""}))
    outer = packages.parts()
    outer["control.tar.xz"] = lzma.compress(packages.tar([link("./control", "/etc/passwd")]))
    with pytest.raises(ArchiveError):
        read(tmp_path, outer)


def test_a_size_below_zero_ends_the_reading(tmp_path: Path) -> None:
    raw = bytearray(packages.tar([file("./x", b"data")]))
    raw[124:136] = b"\xff" * 10 + (-512).to_bytes(2, "big", signed=True)  # base-256, as GNU tar writes it
    raw[148:156] = b" " * 8
    raw[148:156] = f"{sum(raw[:512]):06o}\0 ".encode()
    for part in ("data.tar.xz", "control.tar.xz"):
        with pytest.raises(ArchiveError) as caught:
            read(tmp_path, {**WHOLE, part: lzma.compress(bytes(raw))})
        assert "a size that no file of a package has" in str(caught.value.why)


def test_names_are_utf_8_whatever_the_locale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarfile, "ENCODING", "ascii")
    monkeypatch.setattr(tarfile.TarFile, "encoding", "ascii")
    outer = packages.parts([file("./F\u0151tan\u00fas.crt")])
    assert [entry.path for entry in read(tmp_path, outer).entries] == ["F\u0151tan\u00fas.crt"]


def test_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deb, "MAX_UNPACKED", 1 << 20)
    with pytest.raises(ArchiveError) as caught:
        read(tmp_path, packages.parts([file("./zeros", bytes(2 << 20))]))
    assert "unpacks to more" in str(caught.value.why)
    monkeypatch.setattr(deb, "MAX_CONTROL", 1 << 12)
    with pytest.raises(ArchiveError) as caught:
        read(tmp_path, packages.parts(files={"templates": bytes(1 << 13)}))
    assert "more than is allowed" in str(caught.value.why)
