"""A malformed row in the database costs itself, not the list."""

from __future__ import annotations

import pytest

from processes import Provider, Site

MODEL = "INSERT INTO model (id, user_id, base_model_id, name, params, meta, is_active, updated_at, created_at) \
VALUES (?, 'x', ?, ?, ?, ?, 1, 0, 0)"
FUNCTION = "INSERT INTO function (id, user_id, name, type, content, meta, valves, is_active, is_global, updated_at, \
created_at) VALUES (?, 'x', ?, ?, 'class Pipe: pass', ?, ?, 1, 0, 0, 0)"
# name, params, meta
ROWS = {
    "no-json-params": ("Custom", "{", "{}"),
    "no-json-meta": ("Custom", "{}", '{"actionIds"'),
    "actions-null": ("Custom", "{}", '{"actionIds": null}'),
    "actions-objects": ("Custom", "{}", '{"actionIds": [{"a": 1}]}'),
    "filters-number": ("Custom", "{}", '{"filterIds": 7}'),
    "nan": ("Custom", "{}", '{"x": NaN}'),
    "surrogate": ("Custom", "{}", '{"x": "\\ud800"}'),
    "system": ("Custom", '{"system": {"a": 1}}', "{}"),
}


@pytest.fixture(autouse=True)
def connected(webui: Site, provider: Provider) -> None:
    webui.connect([provider.good])
    webui.sql("DELETE FROM model")
    webui.sql("DELETE FROM function")


@pytest.mark.parametrize("kind", ROWS)
def test_a_malformed_model_costs_itself(webui: Site, kind: str) -> None:
    name, params, meta = ROWS[kind]
    webui.sql(MODEL, "custom", "beside", name, params, meta)
    webui.sql(MODEL, "sound", "beside", "Sound", "{}", '{"actionIds": ["a", null, 5], "filterIds": ["", " "]}')
    listing = webui.models()
    assert listing.status == 200
    assert {"beside", "sound"} <= set(listing.ids)
    assert "cache_ok" not in webui.log()  # SQLAlchemy's warning that it can't cache a statement
    if kind not in ("no-json-params", "no-json-meta", "system"):
        assert "custom" not in listing.ids


def test_a_malformed_one_hides_what_it_hid(webui: Site) -> None:
    webui.sql(MODEL, "beside", None, "Hidden", "{}", '{"actionIds": 7}')
    listing = webui.models()
    assert listing.status == 200
    assert "beside" not in listing.ids


@pytest.mark.parametrize("kind", ["pipe", "action", "filter"])
@pytest.mark.parametrize(("name", "meta", "valves"), [("F", "{", None), ("F", "{}", "{"), ("F", "7", None)])
def test_a_malformed_function_costs_itself(webui: Site, kind: str, name: str, meta: str, valves: str | None) -> None:
    webui.function("sound_pipe", "class Pipe: pass\n")
    webui.function("sound_action", "class Action: pass\n")
    webui.sql(FUNCTION, "bad", name, kind, meta, valves)
    webui.sql("UPDATE function SET is_global = 1")
    listing = webui.models()
    assert listing.status == 200
    assert {"beside", "sound_pipe"} <= set(listing.ids)  # the functions beside it
    assert "sound_action" in [action["id"] for action in (listing.get("beside") or {})["actions"]]
    if meta == "7":
        assert "Skipping the malformed FunctionModel 'bad'" in webui.log()
