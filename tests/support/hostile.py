"""What a hostile document has, and how long looking at it may take."""

from __future__ import annotations

import time
from collections.abc import Callable
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
