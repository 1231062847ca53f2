"""One silent or slow OpenAI-compatible connection never costs the models of another."""

from __future__ import annotations

import time

from containers import site
from webui_fork.engine import Engine


def test_a_silent_connection_costs_only_itself(docker_engine: Engine, image: str) -> None:
    with site(docker_engine.client, image, openai=[8000, 8001]) as webui:
        found = webui.models()
        assert "good-model" in found.ids
        assert found.seconds < 2


def test_a_slow_connection_shows_up_when_it_has_answered(docker_engine: Engine, image: str) -> None:
    with site(docker_engine.client, image, openai=[8000, 8003]) as webui:
        first = webui.models()
        assert "good-model" in first.ids
        assert first.seconds < 2
        time.sleep(4)
        assert set(webui.models().ids) >= {"good-model", "slow-model"}
