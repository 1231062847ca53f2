"""Attacks by servers, answers and records that worked once: each is refused in words, in bounded time and memory."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from helpers import Server, reply
from hostile import DEEP, LONG, ZERO, drip, within
from webui_fork.config import toml
from webui_fork.config.upstream_lock import LockDocument, PinnedFile
from webui_fork.core import process, text, wire
from webui_fork.core.errors import (
    AuditError,
    ImageError,
    LockError,
    PublishError,
    RegistryError,
)
from webui_fork.core.settings import Settings
from webui_fork.doctor import connections, examine, inside
from webui_fork.doctor.facts import Reply, Seen
from webui_fork.image import append
from webui_fork.oci import auth, model
from webui_fork.oci.registry import Registry
from webui_fork.publish import audit, tested
from webui_fork.rebase import target
from webui_fork.sources import changelog

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
    server.answer = lambda handler: drip(handler, 206 if "Range" in handler.headers else 200)
    monkeypatch.setattr(wire, "_WAIT", 0.3)
    described = model.Descriptor(model.CONFIG, ZERO, 1000)
    with Registry(server.url, "x", pause=0) as registry, pytest.raises(RegistryError, match="does not stop sending"):
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
    layers = [model.NamedLayer("patches", model.Layer(ZERO, 5, ZERO))]
    for one in (base(odd), base(manifest={"annotations": [1]})):
        with pytest.raises(ImageError, match="malformed"):
            append.append(one, layers, {"a": "b"}, "t")
    with pytest.raises(ImageError):
        append.append(base({"history": 5}), layers, {"a": "b"}, "t")


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
