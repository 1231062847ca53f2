"""A name server that swallows queries blocks only the names it is asked for."""

from __future__ import annotations

from docker import DockerClient

from containers import GOOD, site


def test_eight_dead_names_cost_only_themselves(client: DockerClient, image: str) -> None:
    dead = [f"http://dead{number}.example.com/v1" for number in range(8)]
    with site(client, image, openai=[*dead, (GOOD, {"prefix_id": "good"})], dead_dns=True) as webui:
        found = webui.models()
        assert "good.beside" in found.ids
        assert found.seconds < 2
