"""Promises in seconds, on a machine that may be busy with something else."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable
from typing import Any

_TRIES = 3
_CALM = 1.3
_numbers = itertools.count(1)


def fresh(name: str) -> str:
    """Return a name that nobody used before: a test that is run again must not meet what is remembered of it."""
    return f"{name}-{next(_numbers)}"


def thrice(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test that holds seconds against a bound again where it fails; it fails when it fails three times.

    Before it is run again the machine may calm down: three tries within one busy moment are one.
    """

    @functools.wraps(test)
    def again(*arguments: Any, **fixtures: Any) -> None:
        for left in reversed(range(_TRIES)):
            try:
                return test(*arguments, **fixtures)
            except AssertionError:
                if not left:
                    raise
                wait_for_calm()
        return None

    return again


def wait_for_calm(seconds: float = 15) -> None:
    """Wait until this process gets the processor when it wants it, but not for ever."""
    deadline = time.monotonic() + seconds
    while busy() > _CALM and time.monotonic() < deadline:
        time.sleep(0.5)


def busy() -> float:
    """Return how many times as long as on an idle machine some work takes: the wall's seconds for one of ours."""
    start, own = time.perf_counter(), time.thread_time()
    while (spent := time.thread_time() - own) < 0.03:
        pass
    return (time.perf_counter() - start) / spent


def until(look: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something that must come."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.1)
