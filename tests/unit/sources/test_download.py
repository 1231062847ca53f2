from __future__ import annotations

from pathlib import Path

import pytest
import requests

from helpers import Server, Talk, file_server, hang_up, reply
from webui_fork.core import files
from webui_fork.core import text as core_text
from webui_fork.core.digest import Digest
from webui_fork.core.errors import DigestError, SourceError
from webui_fork.core.files import sha256_bytes
from webui_fork.sources import download

DATA = bytes(range(256)) * 5000
SHA = sha256_bytes(DATA)


def get(server: Server, cache: Path, talk: Talk, sha: Digest = SHA, size: int | None = len(DATA)) -> Path:
    wanted = download.Wanted(f"{server.url}/file", "file", sha, size)
    with requests.Session() as http:
        return download.download(http, wanted, cache, talk, pause=0.0)


def test_a_file_is_downloaded_once(server: Server, tmp_path: Path, talk: Talk) -> None:
    server.answer = file_server({"/file": DATA})
    assert get(server, tmp_path, talk).read_bytes() == DATA
    assert get(server, tmp_path, talk).read_bytes() == DATA
    assert len(server.requests) == 1


def test_a_dropped_connection_is_resumed_where_it_stopped(server: Server, tmp_path: Path, talk: Talk) -> None:
    whole = file_server({"/file": DATA})

    def answer(handler):  # type: ignore[no-untyped-def]
        if len(server.requests) == 1:
            reply(handler, 200, DATA[:300_000], length=len(DATA))
        else:
            whole(handler)

    server.answer = answer
    assert get(server, tmp_path, talk).read_bytes() == DATA
    start = int(server.requests[1][2]["Range"].removeprefix("bytes=").rstrip("-"))
    assert 0 < start <= 300_000


def test_a_killed_download_goes_on_in_the_next_run(server: Server, tmp_path: Path, talk: Talk) -> None:
    server.answer = file_server({"/file": DATA})
    part = download.cached(tmp_path, SHA).with_name(SHA.hex + ".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(DATA[:1000])
    assert get(server, tmp_path, talk).read_bytes() == DATA
    assert server.requests[0][2]["Range"] == "bytes=1000-"


def test_an_old_half_of_another_file_does_not_poison_the_download(server: Server, tmp_path: Path, talk: Talk) -> None:
    server.answer = file_server({"/file": DATA})
    part = download.cached(tmp_path, SHA).with_name(SHA.hex + ".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    assert get(server, tmp_path, talk).read_bytes() == DATA


def test_a_server_without_ranges_starts_over(server: Server, tmp_path: Path, talk: Talk) -> None:
    server.answer = lambda handler: reply(handler, 200, DATA)
    part = download.cached(tmp_path, SHA).with_name(SHA.hex + ".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(DATA[:1000])
    assert get(server, tmp_path, talk).read_bytes() == DATA


def test_a_wrong_sha256_is_an_error_and_nothing_is_kept(server: Server, tmp_path: Path, talk: Talk) -> None:
    server.answer = file_server({"/file": DATA})
    with pytest.raises(DigestError, match="is not the pinned file") as caught:
        get(server, tmp_path, talk, sha=Digest.of_hex("0" * 64))
    assert SHA in caught.value.why
    assert not list((tmp_path / "downloads").iterdir())


def test_a_truncated_download_is_an_error_after_three_tries(server: Server, tmp_path: Path, talk: Talk) -> None:
    server.answer = lambda handler: reply(handler, 200, DATA[:5000])
    with pytest.raises(SourceError, match="Could not download file") as caught:
        get(server, tmp_path, talk)
    assert "after 5000 of" in caught.value.why
    assert len(server.requests) == download.TRIES
    assert not download.cached(tmp_path, SHA).exists()


def test_a_server_that_never_stops_is_cut_off(server: Server, tmp_path: Path, talk: Talk) -> None:
    server.answer = lambda handler: reply(handler, 200, DATA + b"more")
    with pytest.raises(DigestError, match="longer than the pinned"):
        get(server, tmp_path, talk)


def test_passing_faults_are_retried(server: Server, tmp_path: Path, talk: Talk) -> None:
    def answer(handler):  # type: ignore[no-untyped-def]
        if len(server.requests) == 1:
            reply(handler, 503, Retry_After="0")
        elif len(server.requests) == 2:
            hang_up(handler)
        else:
            reply(handler, 200, DATA)

    server.answer = answer
    assert get(server, tmp_path, talk).exists()
    assert "HTTP 503" in talk.text


def test_not_found_is_its_own_error_and_not_retried(server: Server, tmp_path: Path, talk: Talk) -> None:
    with pytest.raises(download.NotFoundError):
        get(server, tmp_path, talk)
    assert len(server.requests) == 1


def test_credentials_and_tokens_never_reach_a_message(server: Server, tmp_path: Path, talk: Talk) -> None:
    for number, fault in enumerate((lambda handler: reply(handler, 500), hang_up)):
        server.answer = fault
        secret = server.url.replace("http://", "http://user:hunter2@")
        wanted = download.Wanted(f"{secret}/f?token=hunter3", "f", SHA)
        with requests.Session() as http, pytest.raises(SourceError) as caught:
            download.download(http, wanted, tmp_path / str(number), talk, pause=0)
        assert "hunter" not in str(caught.value) + talk.text
    text = "Max retries exceeded with url: /f?token=hunter3"
    assert "hunter" not in core_text.redact_text(text, "https://h/f?token=hunter3")


def test_a_damaged_cached_file_is_removed_and_said(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"flipped")
    with pytest.raises(DigestError, match="damaged"):
        files.check(tmp_path / "f", SHA)
    assert not (tmp_path / "f").exists()
