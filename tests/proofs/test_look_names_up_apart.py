"""A name server that swallows queries blocks only the names it is asked for."""

from __future__ import annotations

from pathlib import Path

import processes
from processes import Provider
from seconds import thrice

# what happens to a process whose name server swallows queries: the lookup blocks its thread
SWALLOWS = """
import socket, time
original = socket.getaddrinfo
def getaddrinfo(host, *arguments, **options):
    if str(host).startswith("dead"):
        time.sleep(30)
    if str(host).startswith("scoped"):  # an IPv6 address as a network interface has it
        assert options["type"] == socket.SOCK_STREAM
        return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::ffff:127.0.0.1", arguments[0], 0, 1))]
    return original(host, *arguments, **options)
socket.getaddrinfo = getaddrinfo
"""


@thrice
def test_dead_names_cost_only_themselves(tree: Path, provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(SWALLOWS)
    dead = [f"http://dead{number}.example.com/v1" for number in range(40)]
    healthy = provider.good.replace("127.0.0.1", "localhost")
    with processes.site(tree, openai=[*dead, (healthy, {"prefix_id": "good"})], before=tmp_path) as webui:
        listing = webui.models()
        assert "good.beside" in listing.ids
        assert listing.seconds < 2
        ollama = provider.fault("ollama-like", "ollama").replace("127.0.0.1", "localhost")
        webui.connect([], [*(f"http://dead-too{number}.example.com" for number in range(40)), ollama])
        assert "beside" in webui.models().ids  # the shared session of Ollama and chats
        webui.connect([provider.good.replace("127.0.0.1", "scoped.example.com")])
        assert "beside" in webui.models().ids
