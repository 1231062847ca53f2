"""What stock does right, the rows about a connection that is gone: it goes on with those that are there."""

from __future__ import annotations

import json

from no_harm import MODEL, Case, row

# Rows with the fallback have a server of their own. The arena is first: what other rows leave in the registry is drawn.


def one_of_two_goes(case: Case) -> None:
    """Connect two providers, and have one go."""
    gone, spare = ({"data": [{"id": f"{name}-{number}"} for number in range(5)]} for name in ("gone", "spare"))
    case.site.connect([case.url("gone", body=gone), case.url("spare", body=spare)])
    case.ids()
    case.url("gone", hang_up=True)
    case.ids()


@row("more", ENABLE_CUSTOM_MODEL_FALLBACK="true")
def an_arena_draws_who_is_there(case: Case) -> int:
    case.site.set_config("evaluation.arena.enable", "true")
    arenas = [
        {"id": "any", "name": "Any", "meta": {}},
        {"id": "but", "name": "But", "meta": {"model_ids": ["spare-1"], "filter_mode": "exclude"}},
    ]
    case.site.set_config("evaluation.arena.models", json.dumps(arenas))
    one_of_two_goes(case)
    answered = case.answers("any", 8) + case.answers("but", 8)
    form = {"model": "any", "messages": [{"role": "user", "content": "hi"}]}
    return answered + sum(case.site.call("POST", "/api/v1/tasks/title/completions", json=form).ok for _ in range(8))


@row("more", ENABLE_CUSTOM_MODEL_FALLBACK="true")
def a_preset_goes_on_with_the_default_model(case: Case) -> int:
    case.site.sql(MODEL, "preset-gone", "gone-0", "Preset", "{}")
    case.site.set_config("ui.default_models", '"spare-0"')
    one_of_two_goes(case)
    return case.answers("preset-gone")


@row("more", ENABLE_CUSTOM_MODEL_FALLBACK="true")
def a_title_is_made_without_the_model_that_is_for_it(case: Case) -> int:
    case.site.set_config("task.model.external", '"gone-0"')
    one_of_two_goes(case)
    form = {"model": "spare-0", "messages": [{"role": "user", "content": "hi"}]}
    return case.site.call("POST", "/api/v1/tasks/title/completions", json=form).status_code == 200


@row("more")
def a_chat_goes_on_without_the_filter_of_a_server_that_fails(case: Case) -> int:
    filters = {"data": [{"id": "f", "pipeline": {"type": "filter", "pipelines": ["*"], "priority": 0}}]}
    case.site.connect([case.provider.good, case.url("filters", body={**filters, "pipelines": True})])
    case.ids()
    case.url("filters", status="503 Service Unavailable", body={"detail": "away"})
    case.ids()
    return case.answers("beside")
