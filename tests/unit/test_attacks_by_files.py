"""Attacks by files that worked once: patches, archives, layouts. Each is refused in words, in bounded time."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from helpers import HEADER, Server, Talk, make_patch, release_repo, reply
from hostile import DEEP, LONG, ZERO, within
from registries import image_of
from webui_fork.config import image_toml, upstream_lock
from webui_fork.config.image_tables import Sdist
from webui_fork.core import files
from webui_fork.core.errors import (
    ArchiveError,
    DigestError,
    ForkError,
    ImageError,
    LockError,
    SeriesError,
    SourceError,
)
from webui_fork.core.files import sha256_bytes
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.image import inputs as image_inputs
from webui_fork.merge import tree as merge_tree
from webui_fork.oci import engine, layout, unpack
from webui_fork.rootfs import layers
from webui_fork.series import pages
from webui_fork.series import patch as series_patch
from webui_fork.sources import archive, package_index, wheels
from webui_fork.sources.package_index import Index
from webui_fork.trust import inventory

# -- patches


def problems(data: bytes) -> list[str]:
    release = series_patch.Release("1.2.3", lambda _: True, front_end=True)
    return [
        row.rule for row in series_patch.lint([series_patch.parse("do-a-thing.patch", data)], release, lambda _: True)
    ]


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    repo, commit = release_repo(tmp_path)
    return make_patch(repo, commit, {"backend/open_webui/new.py": b"x = 1\n"}, "Do a thing", HEADER)[0]


@pytest.mark.parametrize("proof", ["tests/proofs/../../../etc/passwd", "tests/../test_x.py", "tests/a b/test_x.py"])
def test_a_proof_is_a_file_of_the_tests(data: bytes, proof: str) -> None:
    """A rebase that drops the patch removes it."""
    assert "proof" in problems(data.replace(b"tests/proofs/test_x.py", proof.encode()))


def test_a_path_means_nothing_to_a_shell_or_a_page(tmp_path: Path) -> None:
    repo, commit = release_repo(tmp_path)
    for name in ("backend/a`<img src=x onerror=alert(1)>`.py", "backend/a;touch x.py", "backend/$(id).py"):
        assert "path" in problems(make_patch(repo, commit, {name: b"x = 1\n"}, "Do a thing", HEADER)[0])
    page = pages.page(
        series_patch.parse("x.patch", make_patch(repo, commit, {"backend/<b>.py": b"1\n"}, "Do", HEADER)[0]), 0, "u"
    )
    assert "<b>" not in page


@pytest.mark.parametrize("subject", ["=?x-unknown?q?a?=", "=?utf-8?b?abc?=", "=?utf-8?q?=ff=fe?="])
def test_a_header_in_an_unknown_code(data: bytes, subject: str) -> None:
    with pytest.raises(SeriesError, match="Subject"):
        series_patch.parse("do-a-thing.patch", data.replace(b"Do a thing", subject.encode(), 1))


def test_a_hunk_of_more_lines_than_a_number_has(data: bytes) -> None:
    with pytest.raises(SeriesError, match="can't be parsed"):
        series_patch.parse("do-a-thing.patch", data.replace(b"@@ -0,0 +1 @@", f"@@ -{LONG} +1 @@".encode()))


@pytest.mark.parametrize("code", ["x = " + "-" * 100_000 + "1\n", "x = " + "+".join(["1"] * 50_000) + "\n"])
def test_code_that_is_too_deep_is_none(code: str) -> None:
    assert merge_tree.parse(code) is None
    assert merge_tree.syntax_error(code)


# -- an index, a mirror, an archive


def page(server: Server, *files: dict[str, Any]) -> Index:
    body = json.dumps({"meta": {"api-version": "1.1"}, "name": "open-webui", "versions": [], "files": list(files)})
    kind = "application/vnd.pypi.simple.v1+json"
    server.answer = lambda handler: reply(handler, 200, body.encode(), Content_Type=kind)
    return Index(server.url, (), (), None)


def release(version: str, when: str = "2026-01-01T00:00:00Z") -> list[dict[str, Any]]:
    names = (f"open_webui-{version}.tar.gz", f"open_webui-{version}-py3-none-any.whl")
    row = {"hashes": {"sha256": "a" * 64}, "size": 5, "upload-time": when}
    return [{"filename": name, "url": f"/{name}", **row} for name in names]


def test_an_index_that_does_not_stop(server: Server) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
        handler.end_headers()
        handler.close_connection = True
        with suppress(OSError):
            for _ in range(200):
                handler.wfile.write(bytes(1 << 20))

    server.answer = endless
    index = Index(server.url, (), (), None)
    with package_index.session(index) as http, pytest.raises(SourceError, match="can't be read"):
        package_index.listing(index, http)
    assert len(server.requests) == 1  # once is enough


@pytest.mark.parametrize("version", ["9.9.9.post1", "9.9.9+evil", "9.9.9.9.9.9", "9", f"9.{LONG}"])
def test_a_version_that_no_lock_can_hold_is_not_offered(server: Server, version: str) -> None:
    odd = "0001-01-01T00:00:00+14:00"
    index = page(server, *release("0.1.0"), *release(version), *release("0.2.0", odd))
    with package_index.session(index) as http, suppress(SourceError):  # the library itself may not read it
        assert [one.version for one in package_index.listing(index, http)[0]] == ["0.1.0"]


def test_a_lock_that_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    lock = upstream_lock.read(Path(upstream_lock.__file__).parents[3] / "upstream.lock")
    file = tmp_path / "upstream.lock"
    with pytest.raises(LockError):
        upstream_lock.write(file, replace(lock, version="9.9.9+evil"))
    assert not file.exists()


def test_a_source_in_the_cache_is_looked_at_again(private_settings: Settings, talk: Talk) -> None:
    cached = private_settings.cache / "downloads" / ZERO.hex
    files.write_atomic(cached, "another")
    source = Sdist(name="x", version="1", sha256=ZERO.hex, package="x")
    with pytest.raises(DigestError, match="damaged"):
        package_index.sdist(private_settings, source, talk)


def tar_of(path: Path, *headers: bytes) -> Path:
    import gzip

    with gzip.open(path, "wb", 1) as file:
        for header in headers:
            file.write(header)
        file.write(bytes(1024))
    return path


def test_folders_and_long_names_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 10)
    folder = tarfile.TarInfo("s/d")
    folder.type = tarfile.DIRTYPE
    with pytest.raises(ArchiveError, match="more than is allowed"):
        list(archive.sdist_members(tar_of(tmp_path / "a", tarfile.TarInfo("s/a").tobuf(), folder.tobuf() * 20), "a"))
    name = tarfile.TarInfo("././@LongLink")
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 800 << 20
    with pytest.raises(ArchiveError, match="not a tar"):
        list(archive.sdist_members(tar_of(tmp_path / "b", name.tobuf(tarfile.GNU_FORMAT)), "b"))


def test_a_wheel_whose_names_or_contents_nobody_reads(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        wheel.writestr("a-1.dist-info/METADATA", "Name: a\nVersion: 1\n\n")
        wheel.writestr("a-1.dist-info/WHEEL", "Tag: py3-none-any\n")
        wheel.writestr("f/é", "x")
    odd = tmp_path / "odd.whl"
    odd.write_bytes(buffer.getvalue().replace("f/é".encode(), b"f/\xff\xff"))
    with pytest.raises(ArchiveError, match="damaged"), archive.wheel_files(odd, "odd", "f"):
        pass
    encrypted = bytearray(buffer.getvalue())
    encrypted[6] |= 1
    encrypted[encrypted.find(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "e.whl").write_bytes(encrypted)
    with suppress(SourceError):
        wheels.filename(tmp_path / "e.whl")
    assert inventory._wheel_licenses(bytes(encrypted)) == ()


@pytest.mark.parametrize("name", ["", "a/", "a b", "a\ud800", "a//b"])
def test_an_npm_package_without_a_name_is_none(name: str) -> None:
    document = json.dumps({"name": name, "version": "1"}).encode()
    assert list(inventory._npm("a/package.json", document)) == []
    assert list(inventory._npm("a/package.json", DEEP.encode())) == []


# -- layouts, caches, the engine


def pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def nothing_ends(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("odd", [pipe, nothing_ends])
@pytest.mark.parametrize("file", ["index.json", "oci-layout", "blob"])
def test_a_layout_of_pipes_and_devices(tmp_path: Path, odd: Callable[[Path], None], file: str) -> None:
    image = image_of(tmp_path / "cache", b"x")
    layout.write_layout(tmp_path / "l", "v1", image, tmp_path / "cache")
    path = layout.blob_path(tmp_path / "l", image.digest) if file == "blob" else tmp_path / "l" / file
    odd(path)
    with pytest.raises(ImageError, match="not an OCI layout"):
        within(5, lambda: layout.read_layout(tmp_path / "l"))


def test_what_is_copied_from_others_is_ours(tmp_path: Path) -> None:
    source, place = tmp_path / "source", tmp_path / "cache/file"
    source.write_bytes(b"good")
    files.take_over(source, place, sha256_bytes(b"good"))
    source.write_bytes(b"evil")
    assert place.read_bytes() == b"good"
    with pytest.raises(DigestError):
        files.take_over(source, tmp_path / "cache/other", sha256_bytes(b"good"))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["file"]


def test_inputs_of_a_folder_are_copied(private_settings: Settings, talk: Talk, tmp_path: Path) -> None:
    digest = sha256_bytes(b"good")
    blob = layout.blob_path(tmp_path / "inputs", digest)
    files.write_atomic(blob, b"good")
    own = replace(private_settings, inputs=f"oci:{tmp_path / 'inputs'}")
    assert image_inputs.fetch_kept(own, [digest], talk) == 1
    cached = own.cache / "downloads" / digest.hex
    assert (cached.stat().st_nlink, cached.is_symlink()) == (1, False)


def test_a_lock_is_no_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("important")
    (tmp_path / ".lock").symlink_to(victim)
    with pytest.raises(ForkError), files.exclusive(tmp_path / ".lock", "x"):
        pass
    assert victim.read_text() == "important"


def test_a_layer_does_not_write_through_a_link_of_a_lower_one(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("important")
    link = replace(layers.file_entry("x", b""), path="app/x", kind=b"2", link=str(victim))
    folder = tmp_path / "root"
    for number, entry in enumerate((link, layers.file_entry("app/x", b"PWNED"))):
        layers.write([entry], tmp_path / f"l{number}", 0)
        unpack._extract(tmp_path / f"l{number}", folder)
    assert victim.read_text() == "important"
    assert (folder / "app/x").read_text() == "PWNED"
    hard = tarfile.TarInfo("app/y")
    hard.type, hard.linkname = tarfile.LNKTYPE, "../victim"
    tar_of(tmp_path / "l2", hard.tobuf())
    with pytest.raises(ImageError, match="leads out"):
        unpack._extract(tmp_path / "l2", folder)


def test_the_engine_gets_no_more_than_was_verified(tmp_path: Path) -> None:
    image = image_of(tmp_path, b"x")
    blob = layout.blob_path(tmp_path, image.layers[0].layer.digest)
    blob.chmod(0o644)
    good = blob.read_bytes()
    assert b"".join(engine.archive(image, tmp_path, "n:t")).count(good) == 1
    for data in (good + b"manifest.json", good[:-1], good[:-1] + b"x"):
        blob.write_bytes(data)
        with pytest.raises(ImageError, match="does not match the digest in its name"):
            list(engine.archive(image, tmp_path, "n:t"))


def test_a_link_in_an_image_s_folder_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "images/open-webui"
    shutil.copytree(CHECKOUT / "images/open-webui", folder)
    assert image_toml.read(folder).copies
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (folder / "entrypoint.sh").unlink()
    (folder / "entrypoint.sh").symlink_to(secret)
    with pytest.raises(ImageError, match="is a link"):
        image_toml.read(folder)
