"""A provider that is away for a moment keeps its models, marked as stale, also over a restart."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from docker import DockerClient

from containers import GOOD, provider, webui
from webui_fork import engine


def test_models_stay_while_their_provider_is_away(client: DockerClient, image: str) -> None:
    with engine.network(client) as network, webui(client, image, network) as site:
        with provider(client, image, network):
            site.connect([GOOD])
            first = site.models()
            assert first.ids == ["beside"]
            assert "stale" not in first.models[0]
        away = site.models().get("beside")
        assert away
        assert away["stale"] is True
        assert isinstance(away["stale_since"], int)
        restarted = site.restart()
        with ThreadPoolExecutor(5) as pool:  # everybody comes back at once
            lists = list(pool.map(lambda _: restarted.models(), range(5)))
        assert [(found.get("beside") or {}).get("stale") for found in lists] == [True] * 5
