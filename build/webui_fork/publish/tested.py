"""`out/tested.json`: which image passed every test. Written by the test run, read by `publish`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from webui_fork.core.digest import Digest, decode
from webui_fork.core.errors import PublishError
from webui_fork.core.files import write_atomic
from webui_fork.core.settings import Settings

Suite = Annotated[str, Meta(pattern=r"^tests/[A-Za-z0-9_/]+\.py$(?!\n)")]
Count = Annotated[int, Meta(ge=1)]
Version = Annotated[str, Meta(pattern=r"^([0-9][0-9A-Za-z.+!]*)?$(?!\n)")]

_REMEDY = "Run `nox -s tests`: a whole run without a failure writes out/tested.json."


@dataclass(frozen=True, slots=True)
class OtherImage:
    """Another flavour that passed with it: its digest, how many tests ran on it, and their files."""

    digest: Digest
    passed: Count
    suites: tuple[Suite, ...] = ()


@dataclass(frozen=True, slots=True)
class PassedImage:
    """An image that passed: its digest, the patched tree's commit in it, and how many tests it passed.

    ``others`` are other flavours that passed with it. ``drift`` has a line for each
    Debian package that was not the locked one: the mirror had forgotten it. ``suites`` are the files of the tests,
    ``vllm`` is the version of the vLLM that models were listed from.
    """

    digest: Digest
    head: str
    passed: Count
    drift: tuple[str, ...] = ()
    others: tuple[OtherImage, ...] = ()
    suites: tuple[Suite, ...] = ()
    vllm: Version = ""

    def of(self, digest: Digest) -> OtherImage | None:
        """Return which tests ran on an image, or None where it is none of these."""
        own = OtherImage(self.digest, self.passed, self.suites)
        return next((one for one in (own, *self.others) if one.digest == digest), None)


def _file(settings: Settings) -> Path:
    return settings.checkout / "out/tested.json"  # the tests of the checkout run on the images of its lines, too


def write(settings: Settings, record: PassedImage) -> None:
    """Record an image that passed every test.

    Raises:
        PublishError: it could not be read again. CacheError: it can't be written.
    """
    data = msgspec.json.encode(record, enc_hook=str)
    _decoded(settings, data)
    write_atomic(_file(settings), msgspec.json.format(data, indent=1) + b"\n")


def forget(settings: Settings) -> None:
    """Take the record back: a test failed."""
    _file(settings).unlink(missing_ok=True)


def read(settings: Settings) -> PassedImage:
    """Return the image that passed.

    Raises:
        PublishError: none did.
    """
    try:
        data = _file(settings).read_bytes()
    except FileNotFoundError:
        raise PublishError("No image has passed the tests.", remedy=_REMEDY) from None
    return _decoded(settings, data)


def _decoded(settings: Settings, data: bytes) -> PassedImage:
    try:
        return msgspec.json.decode(data, type=PassedImage, dec_hook=decode)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise PublishError(f"{_file(settings)} can't be read.", why=str(error), remedy=_REMEDY) from error


def check(settings: Settings, *, digest: Digest | None = None, head: str = "") -> PassedImage:
    """Check that this image, or one with this series, passed.

    Args:
        settings: of the checkout.
        digest: of the image.
        head: the patched tree's commit.

    Raises:
        PublishError: it did not.
    """
    record = read(settings)
    if record.drift:
        raise PublishError(
            "The tests did not run on the locked Debian packages: the mirror had dropped some.",
            why="\n".join(record.drift[:8]),
            remedy="Run `nox -s lock`, review and commit, then build and test again.",
        )
    if digest and record.of(digest) is None:
        raise PublishError(
            "The image that would be published is not the one that passed the tests.",
            why=f"Built: {digest}\nTested: {record.digest}",
            remedy=_REMEDY,
        )
    if head and record.head != head:
        raise PublishError(
            "The series that would be published is not the one that passed the tests.",
            why=f"This series makes the tree {head[:12]}; the tests ran on {record.head[:12]}.",
            remedy=_REMEDY,
        )
    return record
