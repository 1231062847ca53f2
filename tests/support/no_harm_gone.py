"""What stock does right, the rows about a connection that is gone: it goes on with those that are there."""

from __future__ import annotations

import json
import time

from no_harm import LISTED, MODEL, PIPES, SAME, Case, row

FILTERS = {
    "data": [{"id": "f", "pipeline": {"type": "filter", "pipelines": ["*"], "priority": 0}}],
    "pipelines": True,
}


def filtered(case: Case, name: str) -> int:
    """Return how many chats went through the filter of a provider."""
    return sum(case.name(name) in request and "/filter/inlet" in request for request in case.provider.asked())


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
    case.site.connect([case.provider.good, case.url("filters", body=FILTERS)])
    case.ids()
    case.url("filters", status="503 Service Unavailable", body={"detail": "away"})
    case.ids()
    return case.answers("beside")


# what a hurried list goes on without is not gone: a chat goes by the list that stock would have made


@row()
def a_model_of_two_goes_to_the_first_which_lists_late(case: Case) -> str:
    case.site.connect([case.url("own", body=SAME, wait=2.5), case.url("other", body=SAME)])
    case.site.models(LISTED)
    case.url("own", body=SAME)  # its chats are answered at once: else another one stands in for it
    answer = case.site.chat("same").json()["choices"][0]["message"]["content"]
    return str(answer.rpartition("-")[2])


@row("more")
def a_filter_of_a_server_that_lists_late(case: Case) -> int:
    """The first chat after the first list is sent through it."""
    case.site.connect([case.provider.good, case.url("late", body=FILTERS, wait=2.5)])
    case.site.models(LISTED)
    case.site.chat("beside")
    return filtered(case, "late")


def all_fail_at_one_list(case: Case, **bodies: object) -> None:
    """Connect providers that fail at one list, all of them; they are back, and nobody lists again."""
    case.site.connect([case.url(name, body=body) for name, body in bodies.items()])
    case.ids()
    for name in bodies:
        case.url(name, hang_up=True)
    case.ids()
    for name, body in bodies.items():
        case.url(name, body=body)
    time.sleep(1.2)  # an empty list is cached for a second


BACK = {"data": [{"id": f"back-{number}"} for number in range(3)]}


@row("more", ENABLE_CUSTOM_MODEL_FALLBACK="true")
def what_all_failed_at_one_list_does_when_it_is_back(case: Case) -> int:
    case.site.set_config("evaluation.arena.models", json.dumps([{"id": "any", "name": "Any", "meta": {}}]))
    case.site.sql("DELETE FROM model")
    case.site.sql(MODEL, "preset-back", "back-0", "Preset", "{}")
    case.site.set_config("ui.default_models", '""')
    all_fail_at_one_list(case, back=BACK)
    return case.answers("any", 4) + case.answers("preset-back")


@row("more")
def a_filter_of_a_server_that_failed_with_all_others(case: Case) -> int:
    all_fail_at_one_list(case, back=BACK, filters=FILTERS)
    case.site.chat("back-0")
    return filtered(case, "filters")


@row("more", ENABLE_CUSTOM_MODEL_FALLBACK="true")
def an_arena_draws_no_function_that_fails(case: Case) -> int:
    case.site.sql("DELETE FROM model")
    mark = case.site.data / "down"
    body = "import os\n" + PIPES.format(
        f"if os.path.exists({str(mark)!r}): raise OSError('away')\n"
        "        return [{'id': str(n), 'name': str(n)} for n in range(9)]"
    )
    case.site.function("away", body + f"    def pipe(self, body): open({str(mark)!r} + '-no').read()\n")
    case.site.set_config("evaluation.arena.models", json.dumps([{"id": "any", "name": "Any", "meta": {}}]))
    case.site.connect([case.url("there", body={"data": [{"id": "there"}]})])
    case.ids()
    mark.touch()
    case.ids()
    answered = case.answers("any", 8)
    case.site.sql("DELETE FROM function")
    return answered


@row("more")
def a_function_whose_pipes_can_not_be_looked_at(case: Case) -> int:
    case.site.function("sound", PIPES.format("return [{'id': 'a', 'name': 'A'}]"))
    case.site.function("broken", "class Pipe:\n    @property\n    def pipes(self): raise OSError('away')\n")
    names = case.ids()
    case.site.sql("DELETE FROM function")
    return "sound.a" in names
