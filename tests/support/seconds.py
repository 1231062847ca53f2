"""Promises in seconds, on a machine that may be busy with something else."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable
from typing import Any

_TRIES = 3
_numbers = itertools.count(1)


def fresh(name: str) -> str:
    """Return a name that nobody used before: a test that is run again must not meet what is remembered of it."""
    return f"{name}-{next(_numbers)}"


def thrice(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test that holds seconds against a bound again where it fails; it fails when it fails three times."""

    @functools.wraps(test)
    def again(*arguments: Any, **fixtures: Any) -> None:
        for left in reversed(range(_TRIES)):
            try:
                return test(*arguments, **fixtures)
            except AssertionError:
                if not left:
                    raise
        return None

    return again


def until(look: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something that must come."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.1)
