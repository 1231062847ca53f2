"""A request to a private host never goes through HTTP_PROXY."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from docker import DockerClient

from containers import GOOD, Site, fault, site

PROXY = "http://provider:8000"


@pytest.fixture(scope="module")
def proxied(client: DockerClient, image: str) -> Iterator[Site]:
    env = {"HTTP_PROXY": PROXY, "http_proxy": PROXY, "NO_PROXY": "198.51.100.0/24,far.example.com:8000"}
    aliases = {"far.example.com": "127.0.0.1", "near.local": "127.0.0.1"}
    with site(client, image, env=env, extra_hosts=aliases) as running:
        yield running


def test_a_list_is_asked_for_directly(proxied: Site) -> None:
    proxied.connect([GOOD])
    assert "beside" in proxied.models().ids
    proxied.connect([], [fault("ollama-like", "ollama")])
    assert "beside" in proxied.models().ids


def test_a_chat_goes_directly(proxied: Site) -> None:
    proxied.connect([(fault("only-v1"), {"model_ids": ["beside"]})])
    proxied.models()
    chat = {"model": "beside", "messages": [{"role": "user", "content": "hi"}], "stream": False}
    answer = proxied.call("POST", "/api/chat/completions", json=chat)
    assert answer.json()["choices"][0]["message"]["content"] == "hello"
