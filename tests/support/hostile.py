"""What a hostile document has, and how long looking at it may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

from webui_fork.core.digest import Digest

DEEP = "[" * 100_000
LONG = "9" * 5000  # digits: int() refuses more than 4300
ZERO = Digest.of_hex("0" * 64)


def within(seconds: float, work: Callable[[], Any]) -> Any:
    """Return what some work gives, which has to take no longer."""
    start = time.monotonic()
    result = work()
    assert time.monotonic() - start < seconds
    return result


def drip(handler: BaseHTTPRequestHandler, status: int, pause: float = 0.02) -> None:
    """Answer with a thousand bytes, one after the other."""
    handler.send_response(status)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.close_connection = True
    with suppress(OSError):
        for _ in range(1000):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(pause)
