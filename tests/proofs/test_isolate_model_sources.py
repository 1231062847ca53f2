"""One failing source never fails the model list."""

from __future__ import annotations

from containers import GOOD, Site, fault


def test_an_ollama_that_answers_nonsense_costs_only_itself(webui: Site) -> None:
    webui.connect([GOOD], [fault("list-of-numbers", "ollama")])
    found = webui.models()
    assert found.status == 200
    assert "beside" in found.ids
