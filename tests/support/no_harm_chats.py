"""What stock does right, the rows about requests to a model."""

from __future__ import annotations

import base64
import os
import socket
import time
from contextlib import suppress
from typing import Any

import requests

from model_servers import ANSWERS, DOORS, HEAD, LISTED, OK, STREAM, Server, connect, say, says, server
from no_harm import SAME, Case, row


def streamed(case: Case) -> requests.Response:
    """Ask the model `listed` something; its answer is yet to come."""
    form = {"model": "listed", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    headers = {"Authorization": f"Bearer {case.site.token}"}
    return requests.post(f"{case.site.url}{DOORS[1]}", json=form, headers=headers, stream=True, timeout=20)


@row()
def what_a_model_is_sent(case: Case) -> list[Any]:
    """Once through each door, with the same head and the same words."""
    with server(ANSWERS) as running, server(ANSWERS) as other:
        connect(case.site, running, other)
        for door in DOORS:
            say(case.site, door)
        return [_comparable(request, running) for request in running.requests] + [len(other.requests)]


def _comparable(request: bytes, running: Server) -> str:
    return request.decode().replace(running.url[7:-3], "HOST").lower()


@row()
def words_of_an_error(case: Case) -> list[Any]:
    told = []
    for code in (400, 401, 404, 422, 429, 500, 502, 503):
        body = b'{"error": {"message": "no %d"}}' % code
        head = b"HTTP/1.1 %d No\r\nContent-Type: application/json\r\nRetry-After: 7\r\nContent-Length: %d\r\n\r\n"
        with server(says(head % (code, len(body)) + body)) as running:
            connect(case.site, running)
            answer = say(case.site, DOORS[1])
            told.append((answer.status_code, answer.text, answer.headers.get("Retry-After"), len(running.requests)))
    return told


@row()
def who_answers_of_two(case: Case) -> list[str]:
    """The first."""
    case.site.connect([case.url("first", body=SAME), case.url("second", body=SAME)])
    case.site.models()
    answers = [case.site.chat("same").json()["choices"][0]["message"]["content"] for _ in range(4)]
    return [answer.rpartition("-")[2] for answer in answers]


@row()
def a_client_that_hangs_up_in_a_stream(case: Case) -> list[bool]:
    """The model stops, too: its connection is closed."""
    closed: list[bool] = []

    def begins(connection: socket.socket) -> None:
        connection.sendall(STREAM + b"data: {}\n\n")
        connection.settimeout(30)
        closed.append(connection.recv(1) == b"")

    with server(begins) as running, server(ANSWERS) as other:
        connect(case.site, running, other)
        with streamed(case) as stream:
            lines = stream.iter_lines()  # kept: without it, requests hangs up
            next(lines)
            time.sleep(1)
            open_until_then = not closed
        deadline = time.monotonic() + 20
        while not closed and time.monotonic() < deadline:
            time.sleep(0.1)
        return [open_until_then, *closed, not other.requests]


@row()
def a_stream_comes_as_it_is_made(case: Case) -> list[Any]:
    def talks(connection: socket.socket) -> None:
        connection.sendall(STREAM + b"data: one\n\n")
        time.sleep(1)
        connection.sendall(b"data: two\n\ndata: [DONE]\n\n")

    with server(talks) as running:
        connect(case.site, running)
        with streamed(case) as stream:
            times = [(time.monotonic(), line) for line in stream.iter_lines() if line]
        return [[line for _, line in times], times[1][0] - times[0][0] > 0.5]


@row()
def a_request_of_eight_megabytes(case: Case) -> list[int]:
    with server(ANSWERS) as running, server(ANSWERS) as other:
        connect(case.site, running, other)
        image = f"data:image/png;base64,{base64.b64encode(os.urandom(6 << 20)).decode()}"
        content = [{"type": "image_url", "image_url": {"url": image}}]
        answer = say(case.site, messages=[{"role": "user", "content": content}])
        return [answer.status_code, len(running.requests), image[-99:].encode() in running.requests[0]]


@row()
def an_answer_that_takes_five_seconds(case: Case) -> list[int]:
    def thinks(connection: socket.socket) -> None:
        time.sleep(5)
        connection.sendall(HEAD % len(OK) + OK)

    with server(thinks) as running, server(ANSWERS) as other:
        connect(case.site, running, other)
        return [say(case.site).status_code, len(running.requests), len(other.requests)]


@row("less", slack=3.0, AIOHTTP_CLIENT_TIMEOUT="3", AIOHTTP_CLIENT_STREAM_IDLE_TIMEOUT="1")
def seconds_until_a_stream_that_stalls_ends(case: Case) -> float:
    def stalls(connection: socket.socket) -> None:
        connection.sendall(STREAM + b"data: {}\n\n")
        connection.settimeout(20)
        connection.recv(1)

    with server(stalls) as running, server(ANSWERS) as other:
        connect(case.site, running, other)
        start = time.monotonic()
        with suppress(requests.RequestException), streamed(case) as stream:
            assert list(stream.iter_lines())  # to its end
        return round(time.monotonic() - start, 1)


@row("less", slack=3.0, AIOHTTP_CLIENT_TIMEOUT="3", AIOHTTP_CLIENT_STREAM_IDLE_TIMEOUT="1")
def seconds_until_the_time_for_an_answer_is_over(case: Case) -> float:
    def silent(connection: socket.socket) -> None:
        connection.settimeout(20)
        connection.recv(1)

    with server(silent, lists=silent) as first, server(silent, lists=silent) as second:
        case.site.connect([(first.url, LISTED), (second.url, LISTED)])
        case.site.models()
        start = time.monotonic()
        say(case.site)
        return round(time.monotonic() - start, 1)
