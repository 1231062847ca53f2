"""One failing source, or connection of one, never costs the models of another."""

from __future__ import annotations

import pytest

from processes import Provider, Site


def test_an_ollama_that_answers_nonsense_costs_only_itself(webui: Site, provider: Provider) -> None:
    webui.connect([provider.good], [provider.fault("list-of-numbers", "ollama")])
    listing = webui.models()
    assert listing.status == 200
    assert "beside" in listing.ids


@pytest.mark.parametrize("name", ["string", "list-of-numbers", "other-slot"])
def test_a_connection_of_the_same_source_costs_only_itself(webui: Site, provider: Provider, name: str) -> None:
    webui.connect([(provider.good, {"prefix_id": "good"}), provider.fault(name)])
    assert "good.beside" in webui.models().ids
    webui.connect([], [provider.fault(name, "ollama"), provider.fault("fine", "ollama")])
    assert "beside" in webui.models().ids


def test_a_source_whose_settings_are_malformed_costs_only_itself(webui: Site, provider: Provider) -> None:
    webui.connect([provider.good], [provider.fault("fine", "ollama")])
    webui.set_config("ollama.api_configs", '"x"')
    listing = webui.models()
    assert listing.status == 200
    assert "beside" in listing.ids
    assert "A source of models fails" in webui.log()


def test_what_is_switched_off_or_entered_by_hand(webui: Site, provider: Provider) -> None:
    listed, off = (provider.good, {"model_ids": ["by-hand"]}), (provider.fault("gzip"), {"enable": False})
    webui.connect([listed, off], [(provider.fault("fine", "ollama"), {"enable": False})])
    assert webui.models().ids == ["by-hand"]
