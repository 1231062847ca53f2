"""A slow connection costs a list a moment, one that is away keeps its models, and many lists ask it once."""

from __future__ import annotations

import json
import stat
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import processes
from processes import Provider, Site
from seconds import fresh, thrice, until

ASSETS = Path(__file__).parents[1] / "assets"
SLOTS = ["openai", "ollama"]
PATIENT = {"MODEL_LIST_DEADLINE": "0", "MODEL_LIST_STALE_TTL": "0"}  # with the bounds switched off
MODEL = "INSERT INTO model (id, user_id, base_model_id, name, params, meta, is_active, updated_at, created_at) \
VALUES (?, 'x', ?, 'Preset', '{}', '{}', 1, 0, 0)"


def connect(webui: Site, slot: str, *urls: Any, **options: Any) -> None:
    webui.connect(*([urls] if slot == "openai" else [(), urls]), **options)


@pytest.mark.parametrize("slot", SLOTS)
@thrice
def test_a_silent_connection_costs_a_list_a_moment_and_later_ones_nothing(
    webui: Site, provider: Provider, slot: str
) -> None:
    healthy, silent = (provider.good, {"prefix_id": "good"}), provider.script(fresh("silent"), slot, wait=600)
    webui.connect([healthy, silent] if slot == "openai" else [healthy], [silent] if slot == "ollama" else [])
    listing = webui.models()
    assert "good.beside" in listing.ids
    assert 1.3 < listing.seconds < 2  # nothing is remembered of it, so it gets the longer time
    assert webui.models().seconds < 0.7  # it is still silent, and nobody waits again


@thrice
def test_a_slow_connection_is_in_the_first_list_and_never_stale(webui: Site, provider: Provider) -> None:
    name = fresh("slow12")
    webui.connect([provider.script(name, wait=1.2)])
    for bounds in ((1.1, 1.9), (0.7, 1.1), (0.7, 1.1)):
        listing = webui.models()
        assert not listing.stale()
        assert bounds[0] < listing.seconds < bounds[1]
        time.sleep(0.6)
    assert name not in "".join(line for line in webui.log().splitlines() if "fails:" in line)


@pytest.mark.parametrize("slot", SLOTS)
def test_a_late_answer_is_used_by_the_next_list(webui: Site, provider: Provider, slot: str) -> None:
    connect(webui, slot, provider.script(f"late-{slot}", slot, wait=2.2))
    assert not webui.models().ids
    time.sleep(1.5)
    assert not webui.models().stale()


@thrice
def test_one_that_is_suddenly_silent_is_stale_when_its_request_ends_and_fresh_when_back(
    webui: Site, provider: Provider
) -> None:
    name = fresh("freezes")
    webui.connect([provider.script(name, headers={})])
    assert not webui.models().stale()
    provider.script(name, wait=600)
    before = time.time()
    listing = webui.models()
    assert not listing.stale()  # it may be slow for once: as in stock, it fails when nothing came for 10 s
    assert 0.7 < listing.seconds < 1.3
    assert webui.models().seconds < 0.7
    until(lambda: webui.models().stale(), 15)
    listing = webui.models()
    assert listing.seconds < 1.3
    since = (listing.get("beside") or {})["stale_since"]
    assert isinstance(since, int)
    assert before - 2 < since < time.time() + 1
    provider.script(name, headers={})
    until(lambda: not webui.models().stale(), 8)
    log = webui.log()
    assert log.count("(" + provider.fault(name) + ") fails: 127.0.0.1 does not answer in time.") == 1


def test_one_that_is_slow_for_once_keeps_its_chats(webui: Site, provider: Provider) -> None:
    """What is said to one's own server goes to nobody else's, because a list was impatient."""
    own, other = (fresh(name) for name in ("own", "other"))
    same = {"data": [{"id": "same"}]}
    webui.connect([provider.script(own, body=same), provider.script(other, body=same)])
    for wait in (0, 1.6, 0):
        provider.script(own, body=same, wait=wait)
        assert (webui.models().get("same") or {})["urlIdx"] == 0
        assert own in webui.chat("same").text


@thrice
def test_a_request_that_nobody_answers_does_not_keep_others_from_asking(webui: Site, provider: Provider) -> None:
    name = fresh("hangs")
    webui.connect([provider.script(name, wait=600)])
    assert not webui.models().ids
    provider.script(name)
    time.sleep(2)
    assert webui.models().ids  # three seconds after the one that hangs


def test_who_is_impatient_takes_no_model_from_others(tree: Path, provider: Provider) -> None:
    """Each user is a connection's own here: a first list of somebody leaves what others have."""
    body = {"data": [{"id": "slow"}, {"id": "embeds"}]}
    with processes.site(tree, auth=True, env={"ENABLE_FORWARD_USER_INFO_HEADERS": "True"}) as site:
        site.connect([provider.script("of-each", body=body), provider.good])
        assert site.models().ids
        other = site.signed_up("other", "admin")
        provider.script("of-each", body=body, wait=4)
        assert "embeds" not in other.models().ids
        form = {"model": "embeds", "input": ["x"]}
        for path, given in (
            ("/api/embeddings", form),
            ("/api/chat/completions", {**form, "messages": [{"role": "user", "content": "x"}]}),
        ):
            answer = site.call("POST", path, json=given)
            assert answer.status_code == 200, answer.text


def test_embeddings_of_a_model_that_is_new(webui: Site, provider: Provider) -> None:
    name = fresh("embeds")
    webui.connect([provider.script(name, body={"data": [{"id": name}]}, wait=2.5), provider.good])
    assert name not in webui.models().ids
    answer = webui.call("POST", "/api/embeddings", json={"model": name, "input": ["x"]})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("slot", SLOTS)
def test_one_that_fails_keeps_its_models_marked_as_stale(webui: Site, provider: Provider, slot: str) -> None:
    name = f"dies-{slot}"
    connect(webui, slot, provider.script(name, slot))
    assert not webui.models().stale()
    until((webui.data / "model_lists").exists)
    assert stat.S_IMODE((webui.data / "model_lists").stat().st_mode) == 0o700
    provider.script(name, slot, hang_up=True)
    assert webui.models().stale()
    provider.script(name, slot, body="no list")
    assert webui.models().stale()
    provider.script(name, slot)
    assert not webui.models().stale()


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_one_that_refuses_keeps_nothing(webui: Site, provider: Provider, status: str) -> None:
    name = f"refuses-{status[:3]}"
    webui.connect([provider.script(name)])
    assert webui.models().ids
    provider.script(name, status=status, body={"error": "no"})
    assert not webui.models().ids
    provider.script(name, hang_up=True)
    assert not webui.models().ids


def test_stale_gives_way_to_fresh_of_the_other_slot(webui: Site, provider: Provider) -> None:
    same = {"data": [{"id": "same"}], "models": [{"model": "same", "name": "same"}]}
    webui.connect([provider.script("cloud", body=same)], [provider.script("local", "ollama", body=same)])
    webui.models()
    for dead, slot, owner in (("local", "ollama", "openai"), ("cloud", "openai", "ollama")):
        provider.script(dead, slot, hang_up=True)
        listing = webui.models()
        assert not listing.stale("same")
        assert (listing.get("same") or {})["owned_by"] == owner
        provider.script(dead, slot, body=same)
        webui.models()


def test_the_log_has_no_credentials(webui: Site, provider: Provider) -> None:
    url = provider.script("logged", hang_up=True).replace("127.0.0.1", "somebody:hunter2@127.0.0.1")
    webui.connect([f"{url}?token=hunter3#hunter4"])
    webui.models()
    (line,) = {line for line in webui.log().splitlines() if "OpenAI connection 0" in line and "logged" in line}
    assert f"({provider.fault('logged')}) fails: " in line
    assert "hunter" not in webui.log()


def two(webui: Site, provider: Provider, slot: str, **config: Any) -> tuple[str, str]:
    """Connect two that list the same model; return their names."""
    names = (f"one-{slot}-{len(config)}", f"two-{slot}-{len(config)}")
    body = {"data": [{"id": "same"}]} if slot == "openai" else {"models": [{"model": "same", "name": "same"}]}
    urls = [provider.script(name, slot, body=body) for name in names]
    connect(webui, slot, *([(url, config) for url in urls] if config else urls))
    assert not webui.models().stale(f"{config['prefix_id']}.same" if config else "same")
    return names


@pytest.mark.parametrize("slot", SLOTS)
@pytest.mark.parametrize("config", [{}, {"prefix_id": "p"}], ids=["plain", "prefix"])
def test_stale_never_beats_fresh(webui: Site, provider: Provider, slot: str, config: dict[str, Any]) -> None:
    names = two(webui, provider, slot, **config)
    model = f"{config['prefix_id']}.same" if config else "same"
    for dead, alive in (names, names[::-1]):
        provider.script(dead, slot, hang_up=True)
        provider.script(alive, slot, body={"data": [{"id": "same"}], "models": [{"model": "same", "name": "same"}]})
        listing = webui.models()
        assert not listing.stale(model)
        for _ in range(4):
            answer = webui.chat(model)
            assert answer.status_code == 200, answer.text
            assert f"hello from {alive}" in answer.text
    time.sleep(1.1)
    before = int(time.time())
    provider.script(alive, slot, hang_up=True)
    listing = webui.models()
    assert listing.stale(model)  # better than nothing
    assert (listing.get(model) or {})["stale_since"] >= before  # the one that was alive last


def test_concurrent_lists_ask_a_connection_once(webui: Site, provider: Provider) -> None:
    webui.connect([provider.script("shared", wait=0.5)])
    with ThreadPoolExecutor(20) as pool:
        listings = list(pool.map(lambda _: webui.models(), range(20)))
    assert all("beside" in listing.ids for listing in listings)
    assert provider.lists("shared") <= 2
    assert "never awaited" not in webui.log()


def test_what_a_list_changes_is_not_what_is_kept(webui: Site, provider: Provider) -> None:
    webui.connect([(provider.script("kept"), {"prefix_id": "p"})])
    for _ in range(3):
        assert webui.models().ids == ["p.beside"]
        provider.script("kept", hang_up=True)


def test_a_key_or_a_setting_that_changes_is_another_connection(webui: Site, provider: Provider) -> None:
    url = provider.script("rotates")
    webui.connect([url], keys=["one"])
    assert webui.models().ids
    provider.script("rotates", hang_up=True)
    assert webui.models().ids
    webui.connect([url], keys=["two"])
    assert not webui.models().ids
    webui.connect([(url, {"headers": {"X-Team": "b"}})], keys=["one"])
    assert not webui.models().ids


def test_an_admin_who_adds_a_connection_takes_no_models_away(webui: Site, provider: Provider) -> None:
    url = provider.script("away")
    webui.connect([url])
    assert webui.models().ids
    provider.script("away", hang_up=True)
    webui.connect([(provider.good, {"prefix_id": "new"}), url])  # at another place, too
    assert webui.models().stale()


def test_every_user_has_the_answer_that_is_theirs(tree: Path, provider: Provider) -> None:
    headers = {"headers": {"X-User": "{{USER_NAME}}"}}
    with processes.webui(tree, auth=True) as admin:
        admin.connect([(provider.fault("first-caller-only"), headers)])
        assert "beside" in admin.models().ids
        other = admin.signed_up("other", "admin")
        for path in ("/api/models?refresh=true", "/api/models/base"):
            assert "beside" not in other.models(path).ids
            assert "beside" in admin.models(path).ids
        loaded = {"models": [{"model": "same", "name": "same", "expires_at": "2030-01-01T00:00:00Z"}]}
        url = provider.script("of-a-user", "ollama", body=loaded, ps=loaded)
        admin.connect([], [(url, headers)])
        admin.models()
        requests_by_path = {line.split()[1]: line.lower() for line in provider.asked() if "/f/of-a-user/" in line}
        for path in ("tags", "ps"):
            assert "x-user: \r\n" not in requests_by_path[f"/f/of-a-user/api/{path}"]
            assert "x-user: " in requests_by_path[f"/f/of-a-user/api/{path}"]
        # nor is it on disk, where others would get it from
        for config in (headers, {"forward_cookies": True}, {"auth_type": "session"}, {"auth_type": "system_oauth"}):
            admin.connect([(provider.fault("fine"), config)])
            admin.models()
        time.sleep(0.5)
        assert not list((admin.data / "model_lists").glob("*"))


def test_models_stay_over_a_restart_where_nobody_else_can_look(tree: Path, provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "cache/model_lists").mkdir(parents=True)
    (tmp_path / "cache/model_lists/openai-0.json").write_text("{}")  # of an earlier series: it was served
    folder, names = tmp_path / "model_lists", ["restarts", "tampered", "broken", "expired"]
    with processes.webui(tree, data=tmp_path) as site:
        assert not (tmp_path / "cache/model_lists").exists()
        folder.mkdir()
        (folder / "old").write_bytes(b"x")
        processes.age(folder / "old", 2 * 86400)
        names += [f"beside{number}" for number in range(16)]  # all are written at the same time
        site.connect([provider.script(name, body={"data": [{"id": name}]}) for name in names])
        assert set(site.models().ids) == set(names)
        until(lambda: len(list(folder.iterdir())) == len(names) and not (folder / "old").exists())
        assert "are not kept" not in site.log()
        files = {json.loads(zlib.decompress(file.read_bytes()))["data"][0]["id"]: file for file in folder.iterdir()}
        for file in files.values():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert len(file.name) == 64
        written = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
        both = {"data": [{"id": "restarts"}, {"id": "newer"}]}
        provider.script("restarts", body=both)
        assert "newer" in site.models().ids
        until(lambda: b"newer" in zlib.decompress(files["restarts"].read_bytes()))
        # what did not change is not written again
        assert {file for file in folder.iterdir() if file.stat().st_mtime_ns != written[file]} == {files["restarts"]}
        for file in files.values():
            for path in ("/cache/model_lists/", "/static/../model_lists/", "/api/v1/files/model_lists/"):
                assert b"restarts" not in site.call("GET", f"{path}{file.name}").content
    files["tampered"].write_bytes(zlib.compress(json.dumps({"data": [{"id": 7}, {"id": "good"}]}).encode()))
    files["broken"].write_bytes(b"nonsense")
    processes.age(files["restarts"], 86400 - 100)
    processes.age(files["expired"], 86400 + 10)
    for name in names:
        provider.script(name, hang_up=True)
    with processes.webui(tree, data=tmp_path) as site, ThreadPoolExecutor(5) as pool:
        for listing in pool.map(lambda _: site.models(), range(5)):  # everybody comes back at once
            assert set(listing.ids) == {"restarts", "newer", "good", *names[4:]}
            assert listing.stale("restarts")
        assert "can not be used" in site.log()
    with processes.webui(tree, data=tmp_path, env={"WEBUI_SECRET_KEY": "another"}) as site:
        assert not site.models().ids  # a file's name is the secret's


@thrice
def test_what_can_be_set_and_switched_off(tree: Path, provider: Provider) -> None:
    env = {"MODEL_LIST_STALE_TTL": "2", "MODEL_LIST_DEADLINE": "0.3", "MODEL_LIST_FIRST_DEADLINE": "0.6"}
    with processes.site(tree, openai=[provider.script("ttl")], env=env) as site:
        assert site.models().ids
        provider.script("ttl", hang_up=True)
        assert site.models().stale()
        time.sleep(2.1)
        assert not site.models().ids
        provider.script("ttl")
        assert not site.models().stale()
        provider.script("ttl", wait=2)
        assert 0.2 < site.models().seconds < 0.6
        site.connect([provider.script("first", wait=2)])
        assert 0.5 < site.models().seconds < 0.9
    with processes.site(tree, openai=[provider.script("off", wait=2.2)], env=PATIENT) as site:
        listing = site.models()
        assert listing.ids
        assert listing.seconds > 2
        provider.script("off", hang_up=True)
        assert not site.models().ids
        assert not list((site.data / "model_lists").glob("*"))


def test_what_nobody_asks_for_is_forgotten(tree: Path, provider: Provider) -> None:
    # the provider is told who asks, so that an answer is one user's, and in memory alone
    env = {"MODEL_LIST_STALE_TTL": "2", "ENABLE_FORWARD_USER_INFO_HEADERS": "True"}
    with processes.webui(tree, env=env) as site:
        for name in ("left", "next", "last"):
            site.connect([provider.script(f"{name}-for-one")])
            assert site.models().ids
            time.sleep(2.1)
        provider.script("left-for-one", hang_up=True)
        site.connect([provider.fault("left-for-one")])
        assert not site.models().ids
        assert not list((site.data / "model_lists").glob("*"))


def test_a_chat_waits_for_a_model_as_long_as_stock(tree: Path, provider: Provider) -> None:
    body = {"data": [{"id": "slow"}]}
    with processes.webui(tree) as site:
        site.sql(MODEL, "preset", "slow")
        site.connect([provider.script("slow3", body=body, wait=3), provider.good])
        assert site.chat("slow").status_code == 200  # the first thing anybody wants
        site.connect([provider.script("slow4", body=body, wait=3), provider.good])
        assert site.models().ids.count("slow") == 0
        assert site.chat("preset").status_code == 200  # it is listed, and what it stands on is still on its way
        site.set_config("models.base_models_cache", "true")
        site.connect([provider.script("slow5", body={"data": [{"id": "slower"}]}, wait=3), provider.good])
        assert site.models("/api/models?refresh=true").ids.count("slower") == 0
        assert site.chat("slower").status_code == 200  # the list that is cached has it not
        site.set_config("models.base_models_cache", "false")
        site.connect([provider.fault("slow4"), provider.good])
        provider.script("slow4", body={"data": [{"id": "slow"}, {"id": "new"}]})
        assert site.chat("new").status_code == 200  # no list had it yet
        assert site.chat("nobody").status_code == 400
        site.sql(MODEL, "orphan", "gone")
        site.models()
        time.sleep(1.1)  # for so long a list is cached
        before = provider.lists("fine")
        assert site.chat("orphan").status_code != 200
        assert provider.lists("fine") == before  # every late answer is in the list by now
        assert "A source of models fails" not in site.log()


@pytest.mark.parametrize("slot", SLOTS)
def test_a_chat_past_the_list_waits_too(webui: Site, provider: Provider, slot: str) -> None:
    """A router's own chat asks its own list, which is cached: not one that went on without the connection."""
    body = {"data": [{"id": "late"}], "models": [{"model": "late", "name": "late"}]}
    connect(webui, slot, provider.script(f"door-{slot}", slot, body=body, wait=2.5))
    assert not webui.models().ids
    form = {"model": "late", "messages": [{"role": "user", "content": "hi"}], "stream": False}
    door = "/openai/chat/completions" if slot == "openai" else "/ollama/api/chat"
    assert webui.call("POST", door, json=form).status_code == 200


@thrice
def test_the_list_is_made_anew_when_a_late_answer_comes(tree: Path, provider: Provider) -> None:
    with processes.webui(tree, env={"MODELS_CACHE_TTL": "300"}) as site:
        for cached in (False, True):
            site.set_config("models.base_models_cache", json.dumps(cached))
            late = provider.script(f"late{cached}", body={"data": [{"id": "late"}]}, wait=2.2)
            site.connect([(provider.good, {"prefix_id": f"good{cached}"}), late])
            assert f"good{cached}.beside" in site.models("/api/models").ids
            time.sleep(2.5)
            assert "late" in site.models("/api/models").ids
            time.sleep(4)
            site.models("/api/models")
            before = provider.lists("fine") + provider.lists(f"late{cached}")
            for _ in range(3):
                assert site.models("/api/models").seconds < 0.7
            # nothing new came, so it stays cached
            assert provider.lists("fine") + provider.lists(f"late{cached}") == before


def test_a_slow_connection_that_has_other_models_now(tree: Path, provider: Provider) -> None:
    with processes.webui(tree, env={"MODELS_CACHE_TTL": "300"}) as site:
        site.connect([provider.script("changes", body={"data": [{"id": "old"}]}, wait=1.2)])
        assert site.models().ids == ["old"]
        provider.script("changes", body={"data": [{"id": "new"}]}, wait=1.2)
        listing = site.models()
        assert listing.ids == ["old"]
        assert not listing.stale("old")
        until(lambda: site.models("/api/models").ids == ["new"])


def test_what_is_no_text_costs_its_letter(webui: Site, provider: Provider) -> None:
    webui.connect([provider.script("surrogate", body={"data": [{"id": "odd", "x": "a\ud800é"}]})])
    assert ((webui.models().get("odd") or {}).get("openai") or {})["x"] == "a?é"


@pytest.mark.parametrize("where", ["tags", "ps"])
def test_what_an_ollama_has_loaded(webui: Site, provider: Provider, where: str) -> None:
    name, model = f"loaded-{where}", {"model": "same", "name": "same"}
    loaded = {"models": [{**model, "expires_at": "2030-01-01T00:00:00Z"}]}
    webui.connect([], [provider.script(name, "ollama", body={"models": [model]}, ps=loaded)])
    assert (webui.models().get("same") or {})["loaded"] is True
    assert "A source of models fails" not in webui.log()
    provider.script(name, "ollama", body={"models": [model]}, ps="nonsense")
    assert (webui.models().get("same") or {})["loaded"] is False  # what was loaded a while ago says nothing of now
    files = (file for file in (webui.data / "model_lists").iterdir() if len(file.name) == 64)
    kept = [zlib.decompress(file.read_bytes()) for file in files]
    assert any(b'"same"' in answer for answer in kept)
    assert not any(b"expires_at" in answer for answer in kept)


@pytest.mark.parametrize(
    ("script", "env"),
    [("known_connections", {}), ("known_connections", PATIENT), ("whole_lists", {})],
    ids=["known", "patient", "lists"],
)
def test_what_is_known_of_a_connection(tree: Path, tmp_path: Path, script: str, env: dict[str, str]) -> None:
    data = tmp_path / ("patient" if env else "data")
    data.mkdir()
    printed, _ = processes.python(tree, ASSETS / f"{script}.py", tree / "backend", data, env=env)
    assert printed == "fine\n"
