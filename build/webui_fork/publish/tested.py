"""`out/proven.json`: which image passed every test. Written by the test run, read by `publish`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from webui_fork.core.errors import PublishError
from webui_fork.core.files import write_atomic
from webui_fork.core.settings import Settings

_REMEDY = "Run `nox -s tests`: a whole run without a failure writes out/proven.json."


@dataclass(frozen=True, slots=True)
class Proven:
    """An image that passed: its digest, the patched tree's commit in it, and how many tests it passed."""

    digest: str
    head: str
    passed: int


def _file(settings: Settings) -> Path:
    return settings.out / "proven.json"


def write(settings: Settings, proven: Proven) -> None:
    """Record an image that passed every test.

    Raises:
        CacheError: it can't be written.
    """
    write_atomic(_file(settings), json.dumps(asdict(proven), indent=1) + "\n")


def forget(settings: Settings) -> None:
    """Take the record back: a test failed."""
    _file(settings).unlink(missing_ok=True)


def read(settings: Settings) -> Proven:
    """Return the image that passed.

    Raises:
        PublishError: none did.
    """
    try:
        return Proven(**json.loads(_file(settings).read_bytes()))
    except FileNotFoundError:
        raise PublishError("No image has passed the tests.", remedy=_REMEDY) from None
    except (ValueError, TypeError) as error:
        raise PublishError(f"{_file(settings)} can't be read.", why=str(error), remedy=_REMEDY) from error


def check(settings: Settings, *, digest: str = "", head: str = "") -> Proven:
    """Check that this image, or one with this series, passed.

    Raises:
        PublishError: it did not.
    """
    proven = read(settings)
    if digest and proven.digest != digest:
        raise PublishError(
            "The image that would be published is not the one that passed the tests.",
            why=f"Built: {digest}\nTested: {proven.digest}",
            remedy=_REMEDY,
        )
    if head and proven.head != head:
        raise PublishError(
            "The series that would be published is not the one that passed the tests.",
            why=f"This series makes the tree {head[:12]}, tested was {proven.head[:12]}.",
            remedy=_REMEDY,
        )
    return proven
