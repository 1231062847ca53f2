"""Connections that list a model with the same settings stand in for each other; nothing is said twice or elsewhere."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

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
    models,
    resets,
    say,
    says,
    server,
    silent,
    status,
)
from processes import Site
from seconds import thrice

ENV = {"ENABLE_OPENAI_API_PASSTHROUGH": "True"}  # of the fixture `webui`: the last of the doors


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("fault", [HANGS_UP, resets, status(502), status(503), status(504)])
def test_another_place_answers(webui: Site, door: str, fault: Answer) -> None:
    with server(fault) as first, server(ANSWERS) as second:
        connect(webui, first, second)
        answers = [say(webui, door) for _ in range(3)]
        assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
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
        assert say(webui).ok
        assert (len(first.requests), len(second.requests)) == (1, 2)


@pytest.mark.parametrize("fault", [HANGS_UP, status(503)])
def test_where_the_other_is_silent_it_is_an_error_soon_as_in_stock(webui: Site, fault: Answer) -> None:
    with server(fault) as first, server(silent, lists=silent) as second:
        connect(webui, first, second)
        start = time.monotonic()
        assert say(webui).status_code in (500, 503)
        assert time.monotonic() - start < 15


@pytest.mark.parametrize("lists", [None, status(500), status(401)])
def test_one_that_thinks_for_long_is_waited_for(webui: Site, lists: Answer | None) -> None:
    with server(after(3, ANSWERS), lists=lists) as first, server(ANSWERS) as second:
        connect(webui, first, second)
        assert say(webui).ok
        assert (len(first.requests), len(second.requests)) == (1, 0)


@thrice
def test_an_answer_that_comes_while_it_is_asked_whether_it_lives(webui: Site) -> None:
    with server(after(1.4, ANSWERS), lists=silent) as first, server(ANSWERS) as second:
        connect(webui, first, second)
        assert say(webui).ok
        assert (len(first.requests), len(second.requests)) == (1, 0)


@pytest.mark.parametrize("other", [status(500), status(404), status(307), HANGS_UP])
def test_an_answer_that_comes_late_beats_one_that_is_bad(webui: Site, other: Answer) -> None:
    with server(after(4, ANSWERS), lists=silent) as first, server(other) as second:
        connect(webui, first, second)
        assert say(webui).ok
        assert (len(first.requests), len(second.requests)) == (1, 1)


def test_what_is_not_needed_any_more_is_ended(webui: Site) -> None:
    ended = threading.Event()

    def waits(connection: socket.socket) -> None:
        connection.settimeout(30)
        if connection.recv(1) == b"":
            ended.set()

    with server(waits, lists=silent) as first, server(ANSWERS) as second:
        connect(webui, first, second)
        assert say(webui).ok
        assert ended.wait(10)


BEGUN = [HEAD[:20], HEAD % 5000 + b"{", STREAM + b"data: {}\n\n"]


@pytest.mark.parametrize("answer", [*map(says, BEGUN), *map(status, (400, 401, 404, 429, 500))])
def test_what_was_answered_is_not_sent_twice(webui: Site, answer: Answer) -> None:
    with server(answer) as first, server(ANSWERS) as second:
        connect(webui, first, second)
        say(webui)
        assert (len(first.requests), len(second.requests)) == (1, 0)


def test_each_place_gets_its_own_key_and_name(webui: Site) -> None:
    with server(HANGS_UP) as first, server(ANSWERS) as second, server(status(503)) as third:
        webui.connect([first.connection, third.connection, second.connection], keys=["one", "", "two"])
        webui.models()
        assert say(webui).ok
        for place, key in ((first, b"Bearer one"), (second, b"Bearer two"), (third, b"")):
            head = place.requests[0].partition(b"\r\n\r\n")[0]
            assert f"Host: {place.url[7:-3]}\r\n".encode() in head
            assert head.partition(b"Authorization: ")[2].partition(b"\r\n")[0] == key


def test_one_that_is_busy_keeps_its_chats(webui: Site) -> None:
    """Its prefix cache has them; another place may be broken, which stock never notices."""
    with server(after(1.5, ANSWERS)) as first, server(status(404)) as second, ThreadPoolExecutor(5) as pool:
        connect(webui, first, second)
        assert all(answer.ok for answer in pool.map(lambda _: say(webui), range(5)))
        assert not second.requests


def test_the_host_that_the_admin_set_stays(webui: Site) -> None:
    config = {**LISTED, "headers": {"Host": "vhost.internal"}}
    with server(HANGS_UP) as first, server(ANSWERS) as second:
        webui.connect([(first.url, config), (second.url, config)])
        webui.models()
        assert say(webui).ok
        assert b"Host: vhost.internal\r\n" in second.requests[0]


OTHERS = [{"model_ids": ["listed", "another"]}, {**LISTED, "prefix_id": "x"}, {**LISTED, "enable": False}]
OTHERS += [{**LISTED, "headers": {"X-Tenant": "2"}}, {**LISTED, "api_type": "responses"}]
KEYS, NO_KEYS = ["one", "two"], ["", "two"]
SECRET = [({"azure": True}, KEYS), ({"provider": "azure"}, KEYS)]
SECRET += [({"auth_type": "none"}, NO_KEYS), ({"auth_type": "session"}, NO_KEYS)]


@pytest.mark.parametrize("config", OTHERS)
def test_a_connection_with_other_settings_is_another_one(webui: Site, config: dict[str, Any]) -> None:
    with server(HANGS_UP) as first, server(ANSWERS) as second:
        webui.connect([first.connection, (second.url, config)])
        webui.models()
        say(webui)
        assert not second.requests


@pytest.mark.parametrize(("config", "keys"), SECRET)
def test_where_more_than_a_key_says_who_asks(webui: Site, config: dict[str, Any], keys: list[str]) -> None:
    """Or nothing does: no key is sent where it was not."""
    with server(HANGS_UP) as first, server(ANSWERS) as second:
        urls = [place.url.replace("/v1", "/openai/v1") for place in (first, second)]  # as Azure has it
        webui.connect([(url, {**LISTED, **config}) for url in urls], keys=keys)
        webui.models()
        say(webui)
        assert first.requests
        assert not second.requests


def test_two_connections_of_one_address_and_key(webui: Site) -> None:
    """It can't be told whose settings a request has."""
    with server(HANGS_UP) as first, server(ANSWERS) as second:
        tenant = {**LISTED, "prefix_id": "x", "headers": {"X-Tenant": "2"}}
        webui.connect([first.connection, (first.url, tenant), second.connection])
        webui.models()
        assert say(webui, model="x.listed").status_code == 503
        assert say(webui).status_code == 503
        assert not second.requests


def test_one_address_with_two_keys(webui: Site) -> None:
    with server(HANGS_UP, ANSWERS) as running:
        webui.connect([running.connection, running.connection], keys=["one", "two"])
        webui.models()
        assert say(webui).ok
        assert [key for request in running.requests for key in (b"one", b"two") if b"Bearer " + key in request] == [
            b"one", b"two"
        ]  # fmt: skip


def test_a_base_url_with_a_password(webui: Site) -> None:
    with server(HANGS_UP) as first, server(ANSWERS) as second:
        webui.connect([first.connection, (second.url.replace("//", "//me:word@"), LISTED)])
        webui.models()
        assert say(webui).status_code == 503
        assert not second.requests


def test_a_base_url_below_another(webui: Site) -> None:
    with server(HANGS_UP) as first, server(ANSWERS) as second:
        inner = (f"{first.url}/tenant", {**LISTED, "prefix_id": "x"})
        webui.connect([first.connection, inner, second.connection])
        webui.models()
        assert say(webui, model="x.listed").status_code == 503
        assert not second.requests


def test_a_cookie_of_one_is_no_others(elsewhere: Site) -> None:
    sets = says(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSet-Cookie: a=b\r\n" + b"Content-Length: 2\r\n\r\n{}"
    )
    with server(sets, HANGS_UP) as first, server(ANSWERS) as second:
        urls = [first.url.replace("127.0.0.1", "baker"), second.url.replace("127.0.0.1", "other")]
        elsewhere.connect([(url, LISTED) for url in urls])
        elsewhere.models()
        assert [say(elsewhere).status_code, say(elsewhere).status_code] == [200, 503]
        assert b"Cookie: a=b" in first.requests[1]
        assert not second.requests


@pytest.mark.parametrize("keys", ['["key", null]', '["key"]', '["key", 7]'])
def test_a_key_that_is_malformed_does_no_harm(webui: Site, keys: str) -> None:
    with server(ANSWERS, HANGS_UP) as first, server(ANSWERS) as second:
        connect(webui, first, second)
        webui.set_config("openai.api_keys", keys)
        assert say(webui).ok
        assert say(webui).status_code in (200, 503)


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
def fresh(tree: Path) -> Iterator[Site]:
    """One that has left nothing out yet."""
    with processes.webui(tree) as running:
        yield running


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
        assert (answer.status_code, "does not answer" in answer.text) == (503, True)
    with server(status(503)) as first, server(status(502)) as second:
        connect(webui, first, second)
        assert say(webui).status_code == 503  # what stock would have said
        assert (len(first.requests), len(second.requests)) == (1, 1)
    with server(says(HEAD[:9] + b"503 No\r\nContent-Length: 4\r\n\r\nfull")) as first, server(HANGS_UP) as second:
        connect(webui, first, second)
        assert say(webui, DOORS[1]).text == "full"
        assert (len(first.requests), len(second.requests)) == (1, 1)


def test_where_all_are_away_for_a_moment(webui: Site) -> None:
    ports = processes.free_port(), processes.free_port()
    webui.connect([(f"http://127.0.0.1:{port}/v1", LISTED) for port in ports])
    webui.models()
    for port in ports:
        with ThreadPoolExecutor(1) as pool:
            chat = pool.submit(say, webui)
            time.sleep(0.5)
            with server(ANSWERS, port=port) as back:
                assert chat.result().ok
                assert back.requests[0].startswith(b"POST /v1/chat/completions HTTP")


def test_what_ends_its_server_does_not_end_them_all(webui: Site) -> None:
    with server(resets) as first, server(resets) as second, server(resets) as third:
        connect(webui, first, second, third)
        assert say(webui).status_code == 503
        assert len(first.requests + second.requests + third.requests) == 2


def test_chats_that_are_under_way_when_it_fails(fresh: Site) -> None:
    with server(after(0.7, status(503))) as first, server(ANSWERS) as second, ThreadPoolExecutor(6) as pool:
        connect(fresh, first, second)
        chats = []
        for _ in range(6):
            chats.append(pool.submit(say, fresh))
            time.sleep(0.1)
        assert {chat.result().status_code for chat in chats} == {200}
        assert (len(first.requests), len(second.requests)) == (6, 6)


def test_a_database_that_is_away_for_a_moment(fresh: Site) -> None:
    with server(after(2.5, ANSWERS)) as first, ThreadPoolExecutor(1) as pool:
        connect(fresh, first)
        chat = pool.submit(say, fresh, DOORS[1])
        time.sleep(0.5)
        fresh.sql("ALTER TABLE config RENAME TO away")
        try:
            assert chat.result().ok
        finally:
            fresh.sql("ALTER TABLE away RENAME TO config")


def test_a_place_that_lives_and_says_nothing(webui: Site) -> None:
    """The one that stock asks was left out for a moment, and is well."""
    with server(status(503), ANSWERS) as first, server(ANSWERS, silent) as second:
        connect(webui, first, second)
        assert [say(webui).status_code, say(webui).status_code] == [200, 200]
        assert (len(first.requests), len(second.requests)) == (2, 2)


def test_what_two_others_hung_up_on_is_still_stocks(webui: Site) -> None:
    with server(status(503), ANSWERS) as first, server(ANSWERS, resets) as second, server(resets) as third:
        connect(webui, first, second, third)
        assert [say(webui).status_code, say(webui).status_code] == [200, 200]
        assert (len(first.requests), len(second.requests), len(third.requests)) == (2, 2, 1)


@pytest.mark.parametrize("fault", [HANGS_UP, resets])
def test_a_kept_connection_of_the_other_that_ends_as_it_is_used(webui: Site, fault: Answer) -> None:
    """The one that is well is asked once more, before the one that was left out: it is 503 else."""
    with server(HANGS_UP) as first, server(ANSWERS, fault, ANSWERS) as second:
        connect(webui, first, second)
        assert [say(webui).status_code for _ in range(3)] == [200, 200, 200]
        assert (len(first.requests), len(second.requests)) == (1, 4)  # and it was not left out itself
    with server(status(503), ANSWERS) as first, server(ANSWERS, fault) as second:
        connect(webui, first, second)
        assert [say(webui).status_code, say(webui).status_code] == [200, 200]  # what stock asks comes next
        assert (len(first.requests), len(second.requests)) == (2, 3)


def test_a_cookie_that_another_sets_is_its_own(elsewhere: Site) -> None:
    sets = says(HEAD.replace(b"\r\n", b"\r\nSet-Cookie: a=b\r\n", 1) % 2 + b"{}")
    with server(status(503), ANSWERS) as first, server(sets, status(503)) as second:
        urls = [first.url.replace("127.0.0.1", "smith"), second.url.replace("127.0.0.1", "miller")]
        elsewhere.connect([(url, LISTED) for url in urls])
        elsewhere.models()
        assert [say(elsewhere).status_code, say(elsewhere).status_code] == [200, 200]
        assert b"Cookie" not in first.requests[1]


def test_twenty_at_once(webui: Site) -> None:
    with server(resets) as first, server(ANSWERS) as second, ThreadPoolExecutor(20) as pool:
        connect(webui, first, second)
        assert all(answer.ok for answer in pool.map(lambda _: say(webui), range(20)))
        assert len(second.requests) == 20


@pytest.mark.parametrize(("fail_over", "code"), [("false", 500), ("true", 200)])
def test_it_can_be_switched_off(tree: Path, fail_over: str, code: int) -> None:
    env = {"MODEL_CHAT_RETRY": "0", "MODEL_CHAT_FAIL_OVER": fail_over}
    with processes.webui(tree, env=env) as site, server(HANGS_UP) as first, server(ANSWERS) as second:
        connect(site, first, second)
        assert say(site).status_code == code
        assert (len(first.requests), len(second.requests)) == (1, int(code == 200))
