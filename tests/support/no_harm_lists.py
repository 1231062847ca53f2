"""What stock does right, the rows about connections, chats and lists."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from no_harm import LISTED, MODEL, SAME, Case, row

CACHES_CLEARED = 4.0  # seconds after an answer that came late: until then the series has lists made anew


def fail_over(case: Case, slot: str, **config: Any) -> int:
    names = [f"{number}-{slot}-{len(config)}" for number in range(2)]
    urls: list[Any] = [(case.url(name, slot, body=SAME), config) for name in names]
    case.site.connect(*([urls] if slot == "openai" else [[], urls]))
    case.ids()
    case.url(names[0], slot, hang_up=True)
    case.ids()
    return case.answers(f"{config['prefix_id']}.same" if "prefix_id" in config else "same", 6)


@row("more")
def openai_fails_over_to_the_next_connection(case: Case) -> int:
    return fail_over(case, "openai")


@row("more")
def openai_with_a_prefix_fails_over(case: Case) -> int:
    return fail_over(case, "openai", prefix_id="p")


@row("more")
def ollama_fails_over_to_the_next_server(case: Case) -> int:
    return fail_over(case, "ollama")


@row("more")
def ollama_with_a_filter_fails_over(case: Case) -> int:
    return fail_over(case, "ollama", model_ids=["same"])


@row("more")
def a_dead_ollama_gives_way_to_an_openai_connection(case: Case) -> int:
    case.site.connect([case.url("openai", body=SAME)], [case.url("ollama", "ollama", body=SAME)])
    case.ids()
    case.url("ollama", "ollama", hang_up=True)
    case.ids()
    return case.answers("same")


@row("more")
def one_that_is_slow_once_beats_one_that_is_dead(case: Case) -> int:
    for slot in ("openai", "ollama"):
        dead, slow = (case.url(name + slot, slot, body=SAME) for name in ("dead", "slow"))
        case.site.connect(*([[dead, slow]] if slot == "openai" else [[], [dead, slow]]))
        case.ids()
        case.url("dead" + slot, slot, hang_up=True)
        case.url("slow" + slot, slot, body=SAME, wait=1.2)
        case.ids()
        case.url("slow" + slot, slot, body=SAME)
        if case.answers("same", 2) < 2:
            return 0
    return 2


@row()
def a_provider_that_takes_a_second_is_fresh(case: Case) -> list[bool]:
    case.site.connect([case.url("slow", wait=1.2)])
    return [("stale" in model) for _ in range(4) for model in case.site.models().models]


@row("more")
def a_chat_is_the_first_thing_anybody_wants(case: Case) -> int:
    case.site.connect([case.url("slow", wait=1.2), case.url("slower", body={"data": [{"id": "slower"}]}, wait=3)])
    return case.answers("beside", 1) + case.answers("slower", 1)


@row("more")
def a_preset_whose_base_answers_late(case: Case) -> int:
    case.site.sql(MODEL, "preset-late", "late-base", "Preset", "{}")
    case.site.connect([case.url("late", body={"data": [{"id": "late-base"}]}, wait=2.5), case.provider.good])
    case.ids()
    time.sleep(2)
    return case.answers("preset-late", 2)


@row()
def the_other_doors_to_a_chat_wait_too(case: Case) -> list[int]:
    form = {"messages": [{"role": "user", "content": "hi"}], "stream": False}
    case.site.connect([case.url("late", body={"data": [{"id": "l1"}]}, wait=2.5)])
    case.ids()
    one = case.site.call("POST", "/openai/chat/completions", json={**form, "model": "l1"}).status_code
    body = {"models": [{"model": "l2", "name": "l2"}]}
    case.site.connect([], [case.url("late-too", "ollama", body=body, wait=2.5)])
    case.ids()
    return [one, case.site.call("POST", "/ollama/api/chat", json={**form, "model": "l2"}).status_code]


@row("less", slack=2.0)
def an_unknown_model_is_refused_soon(case: Case) -> float:
    case.site.connect([case.url("silent", wait=30), case.provider.good])
    case.ids()
    time.sleep(11)  # it has failed by now
    start = time.monotonic()
    assert case.site.chat("nobody").status_code == 400
    return time.monotonic() - start


@row()
def a_disabled_connection_lists_nothing_and_is_not_asked(case: Case) -> tuple[list[Any], int]:
    case.site.connect([(case.url("off"), {"enable": False}), case.provider.good])
    return case.ids(), case.asked("off")


@row()
def models_that_the_admin_listed_are_not_asked_for(case: Case) -> tuple[list[Any], int]:
    case.site.connect([(case.url("listed"), {"model_ids": ["a", "b"]})])
    return case.ids(), case.asked("listed")


@row()
def what_a_connection_adds_to_its_models(case: Case) -> list[Any]:
    config = {"tags": [{"name": "t"}], "connection_type": "local", "prefix_id": "p", "provider": "llama.cpp"}
    case.site.connect([(case.url("adds"), config)], [(case.url("adds-too", "ollama"), {"tags": [{"name": "o"}]})])
    models = sorted(case.site.models().models, key=lambda model: str(model["id"]))
    return [[model.get(key) for key in ("id", "name", "tags", "connection_type", "provider")] for model in models]


@row()
def connections_in_another_order(case: Case) -> list[Any]:
    bodies = [{"data": [{"id": "m0"}]}, {"data": [{"id": "m1"}]}]
    urls = [case.url(f"o{number}", body=body) for number, body in enumerate(bodies)]
    case.site.connect(urls)
    first = [(model["id"], model["urlIdx"]) for model in case.site.models().models if "urlIdx" in model]
    case.site.connect(urls[::-1])
    return [first, [(model["id"], model["urlIdx"]) for model in case.site.models().models if "urlIdx" in model]]


@row()
def a_new_key_is_used_at_once(case: Case) -> list[bool]:
    url = case.url("key")
    case.site.connect([url], keys=["first"])
    case.ids()
    case.site.connect([url], keys=["second"])
    case.ids()
    mine = [request for request in case.provider.asked() if f"/{case.name('key')}/" in request]
    return [f"Bearer {key}" in mine[-1] for key in ("first", "second")]


@row()
def a_key_that_is_refused_shows_no_models(case: Case) -> list[Any]:
    case.site.connect([case.url("refuses")])
    case.ids()
    case.url("refuses", status="403 Forbidden", body={"error": "no"})
    return case.ids()


@row()
def an_emptied_list_is_empty(case: Case) -> list[Any]:
    case.site.connect([case.url("empties"), (case.provider.good, {"prefix_id": "g"})])
    case.ids()
    case.url("empties", body={"data": []})
    return case.ids()


@row()
def one_that_comes_back_is_listed_at_once(case: Case) -> list[bool]:
    case.site.connect([case.url("back", hang_up=True)])
    case.ids()
    case.url("back")
    return ["stale" in model for model in case.site.models().models]


@row()
def the_page_of_pipelines(case: Case) -> Any:
    case.site.connect([case.provider.good, case.url("pipelines", body={"data": [], "pipelines": True})])
    return [entry["idx"] for entry in case.site.call("GET", "/api/v1/pipelines/list").json()["data"]]


@row()
def a_filter_pipeline_is_hidden(case: Case) -> list[Any]:
    body = {"data": [{"id": "f", "pipeline": {"type": "filter"}}, {"id": "p", "pipeline": {"type": "pipe"}}]}
    case.site.connect([case.url("filters", body=body)])
    return case.ids()


@row()
def the_other_lists(case: Case) -> list[Any]:
    case.site.connect([case.url("lists")], [case.url("lists-too", "ollama")])
    case.ids()
    paths = {
        "/openai/models": "data",
        "/openai/models/0": "data",
        "/ollama/api/tags": "models",
        "/api/models/base": "data",
    }
    return [[m.get("id") or m.get("model") for m in case.site.call("GET", p).json()[k]] for p, k in paths.items()]


@row()
def the_settings_are_as_the_admin_wrote_them(case: Case) -> Any:
    case.site.connect([case.url("written") + "/", " http://127.0.0.1:9/v1 "], [case.url("w", "ollama") + "/"])
    case.ids()
    return [
        [url.replace(case.tree, "tree") for url in case.site.call("GET", path).json()[key]]
        for path, key in (("/openai/config", "OPENAI_API_BASE_URLS"), ("/ollama/config", "OLLAMA_BASE_URLS"))
    ]


@row("less", slack=2)
def requests_of_ten_lists_beyond_one_a_second(case: Case) -> int:
    def beyond(name: str) -> int:
        case.site.connect([case.url(name)])
        case.ids(LISTED)
        time.sleep(CACHES_CLEARED)  # where this answer, or one of the row before, came late
        before, begun = case.asked(name), time.monotonic()
        for _ in range(10):
            case.ids(LISTED)
        return max(0, case.asked(name) - before - int(time.monotonic() - begun))  # a slow minute is nobody's merit

    return min(beyond(f"counted{attempt}") for attempt in range(3))


@row("less")
def requests_of_twenty_lists_at_once(case: Case) -> int:
    case.site.connect([case.url("crowd", wait=0.3)])
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _: case.site.models(), range(20)))
    return case.asked("crowd")


@row()
def two_thousand_models(case: Case) -> int:
    case.site.connect([case.provider.script(case.name("many"), body={"data": [{"id": f"m{n}"} for n in range(2000)]})])
    return len(set(case.ids()) & {f"m{number}" for number in range(2000)})


@row()
def models_in_the_database(case: Case) -> list[Any]:
    case.site.sql(MODEL, "on-base", "beside", "Preset", '{"actionIds": [], "filterIds": [""]}')
    case.site.sql(MODEL, "beside", None, "Renamed", '{"description": "d"}')
    case.site.connect([case.url("base")])
    models = {model["id"]: model for model in case.site.models().models}
    case.site.sql("DELETE FROM model WHERE id IN ('on-base', 'beside')")
    return [models["beside"]["name"], models["beside"]["info"]["meta"].get("description"), "on-base" in models]


@row()
def a_model_that_is_switched_off(case: Case) -> list[Any]:
    case.site.sql(MODEL, "beside", None, "Off", "{}")
    case.site.sql("UPDATE model SET is_active = 0 WHERE id = 'beside'")
    case.site.connect([case.url("off"), (case.provider.good, {"prefix_id": "g"})])
    ids = case.ids()
    case.site.sql("DELETE FROM model WHERE id = 'beside'")
    return ids


@row()
def the_arena_and_the_admins_order(case: Case) -> list[Any]:
    case.site.connect([case.url("arena", body={"data": [{"id": "a"}, {"id": "b"}]})])
    case.site.set_config("evaluation.arena.enable", "true")
    case.site.set_config("evaluation.arena.models", json.dumps([{"id": "ring", "name": "Ring", "meta": {"x": 1}}]))
    case.site.set_config("ui.model_order_list", '["b", "ring", "a"]')
    ids = [model for model in case.site.models().ids if model in ("a", "b", "ring")]
    for key in ("evaluation.arena.enable", "evaluation.arena.models", "ui.model_order_list"):
        case.site.sql("DELETE FROM config WHERE key = ?", key)
    return ids


@row()
def default_metadata(case: Case) -> Any:
    case.site.set_config("models.default_metadata", '{"capabilities": {"vision": false}}')
    case.site.connect([case.url("meta")])
    model = case.site.models().get("beside") or {}
    case.site.sql("DELETE FROM config WHERE key = 'models.default_metadata'")
    return model["info"]["meta"]


@row("more")
def an_answer_in_latin_1(case: Case) -> bool:
    headers = {"Content-Type": "application/json; charset=iso-8859-1"}
    case.site.connect([case.url("latin", headers=headers)])
    return "beside" in case.ids()


@row("more")
def a_list_with_an_odd_status(case: Case) -> int:
    count = 0
    for status in ("203 Odd", "400 Bad Request", "500 Internal Server Error"):
        case.site.connect([case.url(f"status{status[:3]}", status=status)])
        count += "beside" in case.ids()
    return count


@row("more")
def verifying_what_works(case: Case) -> int:
    forms = [
        ("openai", case.url("v1"), {}),
        ("ollama", case.url("v2", "ollama"), {}),
        ("openai", case.url("v3"), {"azure": True}),
    ]
    return sum(
        case.site.call("POST", f"/{slot}/verify", json={"url": url, "key": "k", "config": config}).status_code == 200
        for slot, url, config in forms
    )


@row()
def the_version_of_ollama(case: Case) -> Any:
    case.site.connect([], ["http://127.0.0.1:9", case.url("version", "ollama")])
    return case.site.call("GET", "/ollama/api/version").json()


@row()
def two_base_urls_of_one_host(case: Case) -> list[Any]:
    case.site.connect([case.url("host", body={"data": [{"id": "v1"}]}), case.url("host").removesuffix("/v1")])
    case.url("host", body={"data": [{"id": "v1"}]})
    return [model["urlIdx"] for model in case.site.models().models if model["id"] == "v1"]
