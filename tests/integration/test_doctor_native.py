"""The doctor beside an Open WebUI without a container, as pip and uv start one: it looks from where the server is."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page

import processes
import shared
from helpers import Server, Talk, reply
from model_servers import ANSWERS, HEAD, STREAM, Answer, says, server, status
from processes import Provider, Site
from webui_fork.core.settings import CHECKOUT, Secret, Settings
from webui_fork.doctor import examine, model_server, rules
from webui_fork.doctor import page as doctor_page
from webui_fork.doctor.facts import Facts
from webui_fork.doctor.findings import Finding

pytestmark = pytest.mark.minutes(1)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with processes.provider() as running:
        yield running


@pytest.fixture(scope="module")
def stock(forks: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Stock, started as by hand: a forked one has no command line of its own."""
    with processes.webui(shared.folder() / "tree", before=tmp_path_factory.mktemp("before")) as running:
        yield running


def look(real: Settings, request: examine.Request) -> Facts:
    """Look as a user without a Docker engine does."""
    blind = replace(real, environ={**real.environ, "DOCKER_HOST": "unix:///nowhere.sock"})
    return examine.run(blind, request, Talk())


def facts_of(real: Settings, site: Site) -> Facts:
    return look(real, examine.Request(site.url, token=Secret(site.token)))


def diagnose(real: Settings, site: Site) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Return what is found, and what was not looked at."""
    facts = facts_of(real, site)
    return rules.diagnose(facts), facts.unchecked


def test_nothing_is_wrong_and_nothing_inside_was_left_out(real: Settings, stock: Site, provider: Provider) -> None:
    stock.connect([provider.good])
    findings, unchecked = diagnose(real, stock)
    assert findings == ()
    assert not [line for line in unchecked if "from inside" in line]


@pytest.mark.parametrize(
    ("cause", "url", "slot"),
    [
        ("base-url-no-v1", "http://{host}/f/only-v1", "openai"),
        ("refused", "http://127.0.0.1:9/v1", "openai"),
        ("api-key", "http://{host}/f/status-401/v1", "openai"),
        ("wrong-service-ollama-slot", "http://{host}/f/only-v1", "ollama"),
        ("ollama-absent", "http://127.0.0.1:9", "ollama"),
    ],
)
def test_a_loopback_connection_is_looked_at_from_here(
    real: Settings, stock: Site, provider: Provider, cause: str, url: str, slot: str
) -> None:
    wrong = [url.format(host=provider.host)]
    stock.connect(wrong if slot == "openai" else [provider.good], wrong if slot == "ollama" else [])
    findings, _ = diagnose(real, stock)
    assert findings[0].cause == cause, findings
    evidence = "\n".join(findings[0].evidence)
    assert examine.BESIDE in evidence
    assert "Unexpected error" not in evidence


CUT = STREAM + b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n'


def slowly(connection: socket.socket) -> None:
    """Stream two tokens, further apart than the doctor calls slow."""
    connection.sendall(CUT)
    time.sleep(model_server.SLOW + 1)
    connection.sendall(CUT.removeprefix(STREAM) + b"data: [DONE]\n\n")


def words(text: str, code: int = 200) -> Answer:
    body = json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}], "error": {"message": text}})
    head = f"HTTP/1.1 {code} Status\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return says((head + body).encode())


STREAMS = says(CUT + b"data: [DONE]\n\n")
NO_TEMPLATE = "default chat template is no longer allowed, so you must provide a chat template"
TOO_LONG = "This model's maximum context length is 8 tokens. However, your request has 9 input tokens."


@pytest.mark.parametrize(
    ("cause", "answers"),
    [
        ("chat-stream", [ANSWERS, says(CUT), ANSWERS]),
        ("chat-slow", [ANSWERS, slowly, ANSWERS]),
        ("chat-long", [ANSWERS, STREAMS, ANSWERS, ANSWERS, status(413)]),
        ("chat-reasoning", [words("<think>Hm.</think>Yes."), STREAMS, ANSWERS]),
        ("chat-template", [words(NO_TEMPLATE, 400)]),
        ("chat-too-long", [words(TOO_LONG, 400)]),
    ],
)
def test_a_model_that_is_listed_and_does_not_chat_well(
    real: Settings, stock: Site, cause: str, answers: list[Answer]
) -> None:
    body = b'{"data": [{"id": "listed", "max_model_len": 100}]}'
    with server(*answers, lists=says(HEAD % len(body) + body)) as running:
        stock.connect([running.url])
        facts = look(real, examine.Request(stock.url, token=Secret(stock.token), chat=True))
        assert rules.diagnose(facts)[0].cause == cause, facts.chats


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_the_page_to_hand_on_is_readable_in_a_browser(
    real: Settings,
    stock: Site,
    provider: Provider,
    page: Page,
    tmp_path: Path,
    width: int,
    scheme: Literal["light", "dark"],
) -> None:
    stock.connect([provider.good, f"http://{provider.host}/f/only-v1"])
    facts = facts_of(real, stock)
    file = tmp_path / "doctor.html"
    file.write_text(doctor_page.write(facts, rules.about(facts), rules.diagnose(facts), "today", "test"))
    assert stock.token not in file.read_text()
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.goto(file.as_uri())
    assert loaded == [file.as_uri()]  # it loads nothing else
    assert "lacks /v1" in page.locator("h1").inner_text()
    assert page.locator(".way").count() == 2
    assert page.locator(".arrow.bad").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    (CHECKOUT / "out").mkdir(exist_ok=True)
    page.screenshot(path=str(CHECKOUT / f"out/doctor-{scheme}.png"), full_page=True)
    page.emulate_media(media="print", color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_nobody_and_somebody_else_answers(real: Settings, server: Server) -> None:
    nobody = rules.diagnose(look(real, examine.Request("http://127.0.0.1:9")))
    assert nobody[0].cause == "webui-unreachable"
    server.answer = lambda handler: reply(handler, 200, b"<html>Hello</html>", Content_Type="text/html")
    other = rules.diagnose(look(real, examine.Request(server.url)))
    assert other[0].cause == "not-open-webui"
