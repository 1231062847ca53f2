from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from helpers import sdist
from webui_fork.core.errors import ArchiveError
from webui_fork.sources import archive


def tar_with(path: Path, *infos: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for info in infos:
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_members_lose_their_top_folder(tmp_path: Path) -> None:
    found = list(archive.sdist_members(sdist(tmp_path / "x", {"a/b.py": b"1", "LICENSE": b"2"}), "x"))
    assert [(m.path, m.data) for m in found] == [("a/b.py", b"1"), ("LICENSE", b"2")]


@pytest.mark.parametrize(
    "name", ["top/../../etc/passwd", "/etc/passwd", "top/a\\b", "top/.git/config", "top/a/.GIT/x", "c:/x", "top/a\nb"]
)
def test_a_path_out_of_the_tree_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveError, match="leads out of its tree"):
        list(archive.sdist_members(tar_with(tmp_path / "x", member(name)), "x"))


@pytest.mark.parametrize("link", ["/etc/passwd", "../../x", "a/../../../x", "", "up/../..", "a/..", "x\udc80"])
def test_a_link_out_of_the_tree_is_refused(tmp_path: Path, link: str) -> None:
    bad = tar_with(tmp_path / "x", member("top/d/link", tarfile.SYMTYPE, link))
    with pytest.raises(ArchiveError, match="leads out of the tree"):
        list(archive.sdist_members(bad, "x"))


def test_a_link_inside_the_tree_is_kept(tmp_path: Path) -> None:
    good = tar_with(tmp_path / "x", member("top/d/link", tarfile.SYMTYPE, "../a"))
    assert list(archive.sdist_members(good, "x")) == [archive.Member("d/link", b"../a", link=True)]


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE])
def test_a_device_or_hard_link_is_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(ArchiveError, match="neither a file nor a symbolic link"):
        list(archive.sdist_members(tar_with(tmp_path / "x", member("top/dev", kind, "top/a")), "x"))


def test_two_top_folders_and_doubled_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="more than one top folder"):
        list(archive.sdist_members(tar_with(tmp_path / "x", member("a/x"), member("b/x")), "x"))
    with pytest.raises(ArchiveError, match="twice"):
        list(archive.sdist_members(tar_with(tmp_path / "y", member("a/x"), member("a/x")), "y"))


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 2)
    with pytest.raises(ArchiveError, match="more than is allowed"):
        list(archive.sdist_members(sdist(tmp_path / "x", {str(i): b"" for i in range(3)}), "x"))
    monkeypatch.setattr(archive, "MAX_MEMBERS", 100)
    monkeypatch.setattr(archive, "MAX_BYTES", 10)
    with pytest.raises(ArchiveError, match="more than is allowed"):
        list(archive.sdist_members(sdist(tmp_path / "y", {"a": bytes(11)}), "y"))


@pytest.mark.parametrize("cut", [10, 200, 3000])
def test_a_truncated_tarball_is_refused(tmp_path: Path, cut: int) -> None:
    whole = sdist(tmp_path / "x", {"a": bytes(range(256)) * 400, "b": b"x" * 90_000}).read_bytes()
    (tmp_path / "cut").write_bytes(whole[: min(cut, len(whole) - 20)])
    with pytest.raises(ArchiveError, match=r"cut short|empty"):
        list(archive.sdist_members(tmp_path / "cut", "cut"))


def test_what_is_not_an_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"<html>login</html>")
    with pytest.raises(ArchiveError):
        list(archive.sdist_members(tmp_path / "x", "x"))
    with pytest.raises(ArchiveError, match="not a wheel"):
        read_wheel(tmp_path / "x", "a")


def read_wheel(path: Path, under: str) -> list[tuple[str, bytes]]:
    with archive.wheel_files(path, "w", under) as found:
        return [(file.path, file.read()) for file in found]


def test_a_wheel_gives_what_stands_under_a_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w", "w") as wheel:
        wheel.writestr("open_webui/frontend/a/x", "1")
        wheel.writestr("open_webui/frontend/b", "2")
        wheel.writestr("open_webui/main.py", "3")
    assert read_wheel(tmp_path / "w", "open_webui/frontend") == [("a/x", b"1"), ("b", b"2")]
    with pytest.raises(ArchiveError, match="nothing under"):
        read_wheel(tmp_path / "w", "elsewhere")


def test_a_wheel_with_a_path_out_of_its_tree_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w", "w") as wheel:
        wheel.writestr("f/../../etc/passwd", "x")
    with pytest.raises(ArchiveError, match="leads out"):
        read_wheel(tmp_path / "w", "f")


def test_a_damaged_wheel_is_refused_when_it_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w", "w") as wheel:
        wheel.writestr("f/x", "the content")
    (tmp_path / "w").write_bytes((tmp_path / "w").read_bytes().replace(b"the content", b"thf content"))
    with pytest.raises(ArchiveError, match="damaged"):
        read_wheel(tmp_path / "w", "f")
