"""Models list and chat through Open WebUI in front of a real vLLM: for admins and users, in outages and crowds."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
from docker import DockerClient
from docker.models.containers import Container
from playwright.sync_api import Page

import shared
import throwaway
from browsing import say, say_more
from containers import Site, address, wait_for_model, webui
from hosted import gateway, tinyproxy
from integration.conftest import LOADING, OTHER, VLLM, Street, beside, vllm_options
from seconds import until
from sites import Connection, fault
from streaming import form
from webui_fork.core.settings import CHECKOUT, Settings

LISTS = {"/api/models": "data", "/api/v1/models": "data", "/openai/models": "data", "/api/models/base": "data"}

pytestmark = pytest.mark.minutes(2)


@pytest.fixture(autouse=True)
def connected(ours: Site) -> None:
    ours.connect([VLLM])


def chat(site: Site, model: str, *, stream: bool) -> str:
    """Say something; return what the model said."""
    answer = site.call("POST", "/api/chat/completions", json=form(model, stream=stream), stream=stream, timeout=60)
    assert answer.status_code == 200, answer.text
    if not stream:
        return str(answer.json()["choices"][0]["message"]["content"])
    lines = [line.removeprefix(b"data: ") for line in answer.iter_lines() if line.startswith(b"data: ")]
    assert lines[-1] == b"[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])


def _waited(site: Site, model: str, stream: bool) -> float | None:
    """Chat; return the seconds until the first token, or the answer.

    None where a stream that had begun was cut, or where a vLLM that is told to end gave what it had: nothing, or its
    own words that it ends.
    """
    start = time.monotonic()
    answer = site.call("POST", "/api/chat/completions", json=form(model, stream=stream), stream=stream, timeout=60)
    if answer.status_code == 500 and '"InternalServerError"' in answer.text:
        return None
    assert answer.status_code == 200, answer.text
    if not stream:
        if not answer.json()["choices"][0]["message"]["content"]:
            return None
    else:
        try:
            if not any(re.search(rb'"content": ?"[^"]', line) for line in answer.iter_lines()):
                return None
        except requests.RequestException:
            return None
    return time.monotonic() - start


def test_the_record_of_the_run_names_the_vllm(street: Street) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", shared.vllm_version(shared.folder()))


@pytest.mark.parametrize("path", LISTS)
def test_every_list_has_the_model(ours: Site, street: Street, path: str) -> None:
    found = ours.models(path, LISTS[path])
    assert found.status == 200
    assert street.model in found.ids


def test_a_disabled_ollama_lists_nothing(ours: Site) -> None:
    found = ours.models("/ollama/api/tags", "models")
    assert (found.status, found.models) == (200, ())


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_gets_tokens(ours: Site, street: Street, stream: bool) -> None:
    ours.models()
    assert chat(ours, street.model, stream=stream)


def test_without_v1_it_lists_and_chats(ours: Site, street: Street) -> None:
    ours.connect([" http://vllm:8000/ "])
    assert street.model in ours.models().ids
    assert chat(ours, street.model, stream=True)


@pytest.mark.parametrize("build", ["stock", "patched"])
def test_a_long_chat(client: DockerClient, street: Street, build: str, request: pytest.FixtureRequest) -> None:
    """It has more tokens than the vLLM takes, of which a letter is one for the tests' model."""
    env = {"ENABLE_CONTEXT_COMPACTION": "True", "MODEL_CONTEXT_SHARE": f"{0.75 / 4}"}
    env["CONTEXT_COMPACTION_PROMPT_TEMPLATE"] = "Sum up: {{COMPACTED_MESSAGES}}"
    with webui(client, request.getfixturevalue(build), street.network, env=env) as site:
        site.connect([VLLM])
        assert street.model in site.models().ids
        turns = [{"role": role, "content": "word " * 24} for role in ["user", "assistant"] * 5]
        messages = [*turns, {"role": "user", "content": "end"}]
        ids = {"chat_id": "local:one", "user_message": {"id": "u", **messages[-1]}}
        answer = site.call(
            "POST", "/api/chat/completions", json={**form(street.model, stream=False), "messages": messages, **ids}
        )
        assert answer.status_code == (200 if build == "patched" else 400), answer.text


class TestUsers:
    """Access control stays what it is."""

    def test_a_user_sees_what_was_shared_and_an_admin_everything(self, admin: Site, street: Street) -> None:
        admin.connect([VLLM, OTHER])
        user = admin.signed_up("ann")
        assert user.models().ids == [street.model]
        assert {street.model, "other.beside"} <= set(admin.models().ids)

    def test_a_user_is_not_told_of_failing_connections(self, admin: Site) -> None:
        user = admin.signed_up("bob")
        admin.connect([VLLM, OTHER, fault("status-500")])
        assert admin.models().failing
        assert not user.models().failing

    def test_an_answer_that_may_differ_by_user_is_never_anothers(self, admin: Site) -> None:
        """The provider answers one user and fails the next, who must not get the first one's models."""
        by_user = {"headers": {"X-User": "{{USER_ID}}"}, "prefix_id": "own"}
        admin.connect([(fault("first-caller-only"), by_user)])
        assert "own.beside" in admin.models().ids
        eve = admin.signed_up("eve", role="admin")
        assert "own.beside" not in eve.models().ids
        assert "own.beside" in admin.models().ids  # its own, kept


class TestOutages:
    """When vLLM is away for a moment, its models stay, marked."""

    def test_paused_killed_loading_and_back(
        self, client: DockerClient, patched: str, vllm_image: str, vllm: Container, page: Page
    ) -> None:
        """A vLLM of its own: others use the run's meanwhile, which stands in for it at the end."""
        with throwaway.container(client, vllm_image, **vllm_options(vllm_image)) as own:
            wait_for_model(own, LOADING)
            with beside(client, own, patched) as street, webui(client, patched, street.network, auth=True) as site:
                site.connect([VLLM])
                say(page, site, street.model)
                self._goes_and_comes(site, street)
                network = client.networks.get(street.network)
                network.connect(vllm, aliases=["spare"])
                try:
                    self._is_stood_in_for(site, street)
                    say_more(page, street.model)  # the chat outlives the vLLM that began it
                    page.screenshot(path=str(CHECKOUT / "out/outlives.png"))
                finally:
                    network.disconnect(vllm, force=True)

    def _is_stood_in_for(self, site: Site, street: Street) -> None:
        """Twenty chats each: all is well; paused; told to end; loading; killed. All are answered.

        But for streams that had begun with the one that ends.
        """
        site.connect([VLLM, "http://spare:8000/v1"])
        assert "stale" not in (site.models().get(street.model) or {"stale": 1})
        pause = ExitStack()

        def loads() -> None:
            street.vllm.wait()  # for its end
            street.vllm.start()

        events: dict[str, Callable[[], object]] = {
            "well": lambda: None,
            "paused": lambda: pause.enter_context(throwaway.frozen(street.vllm)),
            "SIGTERM": lambda: street.vllm.kill("SIGTERM"),
            "loading": loads,
            "SIGKILL": lambda: street.vllm.kill("SIGKILL"),
        }
        waits: dict[str, list[float]] = {}
        for name, happens in events.items():
            if name != "loading":
                pause.close()
                until(lambda: not site.models().failing, 180)
                time.sleep(11)  # one that failed comes last for 10 s
            with ThreadPoolExecutor(4) as pool:
                chats = [pool.submit(_waited, site, street.model, number % 2 == 0) for number in range(8)]
                happens()
                chats += [pool.submit(_waited, site, street.model, number % 2 == 0) for number in range(12)]
                waits[name] = sorted(wait for chat in chats if (wait := chat.result()) is not None)
        worst = {name: [len(seconds), round(seconds[-1], 2)] for name, seconds in waits.items()}
        (CHECKOUT / "out").mkdir(exist_ok=True)
        (CHECKOUT / "out/places.json").write_text(json.dumps(worst) + "\n")
        assert all(count >= 16 and seconds < 20 for count, seconds in worst.values()), worst
        assert worst["well"][0] == 20, worst
        assert worst["loading"][0] >= 18, worst  # the first of them may meet the one that is told to end

    def _goes_and_comes(self, ours: Site, street: Street) -> None:
        assert "stale" not in (ours.models().get(street.model) or {"stale": 1})
        with throwaway.frozen(street.vllm):
            self._is_stale(ours, street.model)
        self._comes_back(ours, street.model)
        street.vllm.restart(timeout=1)  # and it loads for half a minute: refused, then 200
        self._is_stale(ours, street.model)
        assert ours.models().failing
        with ThreadPoolExecutor(20) as pool:
            list(pool.map(lambda _: self._chats_until_it_is_back(ours, street.model), range(20)))
        self._comes_back(ours, street.model)
        assert chat(ours, street.model, stream=True)

    @staticmethod
    def _chats_until_it_is_back(site: Site, model: str) -> None:
        """Chat until there is an answer; until then there are words."""
        deadline = time.monotonic() + 180
        while (answer := site.call("POST", "/api/chat/completions", json=form(model, stream=False))).status_code != 200:
            assert "does not answer" in answer.text, answer.text
            assert time.monotonic() < deadline

    def test_a_valid_empty_list_is_an_answer(self, ours: Site) -> None:
        ours.connect([fault("full-then-empty")])
        assert "beside" in ours.models().ids
        assert ours.models().ids == []

    def test_an_error_beside_an_empty_list_is_none(self, ours: Site) -> None:
        ours.connect([fault("full-then-error")])
        assert "beside" in ours.models().ids
        kept = ours.models().get("beside")
        assert kept
        assert kept["stale"] is True

    @staticmethod
    def _is_stale(site: Site, model: str) -> None:
        # one that is silent fails when its request ends, as in stock: after 10 s
        until(lambda: "stale" in (site.models().get(model) or {}), 20)
        for _ in range(3):
            listing = site.models()
            assert listing.status == 200
            assert listing.seconds < 2
            entry = listing.get(model)
            assert entry
            assert entry["stale"] is True
            assert abs(entry["stale_since"] - time.time()) < 60

    @staticmethod
    def _comes_back(site: Site, model: str) -> None:
        deadline = time.monotonic() + 180
        while "stale" in (site.models().get(model) or {"stale": 1}):
            assert time.monotonic() < deadline
            time.sleep(1)


def test_two_hundred_clients_at_once(ours: Site, street: Street) -> None:
    ours.connect([VLLM, fault("silent"), fault("string")])
    with ThreadPoolExecutor(200) as pool:
        found = list(pool.map(lambda _: ours.models("/api/models"), range(200)))
    assert {listing.status for listing in found} == {200}
    assert all(street.model in listing.ids for listing in found)


class TestProxies:
    """A real proxy in the environment, as the Docker client puts it there."""

    @pytest.mark.parametrize("no_proxy", ["", "203.0.113.0/24,far.example.com:8000"])
    def test_private_hosts_are_asked_directly(
        self, client: DockerClient, patched: str, street: Street, real: Settings, tmp_path: Path, no_proxy: str
    ) -> None:
        with tinyproxy(real, gateway(client, street.network), tmp_path) as proxy:
            url = f"http://{proxy.host}:{proxy.port}"
            env = {"HTTP_PROXY": url, "http_proxy": url, "NO_PROXY": no_proxy}
            # a name that looks public, and is the provider's
            hosts = {"far.example.com": address(street.faults)}
            with webui(client, patched, street.network, env=env, extra_hosts=hosts) as site:
                far: list[Connection] = [("http://far.example.com:8000/f/fine/v1", {"prefix_id": "far"})]
                site.connect([VLLM, *far])
                listing = site.models()
                assert street.model in listing.ids
                assert chat(site, street.model, stream=True)
                # the proxy can't look the name up, unless NO_PROXY spares us it
                assert ("far.beside" in listing.ids) is bool(no_proxy)
                if not no_proxy:
                    form = {"url": "http://far.example.com:8000/f/fine/v1", "key": "key"}
                    answer = site.call("POST", "/openai/verify", json=form)
                    assert answer.status_code == 400
                    assert f"The proxy {url} answers for far.example.com" in answer.json()["detail"]
