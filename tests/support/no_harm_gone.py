"""What stock does right, the rows about a connection that is gone: it goes on with those that are there."""

from __future__ import annotations

import json

from no_harm import LISTED, MODEL, PIPES, SAME, Case, row

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
    filters = {"data": [{"id": "f", "pipeline": {"type": "filter", "pipelines": ["*"], "priority": 0}}]}
    case.site.connect([case.provider.good, case.url("late", body={**filters, "pipelines": True}, wait=2.5)])
    case.site.models(LISTED)
    case.site.chat("beside")
    return sum(case.name("late") in request and "/filter/inlet" in request for request in case.provider.asked())


@row("more", ENABLE_CUSTOM_MODEL_FALLBACK="true")
def what_all_failed_at_one_list_does_when_it_is_back(case: Case) -> int:
    """Nobody lists again: stock's registry is the one from before."""
    case.site.set_config("evaluation.arena.models", json.dumps([{"id": "any", "name": "Any", "meta": {}}]))
    case.site.sql("DELETE FROM model")
    case.site.sql(MODEL, "preset-back", "back-0", "Preset", "{}")
    case.site.set_config("ui.default_models", '""')
    back = {"data": [{"id": f"back-{number}"} for number in range(3)]}
    case.site.connect([case.url("back", body=back)])
    case.ids()
    case.url("back", hang_up=True)
    case.ids()
    case.url("back", body=back)
    return case.answers("any", 4) + case.answers("preset-back")


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
