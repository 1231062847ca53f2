"""A Redis that does not answer costs the model list a moment; nothing else of it is touched."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import outages
import processes
from outages import Line
from processes import Provider, Site
from seconds import thrice


@contextmanager
def with_redis(tree: Path, provider: Provider, **env: str) -> Iterator[tuple[Site, Line]]:
    with outages.redis() as running:
        url = f"redis://{running.host}/0"
        settings = {"REDIS_URL": url, "WEBSOCKET_MANAGER": "redis", "WEBSOCKET_REDIS_URL": url, **env}
        with processes.webui(tree, env=settings) as site:
            site.connect([provider.good])
            assert "beside" in site.models().ids
            yield site, running


@thrice
def test_the_list_and_chats_do_without_redis(tree: Path, provider: Provider) -> None:
    with with_redis(tree, provider) as (site, redis):
        site.connect([provider.script("chats")])
        assert "beside" in site.models().ids
        assert "hello" in site.chat("beside").text
        redis.refuse()
        for _ in range(2):
            assert "hello" in site.chat("beside").text  # by what was read of the registry last
        for path in ("/api/models?refresh=true", "/api/models"):
            listing = site.models(path)
            assert listing.status == 200
            assert "beside" in listing.ids
            assert listing.seconds < 2
        assert "hello" in site.chat("beside").text
        assert "Redis has no cached list" in site.log()
        redis.allow()
        assert "beside" in site.models().ids


@pytest.mark.parametrize("key", ["models:base"])
@thrice
def test_the_cached_list_is_not_waited_for_for_long(tree: Path, provider: Provider, key: str) -> None:
    with with_redis(tree, provider) as (site, redis):
        site.set_config("models.base_models_cache", "true")
        assert "beside" in site.models().ids
        before = provider.lists("fine")
        assert "beside" in site.models("/api/models").ids
        assert provider.lists("fine") == before  # from Redis
        redis.hold(key, 5)
        for path in ("/api/models", "/api/models?refresh=true"):
            listing = site.models(path)
            assert listing.status == 200
            assert "beside" in listing.ids
            assert 0.9 < listing.seconds < 4
        redis.hold(key, 0.6)  # what is late and there is used
        redis.hold("nothing", 0)
        time.sleep(0.1)
        before = provider.lists("fine")
        assert "beside" in site.models("/api/models").ids
        assert provider.lists("fine") == before


def test_a_late_answer_reaches_the_list_without_redis(tree: Path, provider: Provider) -> None:
    with with_redis(tree, provider, MODELS_CACHE_TTL="300") as (site, redis):
        site.connect([provider.good, provider.script("redis-late", body={"data": [{"id": "late"}]}, wait=2.5)])
        assert "late" not in site.models().ids
        redis.refuse()
        time.sleep(2.5)
        assert "late" in site.models("/api/models").ids


def test_a_late_answer_reaches_the_list_that_redis_keeps(tree: Path, provider: Provider) -> None:
    with with_redis(tree, provider) as (site, _):
        site.set_config("models.base_models_cache", "true")
        site.connect([provider.good, provider.script("kept-late", body={"data": [{"id": "late"}]}, wait=2.5)])
        assert "late" not in site.models().ids
        time.sleep(2.5)
        assert "late" in site.models("/api/models").ids
