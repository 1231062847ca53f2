"""One failing or silent source never fails or stalls the model list."""

from __future__ import annotations

from containers import site
from webui_fork.engine import Engine


def test_an_ollama_that_answers_nonsense_costs_only_itself(docker_engine: Engine, image: str) -> None:
    with site(docker_engine.client, image, openai=[8000], ollama=[8002]) as webui:
        found = webui.models()
        assert found.status == 200
        assert "good-model" in found.ids


def test_a_silent_ollama_does_not_stall_the_list(docker_engine: Engine, image: str) -> None:
    with site(docker_engine.client, image, openai=[8000], ollama=[8001]) as webui:
        found = webui.models()
        assert "good-model" in found.ids
        assert found.seconds < 3
