from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from helpers import Server, Talk, hang_up, reply
from webui_fork.core.digest import Digest
from webui_fork.core.errors import DigestError
from webui_fork.core.files import sha256_bytes
from webui_fork.core.settings import Settings
from webui_fork.image import inputs
from webui_fork.sources import download

DATA = b"a package"
DIGEST = sha256_bytes(DATA)
ZEROS, ONES = Digest.of_hex("0" * 64), Digest.of_hex("1" * 64)


def kept(settings: Settings, server: Server) -> Settings:
    return replace(settings, inputs=f"{server.url.removeprefix('http://')}/me/open-webui")


def test_what_the_registry_has_comes_from_there(private_settings: Settings, server: Server, talk: Talk) -> None:
    server.answer = lambda handler: reply(handler, 200 if DIGEST in handler.path else 404, DATA)
    settings = kept(private_settings, server)
    assert inputs.fetch_kept(settings, [DIGEST, ZEROS], talk) == 1
    assert download.cached(settings.cache, DIGEST).read_bytes() == DATA
    before = len(server.requests)
    assert inputs.fetch_kept(settings, [DIGEST], talk) == 0
    assert len(server.requests) == before  # the cache has it


def test_a_lie_is_not_kept(private_settings: Settings, server: Server, talk: Talk) -> None:
    server.answer = lambda handler: reply(handler, 200, b"another")
    assert inputs.fetch_kept(kept(private_settings, server), [DIGEST], talk) == 0
    assert not download.cached(private_settings.cache, DIGEST).exists()
    assert "does not give inputs" in talk.text


def test_a_registry_that_is_away_stops_nothing(
    private_settings: Settings, server: Server, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    server.answer = hang_up
    assert inputs.fetch_kept(kept(private_settings, server), [DIGEST], talk) == 0
    assert "WARNING" in talk.text


def test_the_folder_of_a_bundle_will_do(private_settings: Settings, talk: Talk, tmp_path: Path) -> None:
    for digest, data in ((DIGEST, DATA), (ONES, b"another")):
        (tmp_path / "inputs/blobs/sha256").mkdir(parents=True, exist_ok=True)
        (tmp_path / "inputs/blobs/sha256" / digest.hex).write_bytes(data)
    settings = replace(private_settings, inputs=f"oci:{tmp_path}/inputs")
    assert inputs.fetch_kept(settings, [DIGEST, ZEROS], talk) == 1
    assert download.cached(settings.cache, DIGEST).read_bytes() == DATA
    with pytest.raises(DigestError):
        inputs.fetch_kept(settings, [ONES], talk)
    assert not download.cached(settings.cache, ONES).exists()


def test_no_registry_is_asked_where_none_is_set(private_settings: Settings, server: Server, talk: Talk) -> None:
    assert inputs.fetch_kept(private_settings, [DIGEST], talk) == 0
    assert not talk.lines
