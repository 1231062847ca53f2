from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import tarfile
from pathlib import Path

import pytest

from webui_fork.core.errors import DiskFullError, ImageError
from webui_fork.rootfs import layers
from webui_fork.rootfs.layers import Entry, Slice

EPOCH = 1_700_000_000

# What the compressor wrote when the first digests were published: a change here changes every digest.
GOLDEN_DIGEST = "sha256:80109591a3c884a4e585b8d0257dc9995b17ed508ebd49241244e6e47db89983"
GOLDEN_DIFF_ID = "sha256:dfa36e43f8c38acb59ba643eac2fdef5fde9f10276b346a9927dbb258f7fec26"


def golden_entries() -> list[Entry]:
    text = b"".join(b"%d: the quick brown fox\n" % i for i in range(400_000))  # more than two members
    return [
        layers.file_entry("app/main.py", text),
        layers.file_entry("app/run", b"#!/bin/sh\n", executable=True),
        layers.folder_entry("app/data", 0o775, 1000, 0),
        Entry("app/link", tarfile.SYMTYPE, 0o777, link="main.py"),
        layers.file_entry("app/" + "n" * 120 + "/ü.txt", b"x"),
        layers.whiteout("app/gone.py"),
    ]


def test_golden_digest(tmp_path: Path) -> None:
    layer = layers.write(golden_entries(), tmp_path / "l", EPOCH)
    assert (layer.diff_id, layer.digest) == (GOLDEN_DIFF_ID, GOLDEN_DIGEST)


def test_the_order_of_the_entries_does_not_matter(tmp_path: Path) -> None:
    entries = golden_entries()
    first = layers.write(entries, tmp_path / "a", EPOCH)
    random.Random(4).shuffle(entries)
    assert layers.write(entries, tmp_path / "b", EPOCH) == first


def test_any_gzip_reads_it_and_finds_what_the_digests_say(tmp_path: Path) -> None:
    layer = layers.write(golden_entries(), tmp_path / "l", EPOCH)
    packed = (tmp_path / "l").read_bytes()
    assert layer.digest == "sha256:" + hashlib.sha256(packed).hexdigest()
    assert layer.size == len(packed)
    plain = gzip.decompress(packed)
    assert layer.diff_id == "sha256:" + hashlib.sha256(plain).hexdigest()
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        infos = {info.name: info for info in tar}
    assert list(infos) == sorted(infos)
    assert infos["app"].isdir()
    assert (infos["app/run"].mode, infos["app/main.py"].mode) == (0o755, 0o644)
    assert (infos["app/data"].uid, infos["app/data"].mode) == (1000, 0o775)
    assert infos["app/.wh.gone.py"].size == 0
    assert {(info.mtime, info.uname, info.gname) for info in infos.values()} == {(EPOCH, "", "")}


def test_a_folder_on_disk_loses_owner_time_and_odd_modes(tmp_path: Path) -> None:
    digests = set()
    for name, mode, stamp in (("one", 0o600, 1), ("two", 0o664, 2)):
        folder = tmp_path / name
        (folder / "d").mkdir(parents=True)
        (folder / "d/f").write_bytes(b"data")
        (folder / "d/f").chmod(mode)
        (folder / "d/l").symlink_to("f")
        os.utime(folder / "d/f", (stamp, stamp))
        digests.add(layers.write(layers.from_folder(folder, "usr/lib"), tmp_path / "l", EPOCH).digest)
    assert len(digests) == 1


def test_a_socket_in_a_folder_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImageError, match="neither a file"):
        list(layers.from_folder(tmp_path, "x"))


def test_a_hard_link_follows_its_file(tmp_path: Path) -> None:
    entries = [layers.file_entry("z/original", b"abc"), Entry("a/second", tarfile.LNKTYPE, 0o644, link="z/original")]
    layers.write(entries, tmp_path / "l", EPOCH)
    with tarfile.open(tmp_path / "l") as tar:
        rows = [(info.name, info.type, info.linkname) for info in tar if not info.isdir()]
    assert rows == [("a/second", tarfile.REGTYPE, ""), ("z/original", tarfile.LNKTYPE, "a/second")]


def test_the_bytes_of_a_file_wherever_they_stand(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")
    for content in (b"234", Slice(tmp_path / "f", 2, 3), layers.Lazy(3, lambda: b"234")):
        assert layers.content(layers.file_entry("x", content)) == b"234"


@pytest.mark.parametrize("path", ["../x", "a/../x", "/x", "a//b", "a/.", ""])
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    with pytest.raises(ImageError, match="can't have the path"):
        layers.normalise([layers.file_entry(path, b"")])


@pytest.mark.parametrize("path", [".wh.x", "a/.wh.favicon.png", ".wh..wh..opq", "a/.wh.b/x"])
def test_a_file_with_the_name_of_a_whiteout_is_refused(path: str) -> None:
    """A patch or a wheel that has one would remove a brand asset, or code, unseen."""
    with pytest.raises(ImageError, match="can't hold a file called"):
        layers.normalise([layers.file_entry(path, b"")])
    with pytest.raises(ImageError, match="can't hold a file called"):
        layers.normalise([layers.folder_entry(path)])


def test_a_whiteout_of_ours_is_one() -> None:
    for removed, marker in (("a/b", "a/.wh.b"), ("b", ".wh.b")):
        assert layers.whiteout(removed).path == marker
        assert layers.normalise([layers.whiteout(removed)], parents=False)
    with pytest.raises(ImageError, match="can't hold"):  # nor can it remove a marker
        layers.normalise([layers.whiteout(".wh.d/x")], parents=False)


def test_contradictions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="Two files want"):
        layers.normalise([layers.file_entry("a", b"1"), layers.file_entry("a", b"2")])
    with pytest.raises(ImageError, match="not there"):
        layers.normalise([Entry("a", tarfile.LNKTYPE, 0o644, link="gone")])


def test_a_file_that_shrinks_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"123")
    with pytest.raises(ImageError, match="shrank"):
        layers.write([layers.file_entry("f", Slice(tmp_path / "f", 0, 4))], tmp_path / "l", EPOCH)


def test_lazy_content_is_read_once_and_must_have_its_size(tmp_path: Path) -> None:
    given = layers.write([layers.file_entry("f", b"123")], tmp_path / "l", EPOCH)
    assert layers.write([layers.file_entry("f", layers.Lazy(3, lambda: b"123"))], tmp_path / "l", EPOCH) == given
    with pytest.raises(ImageError, match="announced"):
        layers.write([layers.file_entry("f", layers.Lazy(4, lambda: b"123"))], tmp_path / "l", EPOCH)


def test_another_compressor_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    layers.check_compressor.cache_clear()
    monkeypatch.setattr(layers, "_compress", lambda data: gzip.compress(data, mtime=0))
    with pytest.raises(ImageError, match="writes other bytes"):
        layers.write([], tmp_path / "l", EPOCH)
    layers.check_compressor.cache_clear()


def test_a_full_disk_is_told_apart() -> None:
    noise = random.Random(1).randbytes(6 << 20)
    with pytest.raises(DiskFullError):
        layers.write([layers.file_entry("f", noise)], Path("/dev/full"), EPOCH)
