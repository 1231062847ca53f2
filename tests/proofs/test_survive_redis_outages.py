"""A Redis that is gone or frozen costs a short time-out, not a 500."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from docker import DockerClient

from containers import GOOD, Site, provider, webui
from hosted import Hosted, gateway, redis
from webui_fork import engine, settings


@contextmanager
def with_redis(client: DockerClient, image: str) -> Iterator[tuple[Site, Hosted]]:
    with engine.network(client) as network, redis(settings.load(), gateway(client, network)) as running:
        url = f"redis://{running.host}:{running.port}/0"
        env = {"REDIS_URL": url, "WEBSOCKET_MANAGER": "redis", "WEBSOCKET_REDIS_URL": url}
        with provider(client, image, network), webui(client, image, network, env=env) as site:
            site.connect([GOOD])
            assert "beside" in site.models().ids
            yield site, running


@pytest.mark.parametrize("how", ["gone", "frozen"])
def test_the_list_does_without_redis(client: DockerClient, image: str, how: str) -> None:
    with with_redis(client, image) as (site, running):
        if how == "gone":
            running.child.kill()
            running.child.wait()
        else:
            running.freeze()
        for _ in range(2):
            found = site.models()
            assert found.status == 200
            assert "beside" in found.ids
            assert found.seconds < 2
