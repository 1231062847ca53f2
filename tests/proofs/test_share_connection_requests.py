"""Concurrent lists share one request per connection, and a dead one gets a rest."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from containers import Site, fault


def asked(webui: Site, name: str) -> int:
    """Return how often the provider was asked for the models of a fault."""
    code = "import urllib.request; print(urllib.request.urlopen('http://provider:8000/requests').read().decode())"
    return webui.python(code).count(f"GET /f/{name}/v1/models")


def test_concurrent_lists_ask_a_connection_once(webui: Site) -> None:
    webui.connect([fault("slow-1s")])
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _: webui.models(), range(20)))
    assert asked(webui, "slow-1s") <= 2


def test_a_dead_connection_is_not_asked_by_every_list(webui: Site) -> None:
    webui.connect([fault("status-500")])
    for _ in range(10):
        webui.models()
    assert asked(webui, "status-500") <= 3
