"""HTTP answers of servers that may lie: bounded in bytes and in seconds, whoever reads them.

A time-out of requests starts anew with each byte that comes, and an answer that nobody streams is read whole.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import requests
from requests.adapters import HTTPAdapter

LIMIT = 64 << 20  # bytes of an answer that is read whole, after decompression
PATIENCE = 5  # an answer has so many times the seconds of one wait
_WAIT = 60.0  # seconds of one wait where the request names none
_CHUNK = 64 << 10
_LINE = 512  # bytes: what comes in chunks is given as it comes
_SLOWEST = 10_000  # bytes a second, below which a download is given up


class EndlessError(requests.RequestException):
    """An answer is longer, or takes longer, than it may."""


@contextmanager
def deadline(response: requests.Response, seconds: float) -> Iterator[None]:
    """Bound the reading of a body.

    Args:
        response: whose body is read in this context.
        seconds: for all of it.

    Raises:
        EndlessError: the time is over; what was read is not the whole.
    """
    over = threading.Event()

    def end() -> None:
        over.set()
        with suppress(ValueError, RuntimeError, OSError):  # it has been read meanwhile
            response.raw.shutdown()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if over.is_set():
            raise EndlessError(f"the answer did not end within {seconds:g} s") from error
        raise
    finally:
        timer.cancel()
    if over.is_set():
        raise EndlessError(f"the answer did not end within {seconds:g} s")


def read(response: requests.Response, limit: int, seconds: float) -> bytes:
    """Return the body of an answer, read whole.

    Args:
        response: opened with `stream`.
        limit: bytes that it may have, after decompression.
        seconds: that it may take.

    Raises:
        EndlessError: it has more, or takes longer. RequestException: the connection breaks.
    """
    data = bytearray()
    with deadline(response, seconds):
        for piece in response.iter_content(_CHUNK):
            data += piece
            if len(data) > limit:
                raise EndlessError(f"the answer has more than {limit} bytes")
    return bytes(data)


def lines(response: requests.Response, limit: int) -> Iterator[bytes]:
    """Yield the lines of an answer as they come.

    Args:
        response: opened with `stream`.
        limit: bytes that all of it may have.

    Raises:
        EndlessError: it has more. RequestException: the connection breaks.
    """
    size, rest = 0, b""
    for piece in response.iter_content(_LINE):
        size += len(piece)
        if size > limit:
            raise EndlessError(f"the answer has more than {limit} bytes")
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line.removesuffix(b"\r") for line in whole)
    if rest:
        yield rest


def slowest(size: int) -> float:
    """Return the seconds that a download of some bytes may take: more than any line that is of use needs."""
    return _WAIT + size / _SLOWEST


class _Bounded(HTTPAdapter):
    """Reads what nobody streams, and what comes with a redirect, within bounds."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        super().__init__()

    def send(self, request: requests.PreparedRequest, stream: bool = False, timeout: Any = None, **rest: Any) -> Any:  # type: ignore[override]
        response = super().send(request, stream=stream, timeout=timeout, **rest)
        if not stream or response.is_redirect:
            wait = timeout[1] if isinstance(timeout, tuple) else timeout
            try:
                # what requests itself would leave there
                response._content = read(response, self._limit, PATIENCE * (wait or _WAIT))
            except BaseException:
                response.close()
                raise
            response._content_consumed = True  # type: ignore[attr-defined]
        return response


def session(limit: int = LIMIT) -> requests.Session:
    """Return an HTTP session whose answers are bounded.

    Args:
        limit: bytes of an answer that is read whole.
    """
    http = requests.Session()
    for scheme in ("http://", "https://"):
        http.mount(scheme, _Bounded(limit))
    return http
