"""Attacks that worked once, on whatever room: each is refused in words, in bounded time and memory."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from helpers import HEADER, Server, Talk, make_patch, release_repo, reply
from registries import image_of
from webui_fork.config import image_toml, toml, upstream_lock
from webui_fork.config.image_tables import Sdist
from webui_fork.config.upstream_lock import LockDocument, PinnedFile
from webui_fork.core import files, process, text, wire
from webui_fork.core.digest import Digest
from webui_fork.core.errors import (
    ArchiveError,
    AuditError,
    DigestError,
    ForkError,
    ImageError,
    LockError,
    PublishError,
    RegistryError,
    SeriesError,
    SourceError,
)
from webui_fork.core.files import sha256_bytes
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.doctor import connections, examine, inside
from webui_fork.doctor.facts import Reply, Seen
from webui_fork.image import append
from webui_fork.image import inputs as image_inputs
from webui_fork.merge import tree as merge_tree
from webui_fork.oci import auth, engine, layout, model, unpack
from webui_fork.oci.registry import Registry
from webui_fork.publish import audit, tested
from webui_fork.rebase import target
from webui_fork.rootfs import layers
from webui_fork.series import pages
from webui_fork.series import patch as series_patch
from webui_fork.sources import archive, changelog, package_index, wheels
from webui_fork.sources.package_index import Index
from webui_fork.trust import inventory

DEEP = "[" * 100_000
LONG = "9" * 5000  # digits: int() refuses more than 4300
ZERO = Digest.of_hex("0" * 64)


def within(seconds: float, work: Callable[[], Any]) -> Any:
    """Return what some work gives, which has to take no longer."""
    start = time.monotonic()
    result = work()
    assert time.monotonic() - start < seconds
    return result


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
    assert merge_tree.parse(code) is None or merge_tree.syntax_error(code) is not None


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
        with pytest.raises(ImageError, match="not what its name says"):
            list(engine.archive(image, tmp_path, "n:t"))


# -- registries


def test_a_registry_can_not_have_us_delete_elsewhere(server: Server) -> None:
    with Server() as other:
        server.answer = lambda handler: reply(handler, 202, b"", Location=f"{other.url}/admin")
        with Registry(server.url, "x", pause=0) as registry:
            assert not registry.mount(ZERO, "y")
        assert other.requests == []


@pytest.mark.parametrize("link", ["<" * 60_000, "<a" * 30_000, "a" * 60_000])
def test_headers_that_take_a_pattern_for_ever(server: Server, link: str) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        reply(handler, 200, b'{"tags": ["v1"]}', Link=link)

    server.answer = answer
    with Registry(server.url, "x", pause=0) as registry:
        assert within(5, registry.tags) == ("v1",)
    assert within(1, lambda: auth._CHALLENGE.findall(link[:8192])) == []


def test_a_small_blob_that_drips(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(206 if "Range" in handler.headers else 200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.close_connection = True
        with suppress(OSError):
            for _ in range(1000):
                handler.wfile.write(b"x")
                handler.wfile.flush()
                time.sleep(0.02)

    server.answer = drip
    monkeypatch.setattr(wire, "_WAIT", 0.3)
    described = model.Descriptor(model.CONFIG, ZERO, 1000)
    with Registry(server.url, "x", pause=0) as registry, pytest.raises(RegistryError, match="does not stop giving"):
        within(10, lambda: registry.small_blob(described))


def base(config: Any = None, manifest: Any = None) -> append.Base:
    own = {"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [ZERO]}, "config": {}, **(config or {})}
    blob = model.Blob(model.CONFIG, json.dumps(own).encode())
    rows = {"schemaVersion": 2, "layers": [{"mediaType": model.LAYER, "digest": ZERO, "size": 5}], **(manifest or {})}
    rows["config"] = blob.descriptor()
    root = model.Blob(model.MANIFEST, json.dumps(rows).encode())
    return append.Base(root, (append.Platform({}, root, blob),))


@pytest.mark.parametrize("odd", [{"config": [1]}, {"config": {"Labels": "x"}}])
def test_a_base_that_is_malformed(odd: dict[str, Any]) -> None:
    layer = model.Layer(ZERO, 5, ZERO)
    for one in (base(odd), base(manifest={"annotations": [1]})):
        with pytest.raises(ImageError, match="malformed"):
            append.append(one, layer, {"a": "b"}, "t")
    with pytest.raises(ImageError):
        append.append(base({"history": 5}), layer, {"a": "b"}, "t")


# -- the doctor


def test_words_that_take_a_pattern_for_ever() -> None:
    assert within(2, lambda: connections.reason({"detail": "<" * 200_000}, 500))
    assert within(2, lambda: text.without_credentials("/a" * 20_000))
    within(2, lambda: list(changelog.notes("## [1.0.0]\n### Changed\n- " + "[" * 40_000, "0.9", "1.0.0")))
    with pytest.raises(LockError):
        within(2, lambda: toml.parse("x = [" + " " * 3000, Path("f"), LockDocument, LockError, ""))


def test_a_key_is_not_shown_in_part_either() -> None:
    key = "sk-proj-ABCDEFGHIJKLMNOPQRSTUVWX"
    assert text.without_parts(f"of {key[1:]} and {key.upper()}, {key[5:13]}.", [key]) == "of *** and ***, ***."
    assert text.without_parts("a word", ["secret-word"]) == "a word"


@pytest.mark.parametrize("odd", [5, "x", [[1]], {"a": 1}, None, True, -1])
def test_a_configuration_of_other_types(odd: Any) -> None:
    config = {"ENABLE_OPENAI_API": True, "OPENAI_API_BASE_URLS": ["http://a"], "OPENAI_API_KEYS": ["k"]}
    for key in ("OPENAI_API_BASE_URLS", "OPENAI_API_KEYS", "OPENAI_API_CONFIGS"):
        examine._openai({**config, key: odd})
    examine._openai({**config, "OPENAI_API_CONFIGS": {"0": {"model_ids": odd}}})
    examine._ollama({"ENABLE_OLLAMA_API": True, "OLLAMA_BASE_URLS": odd})
    assert isinstance(examine._count({"total": odd, "users": odd}), int)
    assert examine._dict(Reply(200, odd, 0.0)) in ({}, odd)


@pytest.mark.parametrize("out", [b"{}", b"[1]", b"[]", b"[{}]", b"5", DEEP.encode(), b'[{"url":"x","proxied":5}]'])
def test_a_container_that_answers_in_other_words(monkeypatch: pytest.MonkeyPatch, out: bytes) -> None:
    monkeypatch.setattr(inside, "_run", lambda *_: out)
    container: Any = SimpleNamespace(name="c")
    assert not [seen for seen in inside.ask(container, [{"url": "http://x"}]) or () if seen.status]
    assert Seen.of({"url": "x", "strange": 1, "body": DEEP}, "here").json is None


# -- databases, records, programs


def test_ids_that_mean_something_where_they_are_written(server: Server) -> None:
    for odd in ("GHSA-1 @x closes #1", "\x1b[2J", ""):
        with pytest.raises(AuditError):
            audit._result({"vulns": [{"id": odd}]}, "url")
    own = {"package": {"name": "a"}, "ranges": [{"type": "E", "events": [{"fixed": LONG}]}]}
    with pytest.raises(AuditError):
        audit._finding(audit.Queried("PyPI", "a", "1"), {"id": "X-1", "affected": [own]})
    server.answer = lambda handler: reply(handler, 200, DEEP.encode())
    with requests.Session() as http, pytest.raises(AuditError):
        audit.hits(http, server.url, [audit.Queried("PyPI", "a", "1")])


@pytest.mark.parametrize("body", [b'{"x":' + DEEP.encode(), b'{"digest": "\xff"}', b'{"passed": %s}' % LONG.encode()])
def test_a_record_that_test_code_wrote(private_settings: Settings, body: bytes) -> None:
    private_settings.out.mkdir(parents=True, exist_ok=True)
    (private_settings.out / "tested.json").write_bytes(body)
    with pytest.raises(PublishError, match="can't be read"):
        tested.read(private_settings)


@pytest.mark.parametrize("document", [f"x = {DEEP}", f"x = {LONG}"])
def test_toml_that_is_too_deep_or_too_long(document: str) -> None:
    with pytest.raises(LockError, match="is not TOML"):
        toml.parse(document, Path("f"), PinnedFile, LockError, "")
    assert target.left_behind(document.encode(), "1.0", "3.11") == ""


def test_a_token_of_npm_s_is_kept_from_tests() -> None:
    names = ("npm_config__authToken", "NPM_CONFIG__AUTH", "npm_config_//registry/:_authToken", "npm_config__password")
    assert process.plain(dict.fromkeys(names, "x")) == {}
    assert process.plain({"npm_config_registry": "x"}) == {"npm_config_registry": "x"}


def test_an_address_without_a_scheme_is_no_link() -> None:
    assert text.inert("see WWW.evil.example") == "see WWW.\u200bevil.example"


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
