"""A malformed row or setting in the database costs itself, not the list."""

from __future__ import annotations

import pytest

from containers import GOOD, Site, fault

MODEL = "INSERT INTO model (id, user_id, base_model_id, name, params, meta, is_active, updated_at, created_at) \
VALUES (?, 'x', ?, 'Custom', ?, ?, 1, 0, 0)"
META = {
    "actions-null": '{"actionIds": null}',
    "actions-objects": '{"actionIds": [{"a": 1}], "filterIds": 7}',
    "no-json": '{"actionIds"',
}
SETTINGS = {
    "evaluation.arena.models": ['[{"id": "arena"}]', "[null, 7]", '"arena"'],
    "models.default_metadata": ['"x"', '{"capabilities": "x"}', "[1]"],
    "models.default_params": ['"x"', "[1]"],
    "ui.model_order_list": ['[["a"], {"b": 1}]', "7"],
}


@pytest.fixture(autouse=True)
def connected(webui: Site) -> None:
    webui.connect([GOOD])
    webui.sql("DELETE FROM model")
    for key in SETTINGS:
        webui.sql("DELETE FROM config WHERE key = ?", key)


@pytest.mark.parametrize("kind", META)
def test_a_malformed_model_costs_itself(webui: Site, kind: str) -> None:
    webui.sql(MODEL, "custom", "beside", "{}", META[kind])
    assert "beside" in webui.models().ids


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in SETTINGS.items() for value in values])
def test_a_malformed_setting_costs_itself(webui: Site, key: str, value: str) -> None:
    webui.sql(MODEL, "custom", "beside", "{}", "{}")
    webui.set_config("evaluation.arena.enable", "true")
    webui.set_config(key, value)
    assert {"beside", "custom"} <= set(webui.models().ids)


@pytest.mark.parametrize("configs", ['{"0": null}', '{"0": "x"}'])
def test_a_malformed_connection_costs_itself(webui: Site, configs: str) -> None:
    webui.connect([], [fault("silent", "ollama"), fault("fine", "ollama")])
    webui.set_config("ollama.api_configs", configs)
    assert "beside" in webui.models().ids


def test_a_malformed_url_costs_itself(webui: Site) -> None:
    webui.connect([GOOD, ("http://[::1/v1", {"model_ids": ["listed"]})])
    assert "beside" in webui.models().ids


def test_an_action_with_an_odd_icon_costs_itself(webui: Site) -> None:
    body = "class Action:\n    icon_url = b'x'\n    actions = [{'id': 'a', 'icon_url': object()}, None]\n"
    webui.function("odd_action", body)
    webui.sql("UPDATE function SET is_global = 1")
    assert "beside" in webui.models().ids
