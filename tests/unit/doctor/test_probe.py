from __future__ import annotations

import pytest

from helpers import Server, reply
from webui_fork.doctor import probe
from webui_fork.doctor.facts import Seen


def test_the_probe_says_how_far_it_came(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server.answer = lambda handler: reply(handler, 200, b'{"data": []}', Content_Type="application/json")
    seen = Seen.of(probe.probe(f"{server.url}/v1/models", {"Authorization": "Bearer k"}, 5), "here")
    assert (seen.status, seen.json, seen.trouble) == (200, {"data": []}, "")
    assert server.requests[-1][2]["Authorization"] == "Bearer k"
    assert Seen.of(probe.probe("http://127.0.0.1:9/", timeout=2), "here").connect == "refused"
    assert Seen.of(probe.probe("http://nowhere.invalid/", timeout=2), "here").dns
    assert Seen.of(probe.probe(server.url.replace("http", "https"), timeout=2), "here").tls
    assert Seen.of(probe.probe("vllm:8000", timeout=2), "here").dns.startswith("not a URL")


def test_the_probe_never_shows_a_key_to_a_proxy(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url.replace("http://", "http://user:word@"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.answer = lambda handler: reply(handler, 503, b"no")
    seen = Seen.of(probe.probe("http://vllm.invalid:8000/v1/models", {"Authorization": "Bearer k"}, 2), "here")
    assert seen.proxied
    assert seen.proxied.status == 503
    assert "word" not in seen.proxy
    assert "Authorization" not in server.requests[-1][2]
