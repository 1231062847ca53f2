"""One misbehaving connection never costs the models of another."""

from __future__ import annotations

import pytest

from containers import GOOD, Site, fault


@pytest.mark.parametrize("name", ["string", "list-of-numbers"])
def test_an_openai_connection_that_answers_nonsense_costs_only_itself(webui: Site, name: str) -> None:
    webui.connect([(GOOD, {"prefix_id": "good"}), fault(name)])
    assert "good.beside" in webui.models().ids


def test_an_ollama_that_answers_nonsense_costs_only_itself(webui: Site) -> None:
    webui.connect([], [fault("fine", "ollama"), fault("string", "ollama")])
    assert "beside" in webui.models().ids
