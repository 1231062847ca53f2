"""Connections that list a model with the same settings stand in for each other; nothing is said twice or elsewhere."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

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
    connect,
    models,
    resets,
    says,
    server,
    status,
)
from processes import Site
from seconds import thrice


def say(site: Site, door: str = DOORS[0], **options: Any) -> requests.Response:
    form = {"model": "listed", "messages": [{"role": "user", "content": "hi"}], "input": "hi", "stream": False}
    return site.call("POST", door, json={**form, **options})


def silent(connection: socket.socket) -> None:
    connection.settimeout(30)
    connection.recv(1)


def slow(connection: socket.socket) -> None:
    time.sleep(3)
    ANSWERS(connection)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("fault", [HANGS_UP, resets, status(502), status(503), status(504)])
def test_another_place_answers(webui: Site, door: str, fault: Answer) -> None:
    with server(fault) as first, server(ANSWERS) as second:
        connect(webui, first, second)
        answers = [say(webui, door) for _ in range(3)]
        assert {answer.status_code for answer in answers} == {200}, answers[0].text
        assert (len(first.requests), len(second.requests)) == (1, 3)  # it is left out for a while


def test_a_port_where_nobody_listens(webui: Site) -> None:
    with server(ANSWERS) as second:
        webui.connect([(f"http://127.0.0.1:{processes.free_port()}/v1", LISTED), second.connection])
        webui.models()
        start = time.monotonic()
        assert say(webui).ok
        assert time.monotonic() - start < 10


def test_a_stream_names_the_place_that_gave_it(webui: Site) -> None:
    with server(HANGS_UP) as first, server(says(STREAM + b"data: [DONE]\n\n")) as second:
        connect(webui, first, second)
        answer = say(webui, DOORS[1], stream=True)
        assert ("[DONE]" in answer.text, answer.headers.get("X-Model-Place")) == (True, "1")


@thrice
def test_one_that_accepts_and_is_silent(webui: Site) -> None:
    with server(silent, lists=silent) as first, server(ANSWERS) as second:
        connect(webui, first, second)
        start = time.monotonic()
        assert say(webui).ok
        assert time.monotonic() - start < 3
        assert len(first.requests) == 1


def test_one_that_thinks_for_long_is_waited_for(webui: Site) -> None:
    with server(slow) as first, server(ANSWERS) as second:
        connect(webui, first, second)
        assert say(webui).ok
        assert (len(first.requests), len(second.requests)) == (1, 0)


def test_a_silent_one_is_waited_for_where_no_other_is_well(webui: Site) -> None:
    with server(slow, lists=silent) as first, server(HANGS_UP) as second:
        connect(webui, second, first)
        assert say(webui).ok
        assert (len(first.requests), len(second.requests)) == (1, 1)


BEGUN = [HEAD[:20], HEAD % 5000 + b"{", STREAM + b"data: {}\n\n"]


@pytest.mark.parametrize("answer", [*map(says, BEGUN), *map(status, (400, 401, 404, 429, 500))])
def test_what_was_answered_is_not_sent_twice(webui: Site, answer: Answer) -> None:
    with server(answer) as first, server(ANSWERS) as second:
        connect(webui, first, second)
        say(webui)
        assert (len(first.requests), len(second.requests)) == (1, 0)


def test_each_place_gets_its_own_key_and_name(webui: Site) -> None:
    with server(HANGS_UP) as first, server(ANSWERS) as second, server(HANGS_UP) as third:
        webui.connect([first.connection, third.connection, second.connection], keys=["one", "", "two"])
        webui.models()
        assert say(webui).ok
        for place, key in ((first, b"Bearer one"), (second, b"Bearer two"), (third, b"")):
            head = place.requests[0].partition(b"\r\n\r\n")[0]
            assert f"Host: {place.url[7:-3]}\r\n".encode() in head
            assert head.partition(b"Authorization: ")[2].partition(b"\r\n")[0] == key


def test_a_chat_goes_where_fewest_are(webui: Site) -> None:
    def streams(connection: socket.socket) -> None:
        connection.sendall(STREAM + b"data: {}\n\n")
        silent(connection)

    with server(streams, ANSWERS) as first, server(ANSWERS) as second:
        connect(webui, first, second)
        form = {"model": "listed", "messages": [{"role": "user", "content": "hi"}], "stream": True}
        headers = {"Authorization": f"Bearer {webui.token}"}
        url = f"{webui.url}/openai/chat/completions"
        with requests.post(url, json=form, headers=headers, stream=True, timeout=30) as stream:
            lines = stream.iter_lines()  # kept: without it, requests hangs up
            assert next(lines)
            assert say(webui).ok
            assert (len(first.requests), len(second.requests)) == (1, 1)
        deadline = time.monotonic() + 20
        while len(first.requests) < 2 and time.monotonic() < deadline:  # until the end of the stream is noticed
            assert say(webui).ok
        assert len(first.requests) == 2


OTHERS = [{"model_ids": ["listed", "another"]}, {**LISTED, "prefix_id": "x"}, {**LISTED, "enable": False}]
OTHERS += [{**LISTED, "headers": {"X-Tenant": "2"}}, {**LISTED, "api_type": "responses"}]


@pytest.mark.parametrize("config", OTHERS)
def test_a_connection_with_other_settings_is_another_one(webui: Site, config: dict[str, Any]) -> None:
    with server(HANGS_UP) as first, server(ANSWERS) as second:
        webui.connect([first.connection, (second.url, config)])
        webui.models()
        say(webui)
        assert not second.requests


def test_tags_make_no_difference(webui: Site) -> None:
    with server(HANGS_UP) as first, server(ANSWERS) as second:
        tagged = {**LISTED, "tags": [{"name": "gpu"}], "connection_type": "local", "enable": True}
        webui.connect([first.connection, (second.url, tagged)])
        webui.models()
        assert say(webui).ok


def test_only_who_lists_the_model_is_asked(webui: Site) -> None:
    both = models("listed", "beside")
    with server(HANGS_UP, lists=both) as first, server(ANSWERS) as second, server(ANSWERS, lists=models("x")) as third:
        webui.connect([first.url, third.url, second.url])
        webui.models()
        assert say(webui).ok
        assert say(webui, model="beside").status_code == 503
        assert (len(third.requests), len(second.requests)) == (0, 1)


@pytest.fixture(scope="module")
def elsewhere(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for which every name is this machine."""
    folder = tmp_path_factory.mktemp("names")
    (folder / "sitecustomize.py").write_text(
        "import socket\noriginal = socket.getaddrinfo\n"
        "socket.getaddrinfo = lambda host, *a, **k: original('127.0.0.1', *a, **k)\n"
    )
    with processes.webui(tree, before=folder) as running:
        yield running


@pytest.mark.parametrize(("first", "second"), [("near", "far.example.com"), ("far.example.com", "near")])
def test_nothing_said_at_home_goes_elsewhere(elsewhere: Site, first: str, second: str) -> None:
    with server(HANGS_UP) as away, server(ANSWERS) as other:
        urls = [away.url.replace("127.0.0.1", first), other.url.replace("127.0.0.1", second)]
        elsewhere.connect([(url, LISTED) for url in urls])
        elsewhere.models()
        assert say(elsewhere).status_code == 503
        assert not other.requests
        elsewhere.connect([(url.replace(".example.com", ""), LISTED) for url in urls])
        elsewhere.models()
        assert say(elsewhere).ok


def test_where_none_answers(webui: Site) -> None:
    with server(HANGS_UP) as first, server(HANGS_UP) as second:
        connect(webui, first, second)
        answer = say(webui)
        assert (answer.status_code, "has not answered for" in answer.text) == (503, True)
    with server(status(503)) as first, server(status(502)) as second:
        connect(webui, first, second)
        assert say(webui).status_code == 502
        assert (len(first.requests), len(second.requests)) == (1, 1)


def test_where_all_are_away_for_a_moment(webui: Site) -> None:
    with server(HANGS_UP, HANGS_UP, ANSWERS) as first, server(HANGS_UP) as second:
        webui.connect([first.connection, second.connection], keys=["one", ""])
        webui.models()
        assert say(webui).ok
        assert (len(first.requests), len(second.requests)) == (3, 2)
        for place in (first, second):  # the same each time, whatever the order of its headers
            assert len({frozenset(request.split(b"\r\n")) for request in place.requests}) == 1


def test_twenty_at_once(webui: Site) -> None:
    with server(resets) as first, server(ANSWERS) as second, ThreadPoolExecutor(20) as pool:
        connect(webui, first, second)
        assert all(answer.ok for answer in pool.map(lambda _: say(webui), range(20)))
        assert len(second.requests) == 20


def test_it_can_be_switched_off(tree: Path) -> None:
    env = {"MODEL_CHAT_RETRY": "0", "MODEL_CHAT_FAIL_OVER": "false"}
    with processes.webui(tree, env=env) as site, server(HANGS_UP) as first, server(ANSWERS) as second:
        connect(site, first, second)
        assert say(site).status_code == 500
        assert (len(first.requests), len(second.requests)) == (1, 0)
