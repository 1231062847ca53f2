from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from webui_fork.core.settings import CHECKOUT, Secret
from webui_fork.doctor import connections, examine, probe, rules
from webui_fork.doctor.facts import Connection, Facts, Image, Neighbour, Reply, Room, Seen
from webui_fork.doctor.findings import Severity
from webui_fork.doctor.webui import Site

CODE = "".join(file.read_text() for file in (CHECKOUT / "build/webui_fork/doctor").glob("*.py"))

UP = Seen("http://w/health", "here", status=200, type="application/json", body='{"status": true}')

LIST = Reply(200, {"data": [{"id": "m", "owned_by": "openai", "urlIdx": 0}]}, 0.1)

GOOD = Connection("OpenAI", 0, "http://vllm:8000/v1", verified=Reply(200, {"data": [{"id": "m"}]}, 0.1))

WELL = Facts(
    "http://w", UP, "0.12.4", config={"version": "0.12.4"}, role="admin", listing=LIST, connections=(GOOD,)
)  # fmt: skip

BAD = Connection("OpenAI", 0, "http://vllm:8000/v1", verified=Reply(500, {"detail": "Server Connection Error"}, 0.1))


def causes(facts: Facts) -> list[str]:
    return [finding.cause for finding in rules.diagnose(facts)]


def test_well_is_well() -> None:
    assert causes(WELL) == []


def test_every_cause_is_in_the_documentation() -> None:
    named = set(re.findall(r'(?:Finding|_make)\(\s*"([a-z0-9-]+)"', CODE))
    documented = set(re.findall(r"`([a-z0-9-]+)`", (CHECKOUT / "docs/doctor.md").read_text()))
    assert len(named) > 40
    assert named <= documented


def test_documents_are_only_out_of_reach_where_slim_has_no_database_for_them() -> None:
    room = Room(Neighbour("webui", "x", "running", "", ()), {}, {}, "", bypass_access=False)
    facts = replace(WELL, config={"version": "0.12.4", "features": {"slim": True}}, room=room, collections=12)
    assert causes(facts) == ["documents-slim"]
    assert causes(replace(facts, collections=0)) == []
    assert causes(replace(facts, room=replace(room, vectors="postgresql://db/v"))) == []
    assert causes(replace(facts, config={"version": "0.12.4", "features": {"slim": False}})) == []


def test_a_variable_whose_url_is_in_no_connection_is_told_of() -> None:
    room = Room(Neighbour("webui", "x", "running", "", ()), {}, {}, "", bypass_access=False, urls=("http://new/v1",))
    facts = replace(WELL, room=room, stored=86_400)
    (finding,) = rules.diagnose(facts)
    assert (finding.cause, finding.severity) == ("stored-wins", Severity.INFO)
    assert finding.evidence == ("stored since 1970-01-02 00:00 UTC: http://vllm:8000/v1",)
    empty = replace(facts, listing=Reply(200, {"data": []}, 0.1))
    assert ("stored-wins", Severity.WARNING) in [(item.cause, item.severity) for item in rules.diagnose(empty)]
    assert causes(replace(facts, room=replace(room, urls=("http://vllm:8000/v1/",)))) == []
    assert "stored-wins" not in causes(replace(facts, role="user"))
    assert "stored-wins" not in causes(replace(facts, openai_enabled=False))
    secret = replace(room, urls=("http://me:hidden@new/v1",))
    assert "hidden" not in str(rules.diagnose(replace(facts, room=secret)))


def test_what_nothing_explains_is_still_said() -> None:
    facts = replace(WELL, connections=(BAD,), listing=replace(LIST, body={"data": []}))
    assert causes(facts) == ["connection-fails"]
    assert causes(replace(facts, connections=())) == ["no-connection"]
    assert causes(replace(WELL, listing=Reply(500, "", 0.1))) == ["list-fails"]


def test_a_connection_that_lists_in_spite_of_it_is_no_more_than_a_note() -> None:
    assert causes(replace(WELL, connections=(BAD,))) == []
    at_v1 = Seen("http://vllm:8000/v1/models", "in w", status=200, body='{"data": [{"id": "m"}]}')
    (finding,) = rules.diagnose(replace(WELL, connections=(replace(BAD, at_v1=at_v1),)))
    assert (finding.cause, finding.severity) == ("base-url-no-v1", Severity.INFO)
    base = Seen("http://vllm:8000/models", "in w", status=404, body="{}")
    (finding,) = rules.diagnose(replace(WELL, connections=(replace(GOOD, base=base, at_v1=at_v1),)))
    assert (finding.cause, finding.severity) == ("base-url-no-v1", Severity.INFO)


def test_stale_models_do_not_hide_that_it_fails() -> None:
    stale = Reply(200, {"data": [{"id": "m", "owned_by": "openai", "urlIdx": 0, "stale": True}]}, 0.1)
    base = Seen("http://vllm:8000/v1/models", "in w", connect="refused")
    facts = replace(WELL, listing=stale, connections=(replace(BAD, base=base),))
    assert causes(facts) == ["refused"]


@pytest.mark.parametrize(
    "probed", [{"connect": "timeout"}, {"connect": "refused"}, {"dns": "unknown"}, {"tls": "certificate: self-signed"}]
)
def test_what_open_webui_heard_counts_more_than_what_a_probe_met(probed: dict[str, Any]) -> None:
    """It is elsewhere, or has other settings, as AIOHTTP_CLIENT_SESSION_SSL."""
    met = Seen("http://vllm:8000/v1/models", "from this machine", **probed)
    nothing = replace(WELL, listing=replace(LIST, body={"data": []}))
    own = {"detail": "x", "error": {"code": "key", "message": "refuses the key"}}
    for verified in (Reply(401, {"error": "Unauthorized"}, 0.1), Reply(400, own, 0.1)):
        item = replace(BAD, verified=verified, base=met, at_v1=met, root=met)
        assert causes(replace(nothing, connections=(item,))) == ["api-key"]
    bare = replace(BAD, url="http://vllm:8000", verified=Reply(404, "Not Found", 0.1), base=met, at_v1=met, root=met)
    (finding,) = rules.diagnose(replace(nothing, connections=(bare,)))
    assert finding.cause == "base-url-no-v1"
    assert "lists 0" not in str(finding.evidence)
    assert causes(replace(nothing, connections=(replace(bare, url="http://vllm:8000/v1"),))) == ["provider-shape"]
    assert causes(replace(nothing, connections=(replace(BAD, base=met),))) != ["api-key"]  # it heard nothing


def test_a_redis_that_is_frozen_is_not_a_dead_database() -> None:
    frozen = replace(WELL, ready=Reply(0, "ReadTimeout", 10.0))
    assert causes(replace(frozen, database=Reply(200, {"status": True}, 0.1))) == ["redis"]
    for database in (None, Reply(0, "ReadTimeout", 10.0), Reply(503, {}, 0.1)):
        assert causes(replace(frozen, database=database)) == ["database"]


def test_the_base_of_a_preset_that_is_switched_off_serves_it() -> None:
    preset = {"id": "helper", "base_model_id": "llama3", "access_grants": [1]}
    assert causes(replace(WELL, records=(preset,))) == ["base-model"]
    served = Reply(200, {"data": [{"id": "llama3"}]}, 0.1)
    assert causes(replace(WELL, records=(preset,), openai=served)) == []
    pulled = Reply(200, {"models": [{"model": "llama3:latest"}]}, 0.1)
    assert causes(replace(WELL, records=(preset,), ollama=pulled)) == []


def test_accounts_that_may_see_less_are_no_admins() -> None:
    rows = [{"role": role} for role in ("admin", "admin", "pending", "user")]
    assert examine._count({"users": rows, "total": 4}) == examine._count(rows) == 1
    assert examine._count({"users": rows, "total": 40}) == 37  # those of other pages may be anybody's
    assert examine._count({"users": rows[:3], "total": 3}) == examine._count("x") == 0
    assert "access-hidden" in causes(replace(WELL, users=1))
    assert "access-hidden" not in causes(replace(WELL, users=0))


def test_a_token_is_refused_by_who_answers() -> None:
    site = Site("http://127.0.0.1:9", Secret("token-of-this-test"))
    facts, _ = examine._api(WELL, site)
    assert (facts.role, facts.token_refused, facts.ready and facts.ready.status) == ("", False, 0)
    assert facts.database is not None


def test_a_disabled_list_is_not_read_from_an_answer_that_never_came() -> None:
    assert "api-disabled" in causes(replace(WELL, openai_enabled=False))
    assert "api-disabled" not in causes(WELL)


def test_a_cause_comes_before_what_it_causes() -> None:
    empty = replace(LIST, body={"data": []})
    base = Seen("http://vllm:8000/v1/models", "in w", dns="Name or service not known")
    found = causes(replace(WELL, listing=empty, connections=(GOOD, replace(BAD, base=base, index=1)), pipes=("p",)))
    assert found == ["dns", "function-fails"]


@pytest.mark.parametrize(
    ("image", "codes"),
    [
        (Image("r/n:v0.12.4-p1"), []),
        (Image("r/n:v0.12.4-p1", bad=("signature: no",)), ["image-signature"]),
        (Image("r/n:v0.12.4-p1", error="no such image"), ["image-signature"]),
        (Image("r/n:v0.12.4-p2"), ["image-other"]),
        (Image("r/n:latest"), []),
        (Image("r/n:latest-slim"), ["image-other"]),
    ],
)
def test_images(image: Image, codes: list[str]) -> None:
    labels = {"org.opencontainers.image.version": "0.12.4-p1"}
    room = Room(Neighbour("w", "r/n", "running", "healthy", ()), labels, {}, "", bypass_access=False)
    assert causes(replace(WELL, room=room, image=image)) == codes


def test_an_older_release_is_a_note() -> None:
    (found,) = rules.diagnose(replace(WELL, config={"version": "0.12.3"}))
    assert (found.cause, found.severity) == ("version-old", Severity.INFO)
    assert causes(replace(WELL, config={"version": "dev"})) == []


def test_an_answer_of_any_shape_is_borne() -> None:
    shapes: list[Any] = [None, [], {}, "x", {"data": None}, {"data": [1]}, {"data": [{"id": 5}]}, {"detail": ["x"]}]
    for body in shapes:
        facts = replace(
            WELL, listing=Reply(200, body, 0.1), connections=(replace(BAD, verified=Reply(500, body, 0.1)),)
        )
        assert rules.diagnose(facts)


ROOM = Room(
    Neighbour("w", "r/n", "running", "healthy", ()), {}, {"HTTP_PROXY": "http://p:3128"}, "", bypass_access=False
)

EMPTY = replace(LIST, body={"data": []})


def through(host: str, direct: int, proxied: int | None, *, room: Room | None = ROOM) -> list[str]:
    """Diagnose one connection that fails, with what it answers directly and through a proxy."""
    url = f"http://{host}:8000/v1/models"
    passed = Seen(url, "in w", status=proxied, type="text/html") if proxied else None
    base = Seen(url, "in w", status=direct, type="application/json", proxy="p:3128" if passed else "", proxied=passed)
    item = replace(BAD, url=f"http://{host}:8000/v1", base=base, verified=Reply(direct, {}, 0.1))
    return causes(replace(WELL, listing=EMPTY, room=room, connections=(item,)))


def test_a_proxy_that_changes_nothing_is_not_the_cause() -> None:
    assert through("vllm", 200, 503) == ["proxy"]
    assert through("vllm", 401, 401) == ["api-key"]
    assert through("llm.example.com", 401, 401) == ["api-key"]
    assert "proxy" not in through("vllm", 404, 404)
    assert "proxy" not in through("10.1.2.3", 404, 503, room=None)  # this machine's, not the server's


def test_the_words_of_a_gateway_are_no_proxy_of_ours() -> None:
    apache = "The proxy server received an invalid response from an upstream server."
    item = replace(BAD, verified=Reply(502, apache, 0.1))
    assert causes(replace(WELL, listing=EMPTY, connections=(item,))) == ["connection-fails"]


def test_a_vllm_that_has_been_up_for_weeks_is_not_loading() -> None:
    base = Seen("http://vllm:8080/v1/models", "in w", connect="refused")
    busy = Neighbour(
        "vllm", "vllm/vllm-openai", "running", "", ('INFO: 10.0.0.1:1 - "GET /v1/models HTTP/1.1" 200 OK',)
    )
    item = replace(BAD, url="http://vllm:8080/v1", base=base, behind=busy)
    assert causes(replace(WELL, listing=EMPTY, room=ROOM, connections=(item,))) == ["refused"]
    young = replace(busy, log=("INFO Starting to load model /model", "INFO Loading weights took 2.1 s"))
    loading = replace(item, behind=young)
    assert causes(replace(WELL, listing=EMPTY, room=ROOM, connections=(loading,))) == ["vllm-loading"]


def test_a_provider_without_a_list_whose_models_are_entered_by_hand_is_well() -> None:
    item = replace(BAD, manual=("m",), verified=Reply(404, {}, 0.1), base=Seen("http://x/models", "in w", status=404))
    assert all(finding.severity is Severity.INFO for finding in rules.diagnose(replace(WELL, connections=(item,))))


def test_what_an_admin_switched_off_is_no_fault() -> None:
    off = ({"id": "p", "is_active": False},)
    assert causes(replace(WELL, pipes=("p",))) == ["function-fails"]
    assert causes(replace(WELL, pipes=("p",), records=off)) == []


def test_a_login_in_front_is_not_a_database() -> None:
    lives = replace(WELL, config={}, config_status=302)
    assert causes(lives) == ["not-open-webui"]
    assert causes(replace(lives, config_status=0)) == ["database"]


@pytest.mark.parametrize(
    "url", ["http://[bad/v1", "http://localhost:80000/v1", "", "http://", "redis://a:1,b:2", "\x00"]
)
def test_a_url_of_any_shape_is_borne(url: str) -> None:
    item = replace(BAD, url=url)
    rules.diagnose(replace(WELL, listing=EMPTY, connections=(item, replace(item, slot="Ollama"))))
    assert probe.probe(url, timeout=1)["dns"] or url.startswith("http://localhost")
    looked = examine._probed(item, Secret(""), None, beside=False)
    rules.diagnose(replace(WELL, listing=EMPTY, connections=(looked,)))


@pytest.mark.parametrize(
    ("words", "status", "clean"),
    [
        ("Unexpected error: ", 500, "(it gives no reason)"),
        ("", 500, "(it gives no reason)"),
        ("500 500 Unable to connect Unable to connect", 500, "Unable to connect"),
        ("Unable to connect Unable to connect The proxy was unable", 500, "Unable to connect The proxy was unable"),
        ("no nonsense", 500, "no nonsense"),
        ("Server  Connection\nError", 500, "Server Connection Error"),
        ("500 is the port", 400, "500 is the port"),
        ("x" * 400, 500, "x" * 160),
        ("anything", 0, "anything"),
    ],
)
def test_an_error_s_words_are_said_once(words: str, status: int, clean: str) -> None:
    assert connections.reason(words, status) == clean


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "m", "code": 1}}, "m"),
        ({"detail": "d", "error": {"message": "m"}}, "d"),
        ("<html><b>502</b> Bad Gateway</html>", "502 Bad Gateway"),
        ({"x": 1}, "{'x': 1}"),
        (None, "None"),
        ("y" * 999, "y" * 160),
    ],
)
def test_the_reason_of_an_answer(body: object, words: str) -> None:
    assert connections.reason(body, 400) == words
