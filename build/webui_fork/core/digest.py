"""The digest of some bytes, as OCI, locks and caches name them; what is no digest can't become one.

Source: OCI image-spec 1.1, descriptor.md, "Digests"; only sha256, which every registry has.
"""

from __future__ import annotations

import re
from typing import Self

_PREFIX = "sha256:"
FORM = _PREFIX + "[0-9a-f]{64}"  # as a regular expression


class Digest(str):
    """`sha256:` and 64 hexadecimal digits, in lower case: so a path or a URL made from it leads nowhere else.

    Raises:
        ValueError: the text is anything else.
    """

    __slots__ = ()

    def __new__(cls, text: object) -> Self:  # noqa: D102  # the class says it
        if isinstance(text, cls):
            return text
        if not isinstance(text, str) or not re.fullmatch(FORM, text):
            raise ValueError(f"{str(text)[:100]!r} is not a digest (sha256: and 64 hexadecimal digits)")
        return super().__new__(cls, text)

    @classmethod
    def of_hex(cls, text: object) -> Self:
        """Return the digest whose 64 hexadecimal digits stand alone, as in a wheel's `--hash` or an index's JSON.

        Raises:
            ValueError: they are anything else.
        """
        if not isinstance(text, str):
            raise ValueError(f"{str(text)[:100]!r} is not a sha256 (64 hexadecimal digits)")
        return cls(_PREFIX + text)

    @property
    def hex(self) -> str:
        """Its digits alone."""
        return self.removeprefix(_PREFIX)


def decode(kind: type[Digest], value: object) -> Digest:
    """Return a value of a file as a digest: the hook that msgspec asks for (`dec_hook`; for `enc_hook`, `str` does).

    Raises:
        ValueError: it is none.
    """
    return kind(value)
