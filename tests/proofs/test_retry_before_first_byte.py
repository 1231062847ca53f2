"""A chat whose server refuses or hangs up for a moment is answered; one that stays away says so; no answer is lost."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

import processes
from model_servers import (
    ANSWERS,
    DOORS,
    HANGS_UP,
    HEAD,
    LISTED,
    STREAM,
    Answer,
    after,
    connect,
    resets,
    say,
    says,
    server,
    silent,
    status,
)
from processes import Provider, Site

ENV = {"ENABLE_OPENAI_API_PASSTHROUGH": "True"}  # of the fixture `webui`: the last of the doors


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("fault", [HANGS_UP, resets])
def test_what_got_no_answer_is_sent_again(webui: Site, door: str, fault: Answer) -> None:
    with server(fault, ANSWERS) as running:
        connect(webui, running)
        answer = say(webui, door)
        assert (answer.status_code, len(running.requests)) == (200, 2), answer.text
        assert running.requests[0] == running.requests[1]


def test_what_ends_its_server_is_sent_twice_at_most(webui: Site) -> None:
    with server(resets) as running:
        connect(webui, running)
        assert (say(webui).status_code, len(running.requests)) == (503, 2)


@pytest.mark.parametrize("fail_over", ["true", "false"])
def test_what_is_sent_again_has_its_time(tree: Path, fail_over: str) -> None:
    """Also where the server answers nothing beside it, and no other place is known."""
    env = {"MODEL_CHAT_FAIL_OVER": fail_over}
    with (
        processes.webui(tree, env=env) as site,
        server(HANGS_UP, after(4, ANSWERS), lists=silent) as running,
    ):
        connect(site, running)
        assert (say(site).status_code, len(running.requests)) == (200, 2)


def test_a_stream_that_got_no_byte_is_sent_again(webui: Site) -> None:
    with server(HANGS_UP, says(STREAM + b"data: [DONE]\n\n")) as running:
        connect(webui, running)
        assert "[DONE]" in say(webui, stream=True).text
        assert len(running.requests) == 2


def test_a_server_that_comes_back_answers(webui: Site) -> None:
    port = processes.free_port()
    webui.connect([(f"http://127.0.0.1:{port}/v1", LISTED)])
    webui.models()
    with ThreadPoolExecutor(5) as pool:
        chats: list[Future[requests.Response]] = [pool.submit(say, webui) for _ in range(5)]
        time.sleep(0.5)
        assert not any(chat.done() for chat in chats)
        with server(ANSWERS, port=port):
            assert {chat.result().status_code for chat in chats} == {200}


def test_one_that_stays_away_says_so(webui: Site) -> None:
    webui.connect([(f"http://127.0.0.1:{processes.free_port()}/v1", LISTED)])
    webui.models()
    for door in DOORS[:2]:
        start, answer = time.monotonic(), say(webui, door)
        assert answer.status_code == 503
        assert "does not answer: it is restarting, loading, or away" in answer.text
        assert "127.0.0.1" not in answer.text
        assert 1 < time.monotonic() - start < 15
    assert answer.headers["Retry-After"] == "5"


def test_it_says_so_as_a_provider_would(webui: Site) -> None:
    webui.connect([(f"http://127.0.0.1:{processes.free_port()}/v1", LISTED)])
    webui.models()
    answer = say(webui, DOORS[-1])  # the door that passes bodies on as they are
    words = "The server of this model does not answer: it is restarting, loading, or away."
    assert answer.json() == {"error": {"message": words, "type": "connection", "code": "away"}}
    assert answer.headers["Content-Type"].startswith("application/json")


def test_since_when_it_is_away(webui: Site) -> None:
    """As the lists know it."""
    port = processes.free_port()
    with server(ANSWERS, port=port) as running:
        webui.connect([running.url])
        assert "listed" in webui.models().ids
    webui.models()
    time.sleep(2)
    assert int(say(webui).text.partition("does not answer, for ")[2].split()[0]) >= 2
    with server(ANSWERS, port=port):
        webui.models()
    assert "for " not in say(webui).text


BEGUN = [HEAD[:20], HEAD % 5000 + b"{", b"SSH-2.0-OpenSSH_9.2\r\n"]


@pytest.mark.parametrize("answer", [*map(says, BEGUN), status(500), status(503)])
def test_what_got_a_head_is_not_sent_again(webui: Site, answer: Answer) -> None:
    with server(answer, ANSWERS) as running:
        connect(webui, running)
        say(webui)
        assert len(running.requests) == 1


def test_what_can_not_be_over_in_a_moment_is_as_in_stock(webui: Site, provider: Provider) -> None:
    webui.connect([(provider.good.replace("http:", "https:"), LISTED)])
    webui.models()
    assert say(webui).status_code == 500


def test_another_request_is_not_sent_again(webui: Site, provider: Provider) -> None:
    """A list is asked for as often as in stock, where aiohttp tries a GET twice."""
    webui.connect([provider.script("gone", hang_up=True)])
    webui.models()
    assert provider.lists("gone") == 2
    with server(HANGS_UP, ANSWERS) as running:
        connect(webui, running)
        say(webui, "/openai/moderations")
        assert len(running.requests) == 1


def test_it_can_be_switched_off(tree: Path) -> None:
    with processes.webui(tree, env={"MODEL_CHAT_RETRY": "0"}) as site, server(HANGS_UP, ANSWERS) as running:
        connect(site, running)
        assert (say(site).status_code, len(running.requests)) == (500, 1)
