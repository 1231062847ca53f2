"""A request to a private host that the admin named never goes through HTTP_PROXY; all others do, as in stock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import processes
from processes import Provider, Site

# names that resolve to loopback here, and how a proxy must be asked for them
RESOLVES = """
import socket
original = socket.getaddrinfo
def getaddrinfo(host, *arguments, **options):
    if host not in ("localhost", "::1") and not host[0].isdigit():
        host = "127.0.0.1"
    return original(host, *arguments, **options)
socket.getaddrinfo = getaddrinfo
"""
DIRECT = [
    "vllm",
    "127.0.0.1",
    "near.local",
    "box.home.arpa",
    "a.localhost",
    "near.local.",
    "host.docker.internal",
    "VLLM",
]
DIRECT += ["metadatax", "host.containers.internal", "far.example.com", "[::ffff:127.0.0.1]"]
PROXIED = ["metadata", "instance-data", "vllm.example.com", "metadata.google.internal", "far.example.net"]
PROXIED += ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "93.184.216.34", "x.locals.org"]
PROXIED += ["[::ffff:5db8:d822]", "[::ffff:a9fe:a9fe]"]  # 93.184.216.34 and 169.254.169.254 as IPv6


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names")
    (folder / "sitecustomize.py").write_text(RESOLVES)
    return folder


@pytest.fixture(scope="module")
def proxy() -> Iterator[Provider]:
    with processes.provider() as running:
        yield running


def environment(provider: Provider, proxy: Provider) -> dict[str, str]:
    port, url = provider.host.rpartition(":")[2], f"http://{proxy.host}"
    names = f"far.example.com:{port},far.example.net:1"
    return {"HTTP_PROXY": url, "http_proxy": url, "NO_PROXY": f"8.8.8.9/24,{names}", "no_proxy": "8.8.4.4/31"}


@pytest.fixture(scope="module")
def proxied(tree: Path, provider: Provider, proxy: Provider, names: Path) -> Iterator[Site]:
    with processes.webui(tree, env=environment(provider, proxy), before=names) as running:
        yield running


def asked_proxy(proxy: Provider, host: str) -> bool:
    return any(f"http://{host}" in request.partition("\r\n")[0] for request in proxy.asked())


def at(provider: Provider, host: str) -> str:
    return provider.good.replace("127.0.0.1", host)


@pytest.mark.parametrize("host", DIRECT)
def test_a_private_host_is_asked_directly(proxied: Site, provider: Provider, proxy: Provider, host: str) -> None:
    proxied.connect([at(provider, host)])
    assert "beside" in proxied.models().ids
    assert not asked_proxy(proxy, host)


@pytest.mark.parametrize("host", PROXIED)
def test_any_other_host_is_the_proxys(proxied: Site, provider: Provider, proxy: Provider, host: str) -> None:
    proxied.connect([at(provider, host)])
    assert "beside" not in proxied.models().ids
    assert asked_proxy(proxy, host)


@pytest.mark.parametrize("host", ["8.8.8.8", "8.8.4.5"])  # of NO_PROXY, of no_proxy
def test_a_network_in_no_proxy_is_asked_directly(proxied: Site, proxy: Provider, host: str) -> None:
    proxied.connect([f"http://{host}:9/v1"])
    proxied.models()
    assert not asked_proxy(proxy, host)
    proxied.connect(["http://8.8.4.7:9/v1"])
    proxied.models()
    assert asked_proxy(proxy, "8.8.4.7")


@pytest.mark.parametrize("target", ["169.254.169.254", "other.local", "10.0.0.1"])
def test_a_redirect_to_another_host_is_the_proxys(
    proxied: Site, provider: Provider, proxy: Provider, target: str
) -> None:
    where = f"http://{target}/f/fine/v1/models"
    for slot in ("openai", "ollama"):
        name = f"redirects-{target}-{slot}"
        url = provider.script(name, slot, status="302 Found", body="", headers={"Location": where})
        proxied.connect(*([[url]] if slot == "openai" else [[], [url]]))
        before = len(proxy.asked())
        proxied.models()
        assert any(f"http://{target}/" in request for request in proxy.asked()[before:])


def test_a_redirect_to_the_same_host_is_asked_directly(proxied: Site, provider: Provider) -> None:
    where = "/f/fine/v1/models"
    proxied.connect([provider.script("same-host", status="307 Moved", body="", headers={"Location": where})])
    assert "beside" in proxied.models().ids


def test_an_ollama_and_chats_go_directly(proxied: Site, provider: Provider) -> None:
    proxied.connect([], [provider.fault("ollama-like", "ollama")])
    assert "beside" in proxied.models().ids
    proxied.connect([(provider.script("chats"), {"prefix_id": "a"})], [provider.script("chats-too", "ollama")])
    proxied.models()
    assert "hello from chats" in proxied.chat("a.beside").text
    assert "hello from chats-too" in proxied.chat("beside").text
    for path, url in (("/openai/verify", provider.good), ("/ollama/verify", provider.fault("ollama-like", "ollama"))):
        assert proxied.call("POST", path, json={"url": url, "key": "key"}).status_code == 200
    proxied.connect([provider.good])
    assert proxied.call("GET", "/openai/models/0").status_code == 200


def test_it_can_be_switched_off(tree: Path, provider: Provider, proxy: Provider, names: Path) -> None:
    env = {**environment(provider, proxy), "MODEL_LIST_GO_DIRECT": "false"}
    with processes.site(tree, openai=[at(provider, "off.local")], env=env, before=names) as site:
        assert "beside" not in site.models().ids
        assert asked_proxy(proxy, "off.local")


def test_what_upstream_asks_of_its_sessions_stays(tree: Path, provider: Provider) -> None:
    env = {"AIOHTTP_CLIENT_TIMEOUT_MODEL_LIST": "1", "AIOHTTP_POOL_CONNECTIONS": "1"}
    claude = {"data": [{"id": "claude", "display_name": "Claude"}], "has_more": False}
    late = [provider.script("late", wait=2.5), provider.script("api.anthropic.com", wait=2.5, body=claude)]
    with processes.site(tree, openai=late, env=env) as site:
        assert not site.models().ids
        time.sleep(1.5)
        assert not site.models().ids  # what took longer than the setting is not waited for
        assert not site.call("GET", "/openai/models/0").ok
        azure = {"url": late[0], "key": "key", "config": {"azure": True, "api_version": "1"}}
        assert not site.call("POST", "/openai/verify", json=azure).ok
        site.connect([provider.script("busy")])
        site.models()
        provider.script("busy", wait=1)
        with ThreadPoolExecutor(2) as pool:
            start = time.monotonic()
            assert {answer.status_code for answer in pool.map(site.chat, ["beside"] * 2)} == {200}
            assert time.monotonic() - start > 2  # one after the other: there is one connection
