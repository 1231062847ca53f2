from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import requests

from helpers import RELEASE, Server, Talk, file_server, reply, sdist
from webui_fork.config import upstream_lock
from webui_fork.core import git as core_git
from webui_fork.core.errors import ArchiveError, DigestError, SourceError
from webui_fork.core.settings import Settings
from webui_fork.sources import package_index, release

TIME = datetime(2026, 1, 1, tzinfo=UTC)
WHEEL = b"the wheel"


def pinned(name: str, data: bytes) -> upstream_lock.PinnedFile:
    return upstream_lock.PinnedFile(name, len(data), hashlib.sha256(data).hexdigest())


def lock_of(archive: bytes) -> upstream_lock.Lock:
    source, wheel = "open_webui-1.2.3.tar.gz", "open_webui-1.2.3-py3-none-any.whl"
    return upstream_lock.Lock("1.2.3", TIME, pinned(source, archive), pinned(wheel, WHEEL), None, ())


def index_of(settings: Settings, server: Server, archive: bytes) -> Settings:
    """Serve a package index whose file links are relative, as some mirrors' are."""
    page = b"".join(
        b'<a href="../../files/%s">%s</a>' % (name, name)
        for name in (b"open_webui-1.2.3.tar.gz", b"open_webui-1.2.3-py3-none-any.whl")
    )
    files = {
        "/simple/open-webui/": b"<!DOCTYPE html><html><body>" + page + b"</body></html>",
        "/files/open_webui-1.2.3.tar.gz": archive,
        "/files/open_webui-1.2.3-py3-none-any.whl": WHEEL,
    }
    plain = file_server(files)

    def answer(handler):  # type: ignore[no-untyped-def]
        if handler.path.endswith("/open-webui/"):
            body = files[handler.path]
            handler.send_response(200)
            handler.send_header("Content-Type", "text/html")
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
        else:
            plain(handler)

    server.answer = answer
    return replace(settings, environ={**settings.environ, "UV_DEFAULT_INDEX": f"{server.url}/simple/"})


def test_a_release_is_the_same_commit_everywhere_and_needs_the_network_once(
    private_settings: Settings, server: Server, talk: Talk, tmp_path: Path
) -> None:
    archive = sdist(tmp_path / "s", RELEASE).read_bytes()
    settings = index_of(private_settings, server, archive)
    first = release.obtain(settings, lock_of(archive), talk)
    asked = len(server.requests)
    assert release.obtain(settings, lock_of(archive), talk) == first
    assert len(server.requests) == asked
    assert first.wheel.read_bytes() == WHEEL
    other = release.obtain(replace(settings, cache=tmp_path / "other"), lock_of(archive), talk)
    assert other.commit == first.commit
    repo = core_git.repository(settings)
    assert repo.read_file(first.commit, "LICENSE") == b"terms\n"
    assert repo.read_file(first.commit, "nowhere") is None
    who = repo.git.show("-s", "--format=%ae %at", first.commit)
    assert who == f"{release.EMAIL} {int(TIME.timestamp())}"


def test_line_ends_and_attributes_change_no_byte(
    private_settings: Settings, server: Server, talk: Talk, tmp_path: Path
) -> None:
    odd = {".gitattributes": b"* text=auto eol=lf\n*.bin filter=x\n", "a.txt": b"one\r\ntwo\r\n", ".gitignore": b"*\n"}
    archive = sdist(tmp_path / "s", odd).read_bytes()
    settings = index_of(private_settings, server, archive)
    source = release.obtain(settings, lock_of(archive), talk)
    found = {file.path: file.read() for file in core_git.repository(settings).walk(source.commit, bool)}
    assert found == odd


def test_a_bad_archive_leaves_no_commit(private_settings: Settings, server: Server, talk: Talk, tmp_path: Path) -> None:
    archive = sdist(tmp_path / "s", {"ok": b"1", "../../evil": b"2"}).read_bytes()
    settings = index_of(private_settings, server, archive)
    for _ in range(2):
        with pytest.raises(ArchiveError):
            release.obtain(settings, lock_of(archive), talk)
    assert core_git.repository(settings).git.for_each_ref() == ""


def test_a_file_that_is_not_the_pinned_one_is_refused(
    private_settings: Settings, server: Server, talk: Talk, tmp_path: Path
) -> None:
    archive = sdist(tmp_path / "s", RELEASE).read_bytes()
    settings = index_of(private_settings, server, archive[:-1] + b"?")
    with pytest.raises(DigestError):
        release.obtain(settings, lock_of(archive), talk)


def listed(server: Server, rows: Iterable[tuple[str, int, str]]) -> list[package_index.Release]:
    """Return the releases of an index whose page has files of a name, a size and a digest."""
    time = f"{TIME:%Y-%m-%dT%XZ}"
    files = [
        {"filename": name, "url": name, "hashes": {"sha256": digest}, "size": size, "upload-time": time}
        for name, size, digest in rows
    ]
    page = json.dumps({"meta": {"api-version": "1.1"}, "name": "open-webui", "files": files}).encode()
    server.answer = lambda handler: reply(handler, 200, page, Content_Type="application/vnd.pypi.simple.v1+json")
    return package_index.listing(package_index.Index(f"{server.url}/simple/", (), (), None), requests.Session())[0]


@pytest.mark.parametrize(
    ("sdist_row", "wheel_row", "count"),
    [
        (("open_webui", 3), ("open_webui", 3), 1),
        (("open_webui", 3), ("open_webui", upstream_lock.MAX_FILE_SIZE + 1), 0),
        (("open_webui", 0), ("open_webui", 3), 0),
        (("other", 3), ("open_webui", 3), 0),  # a page may list files of another project
        (("open_webui", 3), ("other", 3), 0),
    ],
)
def test_a_release_is_of_this_project_and_of_a_size(
    server: Server, sdist_row: tuple[str, int], wheel_row: tuple[str, int], count: int
) -> None:
    rows = [(f"{sdist_row[0]}-9.9.9.tar.gz", sdist_row[1], "a" * 64)]
    rows.append((f"{wheel_row[0]}-9.9.9-py3-none-any.whl", wheel_row[1], "b" * 64))
    assert len(listed(server, rows)) == count


@pytest.mark.parametrize("digest", ["../../../victim", "/etc/passwd", "a" * 63, "A" * 64, "g" * 64])
def test_an_index_that_lies_reaches_no_file_outside_the_cache(
    private_settings: Settings, server: Server, talk: Talk, tmp_path: Path, digest: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    names = ("open_webui-9.9.9.tar.gz", "open_webui-9.9.9-py3-none-any.whl")
    with pytest.raises(SourceError, match="is not a sha256"):
        listed(server, [(name, 3, digest) for name in names])
    assert victim.read_text() == "precious"
    assert not list(private_settings.cache.glob("**/*victim*"))


def test_a_release_that_left_the_index_says_so(
    private_settings: Settings, server: Server, talk: Talk, tmp_path: Path
) -> None:
    archive = sdist(tmp_path / "s", RELEASE).read_bytes()
    settings = index_of(private_settings, server, archive)
    gone = lock_of(archive)
    gone = replace(gone, sdist=msgspec.structs.replace(gone.sdist, name="open_webui-9.9.9.tar.gz"))
    with pytest.raises(SourceError, match="no longer has"):
        release.obtain(settings, gone, talk)


def test_a_git_remote_pinned_by_commit(private_settings: Settings, server: Server, talk: Talk, tmp_path: Path) -> None:
    remote = tmp_path / "remote"
    git = ["git", "-C", str(remote), "-c", "user.name=x", "-c", "user.email=x@fork.invalid"]
    remote.mkdir()
    (remote / "LICENSE").write_text("terms\n")
    for step in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *step], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    settings = index_of(private_settings, server, b"")
    pin = replace(lock_of(b"-"), git=upstream_lock.GitPin(f"file://{remote}", commit))
    source = release.obtain(settings, pin, talk)
    repo = core_git.repository(settings)
    assert repo.read_file(source.commit, "LICENSE") == b"terms\n"
    assert repo.git.show("-s", "--format=%ae", source.commit) == release.EMAIL
    missing = replace(pin, git=upstream_lock.GitPin(f"file://{remote}", "0" * 39 + "1"))
    with pytest.raises(SourceError, match="Could not fetch"):
        release.obtain(settings, missing, talk)
