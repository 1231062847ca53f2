"""A malformed or huge answer costs its provider its models; a malformed entry or field costs itself."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

import processes
from processes import Provider, Site

# of the provider's table, where `beside` is well-formed
OPENAI = ["id-number", "id-list", "id-surrogate", "pipeline-string", "actions-objects", "integer-too-huge", "nan"]
OPENAI += ["info-meta-string", "info-tags-null", "status-list", "entry-number"]
OLLAMA = ["name-missing", "id-number", "nan", "tags-string"]
NUMBERS = itertools.count()
BESIDE = {"id": "beside", "name": "beside", "kept": "as it is"}


def entries(webui: Site, provider: Provider, *odd: Any, **script: Any) -> dict[str, dict[str, Any]]:
    """List what an OpenAI provider sends; return what it is there, by id."""
    name = f"odd{next(NUMBERS)}"  # nothing is remembered of a new connection
    # without a type of the admin's, upstream takes the entry's own
    webui.connect([(provider.script(name, body={"data": [*odd, BESIDE]}, **script), {"connection_type": ""})])
    listing = webui.models()
    assert listing.status == 200
    return {model["id"]: model["openai"] for model in listing.models if "openai" in model}


def test_a_list_that_go_wrote_empty_is_an_empty_list(webui: Site, provider: Provider) -> None:
    """So Ollama answers at /v1/models without models: those it had before are gone."""
    url = provider.script("emptied")
    webui.connect([url])
    assert webui.models().ids
    provider.script("emptied", body={"object": "list", "data": None})
    assert webui.models().ids == []
    assert webui.call("POST", "/openai/verify", json={"url": url, "key": ""}).status_code == 200


@pytest.mark.parametrize("name", OPENAI)
def test_what_is_beside_a_malformed_openai_entry_is_listed(webui: Site, provider: Provider, name: str) -> None:
    webui.connect([provider.fault(name)])
    listing = webui.models()
    assert "beside" in listing.ids
    assert all(isinstance(model.get("id"), str) and isinstance(model.get("name"), str) for model in listing.models)


@pytest.mark.parametrize("name", OLLAMA)
def test_what_is_beside_a_malformed_ollama_entry_is_listed(webui: Site, provider: Provider, name: str) -> None:
    webui.connect([], [provider.fault(name, "ollama")])
    listing = webui.models()
    assert "beside" in listing.ids
    assert all(isinstance(model.get("id"), str) and isinstance(model.get("name"), str) for model in listing.models)


WRONG: dict[str, list[Any]] = {
    "pipeline": ["filter", [], True],
    "pipe": ["x", 1],
    "ollama": [[1], "x"],
    "openai": ["x", []],
    "details": [[], 3],
    "tags": ["x", {}, None],
    "actions": ["x", {}],
    "filters": [7],
    "connection_type": [[], 1],
    "provider": [{}, True],
    "owned_by": [None, 3],
    "arena": [True, {}],
    "urls": [["x"]],
    "stale": [True, 1],
    "stale_since": [5],
    "action_ids": ["ab", [1], [[]], None],
    "filter_ids": [{"a": 1}, ["a", None]],
    "info": ["x", [1], {"meta": "x"}, {"params": 3}],
    "created": ["now", True, {}],
    "urlIdx": ["0", 1.5, True],
    "expires_at": [{}, True, 1.5],
    "status": [[], {"value": []}, 5, {"value": {}}],
}
RIGHT: dict[str, Any] = {
    "pipeline": {"type": "pipe"},
    "details": {"family": "llama"},
    "tags": ["a"],
    "action_ids": [],
    "filter_ids": ["none"],
    "info": {"meta": {"capabilities": {"vision": True}}, "params": {}},
    "created": 5,
    "expires_at": "2026-01-01T00:00:00Z",
    "status": {"value": "loaded"},
    "owned_by": "us",
}


def test_a_field_of_the_wrong_type_goes_and_nothing_else(webui: Site, provider: Provider) -> None:
    odd = [
        {"id": f"{name}-{number}", "other": [name], name: value}
        for name, values in WRONG.items()
        for number, value in enumerate(values)
    ]
    models = entries(webui, provider, *odd)
    for entry in odd:
        model = models[entry["id"]]
        (name,) = entry.keys() - {"id", "other"}
        assert name not in model or model[name] != entry[name], entry
        assert model["other"] == entry["other"]
    assert models["beside"]["kept"] == "as it is"


def test_a_field_of_the_right_type_stays(webui: Site, provider: Provider) -> None:
    models = entries(webui, provider, *({"id": f"has-{name}", name: value} for name, value in RIGHT.items()))
    for name, value in RIGHT.items():
        assert models[f"has-{name}"][name] == value, name
    meta = {"capabilities": "x", "actionIds": "x", "filterIds": {}, "description": "d"}
    models = entries(webui, provider, {"id": "odd-meta", "info": {"meta": meta}}, {"id": "status", "status": "loaded"})
    assert models["odd-meta"]["info"]["meta"] == {"description": "d"}
    assert models["status"]["status"] == "loaded"


def test_ids_and_names(webui: Site, provider: Provider) -> None:
    good = [{"id": "x" * 512}, {"id": "é"}, {"name": "by-name"}, {"id": "", "name": "for-id"}, {"id": "a", "name": "A"}]
    odd: list[Any] = ["x" * 513, " ", "\t", "\ud800", "\udfff", "a\ud9ffb", 7, True, ["a"], {}, None]
    bad: list[Any] = [{"id": value} for value in odd]
    bad += [{}, {"name": "   "}, {"id": 5, "name": "five"}]
    models = entries(webui, provider, *good, *bad)
    assert set(models) == {"x" * 512, "é", "by-name", "for-id", "a", "beside"}
    assert models["a"]["name"] == "A"
    models = entries(
        webui, provider, *({"id": f"n{i}", "name": name} for i, name in enumerate([None, 7, "", ["a"], "\ud800"]))
    )
    assert {models[f"n{number}"]["name"] == f"n{number}" for number in range(5)} == {True}


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_how_deep_and_wide_an_entry_is(webui: Site, provider: Provider) -> None:
    good = [{"id": "deep", "x": nested(32)}, {"id": "wide", "x": [0] * 1000, "y": {str(n): n for n in range(1000)}}]
    bad = [{"id": "deeper", "x": nested(33)}, {"id": "wider", "x": [[0] * 1001]}]
    bad += [{"id": "wider-too", "x": [{str(number): 0 for number in range(1001)}]}]
    huge = {"id": "huge", **{str(number): 0 for number in range(1000)}}
    models = entries(webui, provider, *good, *bad, huge)
    assert set(models) == {"deep", "wide", "deeper", "wider", "wider-too", "beside"}
    assert {name for name, model in models.items() if "x" in model} == {"deep", "wide"}  # the field goes, not the entry


def test_numbers_that_can_not_be_sent(webui: Site, provider: Provider) -> None:
    text = '{"data": [{"id": "odd", "a": NaN, "b": -Infinity, "c": 1e999, "d": 1.5, "e": 7, "f": %s, "g": %s}]}'
    webui.connect([provider.script("numbers", body=text % ("9" * 299, "9" * 300))])
    model = (webui.models().get("odd") or {})["openai"]
    assert {key: model[key] for key in "abcd"} == {"a": None, "b": None, "c": None, "d": 1.5}
    assert (model["e"], model["f"], model["g"]) == (7, int("9" * 299), None)


def test_what_is_said_in_other_encodings(webui: Site, provider: Provider) -> None:
    for name in ("bom", "utf-16", "charset-odd", "gzip"):
        webui.connect([provider.fault(name)])
        assert "beside" in webui.models().ids, name
    webui.connect([], [provider.fault("bom", "ollama")])
    assert "beside" in webui.models().ids


def test_an_error_with_models_in_it_is_a_list_and_one_without_is_none(webui: Site, provider: Provider) -> None:
    for status in ("201 Created", "299 Odd", "400 Bad Request", "500 Internal Server Error"):
        assert "beside" in entries(webui, provider, status=status), status
    bad = [{"error": {"message": "no"}}, {"data": []}, [1, 2], "null", {"data": "x"}, {"models": {}}]
    webui.connect([], [provider.script("erring", "ollama", body={"models": [{"model": "beside"}]}, status="500 Oops")])
    assert "beside" in webui.models().ids
    for number, body in enumerate(bad):
        url = provider.script(f"bad{number}", body=body, status="500 Internal Server Error")
        assert webui.call("POST", "/openai/config/update", json=form(url)).ok
        assert webui.models().status == 200
        assert f"/f/bad{number}" in webui.log().rpartition("Connection error")[0] or "status 500" in webui.log()


def form(url: str) -> dict[str, Any]:
    return {
        "ENABLE_OPENAI_API": True,
        "OPENAI_API_BASE_URLS": [url],
        "OPENAI_API_KEYS": ["key"],
        "OPENAI_API_CONFIGS": {},
    }


def test_no_more_models_than_a_list_can_take(webui: Site, provider: Provider) -> None:
    webui.connect([provider.script("exact", body={"data": [{"id": f"m{number}"} for number in range(2001)]})])
    listing = webui.models()
    assert {"m0", "m1999"} <= set(listing.ids)
    assert "m2000" not in listing.ids
    assert "only the first 2000 of 2001 models" in webui.log()


def test_a_large_answer_is_no_list(webui: Site, provider: Provider) -> None:
    padded = {"id": "padded", "x": "@pad@"}
    rest = len(json.dumps({"data": [padded, BESIDE]})) - len("@pad@")
    assert "padded" in entries(webui, provider, padded, pad=(4 << 20) - rest)
    assert not entries(webui, provider, padded, pad=(4 << 20) - rest + 1)
    assert "larger than 4194304 bytes" in webui.log()


def peak(webui: Site) -> int:
    """Return the most memory the server has had, in MiB."""
    status = Path(f"/proc/{webui.child.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


def test_a_bomb_stays_packed(webui: Site, provider: Provider) -> None:
    webui.connect([provider.fault("bomb")])
    before = peak(webui)
    webui.models()
    assert peak(webui) - before < 100


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("not-json", r": the answer is not JSON\b"),
        ("html", r": the answer is a web page\b"),
        ("string", r": the answer has no list named '(data|models)'"),
        ("error-string", r": no\b"),
        ("status-503", r": status 503\b"),
    ],
)
@pytest.mark.parametrize("slot", ["openai", "ollama"])
def test_the_log_says_what_an_answer_is_instead(
    webui: Site, provider: Provider, name: str, words: str, slot: str
) -> None:
    before = len(webui.log())
    url = provider.fault(name, slot)
    webui.connect([url] if slot == "openai" else [], [url] if slot == "ollama" else [])
    webui.models()
    assert any(re.search(words, line) for line in webui.log()[before:].splitlines() if "fails" in line)


@pytest.mark.parametrize(
    ("name", "code"),
    [("status-404", "not_found"), ("status-405", "not_found"), ("html", "not_found"), ("string", "answer")],
)
def test_where_nothing_is_at_a_url_is_told_apart(webui: Site, provider: Provider, name: str, code: str) -> None:
    url = provider.script("status-405", status="405 No", body={}) if name == "status-405" else provider.fault(name)
    answer = webui.call("POST", "/openai/verify", json={"url": url.removesuffix("/v1") + "/v2", "key": "key"})
    assert answer.json()["error"]["code"] in (code, "ollama")
    assert ("404" in name or "405" in name) == ("status" in answer.json()["detail"])


def test_a_bare_list_and_one_with_an_error_beside_it(webui: Site, provider: Provider) -> None:
    for name, body in (("bare", [BESIDE]), ("warned", {"data": [BESIDE], "error": "old key"})):
        webui.connect([provider.script(name, body=body)])
        assert "beside" in webui.models().ids, name


def test_what_the_admin_listed_and_switched_off(webui: Site, provider: Provider) -> None:
    urls = [provider.script("by-hand"), provider.script("off")]
    webui.connect([(urls[0], {"model_ids": ["mine", " "]}), (urls[1], {"enable": False})])
    before = len(webui.log())
    assert [name for name in webui.models().ids if "arena" not in name] == ["mine"]
    failures = [line for line in webui.log()[before:].splitlines() if "fails" in line]  # late ones of others, too
    assert not [line for line in failures if "by-hand" in line or "/off/" in line or "source of models" in line]
    assert not provider.lists("by-hand")
    assert not provider.lists("off")


def test_anthropic_lists_what_is_well_formed(webui: Site, provider: Provider) -> None:
    body = {"data": [{"id": "claude", "display_name": "Claude"}, {"id": 7}, 7], "has_more": False}
    webui.connect([provider.script("api.anthropic.com", body=body)])
    models = webui.models()
    assert (models.get("claude") or {})["name"] == "Claude"
    assert [name for name in models.ids if "arena" not in name] == ["claude"]
    before = len(webui.log())
    webui.connect([(provider.script("api.anthropic.com", hang_up=True), {"tags": []})])
    webui.models()
    assert re.search("OpenAI connection 0 .*fails: ", webui.log()[before:])


OFF_LOOP = """
import asyncio, runpy, sys, time
in_thread = runpy.run_path(sys.argv[1])["in_thread"]

def fails(error):
    raise error

async def main():
    for error in (ValueError("v"), StopIteration("s"), SystemExit(1), KeyboardInterrupt()):
        try:
            await in_thread(fails, error)
        except BaseException as caught:
            print(type(caught).__name__, caught)
    late = in_thread(time.sleep, 0.2)
    late.cancel()
    in_thread(fails, ValueError("unwanted"))
    await asyncio.sleep(0.4)
    in_thread(time.sleep, 60)

asyncio.run(main())
"""


def test_what_runs_in_a_thread_ends_nothing_and_is_not_waited_for(tree: Path) -> None:
    # nobody waits for the last one, which takes a minute
    printed, errors = processes.python(tree, "-c", OFF_LOOP, tree / "backend/open_webui/utils/off_loop.py")
    words = ["ValueError v", "RuntimeError StopIteration('s')", "RuntimeError SystemExit(1)"]
    assert printed.splitlines() == [*words, "RuntimeError KeyboardInterrupt()"]
    assert not errors


def test_the_page_of_pipelines_finds_its_server(webui: Site, provider: Provider) -> None:
    webui.connect([provider.good, provider.script("pipelines", body={"data": [BESIDE], "pipelines": True})])
    assert [row["idx"] for row in webui.call("GET", "/api/v1/pipelines/list").json()["data"]] == [1]


def test_the_version_of_the_ollamas_is_that_of_those_that_say_one(webui: Site, provider: Provider) -> None:
    urls = [provider.fault("string", "ollama"), provider.fault("ollama-like", "ollama"), "http://127.0.0.1:9"]
    webui.connect([], urls)
    assert webui.call("GET", "/ollama/api/version").json() == {"version": "0.9.0"}


@pytest.mark.parametrize(
    ("env", "count", "padded"),
    [
        ({"MODEL_LIST_MAX_BYTES": "0", "MODEL_LIST_MAX_MODELS": "3"}, 3, True),
        ({"MODEL_LIST_MAX_BYTES": "400000", "MODEL_LIST_MAX_MODELS": "0"}, 2500, False),
        ({"MODEL_LIST_MAX_BYTES": "1.2.3", "MODEL_LIST_MAX_MODELS": "3.0"}, 3, False),
    ],
)
def test_a_bound_can_be_set_and_switched_off(
    tree: Path, provider: Provider, env: dict[str, str], count: int, padded: bool
) -> None:
    many = provider.script("several", body={"data": [{"id": f"m{number}", "x": "y" * 100} for number in range(2500)]})
    large = provider.script("large", body={"data": [{"id": "padded", "x": "@pad@"}]}, pad=5 << 20)
    with processes.site(tree, openai=[many, large], env=env) as site:
        ids = [str(key) for key in site.models().ids]
        assert len([key for key in ids if key.startswith("m")]) == count
        assert ("padded" in ids) == padded


@pytest.mark.parametrize(
    "body", [{"error": {"message": "R"}}, {"error": "R"}, {"message": "R"}, {"detail": "R"}, {"data": [], "error": "R"}]
)
def test_the_reason_that_a_provider_gives_is_in_the_log(webui: Site, provider: Provider, body: dict[str, Any]) -> None:
    reason = "overloaded" + "".join(filter(str.isalpha, repr(body)))
    answer = json.loads(json.dumps(body).replace('"R"', json.dumps(reason)))
    webui.connect([provider.script(reason, status="200 OK" if "data" in body else "503 Busy", body=answer)])
    webui.models()
    assert re.search(rf"OpenAI connection 0 .*fails: .*{reason}", webui.log())


def test_the_reason_is_printable(webui: Site, provider: Provider) -> None:
    webui.connect([provider.script("lines", status="503 Busy", body={"error": "one\ntwo\u202ethree"})])
    webui.models()
    assert "one two three (status 503)" in webui.log()
