"""One failing source, or connection of one, never costs the models of another."""

from __future__ import annotations

import re

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


def test_the_log_names_what_fails(webui: Site, provider: Provider) -> None:
    ollama = provider.script("ps", "ollama", body={"models": [{"model": "same", "name": "same"}]}, ps="nonsense")
    nonsense = [provider.script(f"no-{slot}", slot, body="no list") for slot in ("openai", "ollama")]
    webui.connect(nonsense[:1], [ollama, nonsense[1]])
    webui.models()
    for connection in ("OpenAI connection 0", "Ollama connection 1", "Ollama ps connection 0"):
        assert re.search(rf"{connection} .*fails: ", webui.log())


def test_what_an_ollama_has_loaded(webui: Site, provider: Provider) -> None:
    model = {"model": "same", "name": "same"}
    loaded = {"models": [{**model, "expires_at": "2030-01-01T00:00:00Z"}]}
    webui.connect([], [provider.script("loads", "ollama", body={"models": [model]}, ps=loaded)])
    assert (webui.models().get("same") or {})["loaded"] is True


def test_each_source_has_its_own_models(webui: Site, provider: Provider) -> None:
    models = {"models": [{"model": "local", "name": "local"}]}
    webui.connect([provider.good], [provider.script("local", "ollama", body=models)])
    owners = {model["id"]: model["owned_by"] for model in webui.models().models}
    assert owners == {"beside": "openai", "local": "ollama"}
    assert webui.models().ids == ["beside", "local"]
