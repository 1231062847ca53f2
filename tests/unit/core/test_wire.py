from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler

import pytest
import requests

from helpers import Server, reply
from webui_fork.core import wire

Answer = Callable[[BaseHTTPRequestHandler], None]


def sends(pieces: int, piece: bytes, pause: float = 0.0, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(int(headers.get("status", "200")))
        for name, value in headers.items():
            if name != "status":
                handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Connection", "close")
        handler.close_connection = True
        handler.end_headers()
        with suppress(OSError):  # nobody reads it to its end
            for _ in range(pieces):
                handler.wfile.write(piece)
                handler.wfile.flush()
                time.sleep(pause)

    return answer


def test_an_answer_within_its_bounds_is_as_requests_has_it(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 200, b'{"a": 1}')
    with wire.session(8) as http:
        assert http.get(server.url, timeout=5).json() == {"a": 1}


@pytest.mark.parametrize(
    "answer",
    [
        sends(64, b"x" * 4096),
        sends(1, gzip.compress(bytes(1 << 20)), Content_Encoding="gzip"),
        sends(64, b"x" * 4096, status="302", Location="/elsewhere"),
    ],
    ids=["endless", "packed", "beside a redirect"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_longer_is_not_read(server: Server, answer: Answer, stream: bool) -> None:
    server.answer = answer
    with wire.session(10_000) as http, pytest.raises(wire.EndlessError, match="more than 10000 bytes"):
        wire.read(http.get(server.url, timeout=5, stream=stream), 10_000, 5)


def test_what_drips_is_ended(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte begins a time-out of requests anew."""
    server.answer = sends(1000, b"x", 0.02, Content_Length="1000")
    monkeypatch.setattr(wire, "PATIENCE", 1)
    start = time.monotonic()
    with wire.session() as http:
        for timeout in (0.3, (5, 0.3)):
            with pytest.raises(wire.EndlessError, match=r"did not end within 0\.3 s"):
                http.get(server.url, timeout=timeout)
        with pytest.raises(wire.EndlessError, match=r"within 0\.3 s"):
            wire.read(http.get(server.url, timeout=5, stream=True), 10_000, 0.3)
    assert time.monotonic() - start < 10


def test_a_part_is_never_taken_for_the_whole(server: Server) -> None:
    """A body without a length ends where the connection does: also where we end it."""
    server.answer = sends(1000, b"x", 0.02)
    with wire.session() as http, pytest.raises(wire.EndlessError):
        wire.read(http.get(server.url, timeout=5, stream=True), 10_000, 0.3)


def test_an_error_of_another_kind_is_passed_on(server: Server) -> None:
    server.answer = sends(1, b"x", Content_Length="1000")
    with wire.session() as http, pytest.raises(requests.exceptions.ChunkedEncodingError):
        wire.read(http.get(server.url, timeout=5, stream=True), 10_000, 5)


def test_lines_come_one_by_one_and_have_an_end(server: Server) -> None:
    server.answer = sends(2, b"a\r\nb")
    with wire.session() as http:
        assert list(wire.lines(http.get(server.url, timeout=5, stream=True), 100)) == [b"a", b"ba", b"b"]
        with pytest.raises(wire.EndlessError, match="more than 7 bytes"):
            list(wire.lines(http.get(server.url, timeout=5, stream=True), 7))


def test_a_download_has_time_for_a_slow_line() -> None:
    assert wire.slowest(0) == 60
    assert wire.slowest(100_000_000) == 10_060
