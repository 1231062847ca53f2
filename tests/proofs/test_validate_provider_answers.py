"""A malformed entry or field goes, not the list."""

from __future__ import annotations

import pytest

from containers import Site, fault

OPENAI = ["id-number", "id-list", "id-surrogate", "pipeline-string", "actions-objects"]


@pytest.mark.parametrize("name", OPENAI)
def test_what_is_beside_a_malformed_openai_entry_is_listed(webui: Site, name: str) -> None:
    webui.connect([fault(name)])
    found = webui.models()
    assert "beside" in found.ids
    assert all(isinstance(model.get("id"), str) and isinstance(model.get("name"), str) for model in found.models)


@pytest.mark.parametrize("name", ["name-missing", "id-number", "nan"])
def test_what_is_beside_a_malformed_ollama_entry_is_listed(webui: Site, name: str) -> None:
    webui.connect([], [fault(name, "ollama")])
    found = webui.models()
    assert "beside" in found.ids
    assert all(isinstance(model.get("id"), str) and isinstance(model.get("name"), str) for model in found.models)
