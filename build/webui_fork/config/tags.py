"""Tags: one that never moves for each revision, and those that follow the newest. Pure.

`v0.12.4-p3` names one digest for ever; `v0.12.4` (upstream's own tag), `0.12` and `latest` move.
A flavour or a variant ends each: `v0.12.4-p3-slim`, `v0.12.4-p3-upstream-slim`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.version import Version

_FIXED = re.compile(r"v([0-9]{1,6}(?:\.[0-9]{1,6}){1,3})-p([0-9]{1,6})(?:-([a-z][a-z0-9]*(?:-[a-z][a-z0-9]*)*))?")


@dataclass(frozen=True, slots=True)
class Fixed:
    """A parsed tag that never moves."""

    release: str
    revision: int
    variant: str = ""

    @property
    def order(self) -> tuple[Version, int]:
        """What a newer one has more of."""
        return Version(self.release), self.revision

    def __str__(self) -> str:
        return f"v{self.release}-p{self.revision}" + (f"-{self.variant}" if self.variant else "")


def parse(tag: str) -> Fixed | None:
    """Read a tag that never moves; None where it is not one."""
    match = _FIXED.fullmatch(tag)
    return Fixed(match.group(1), int(match.group(2)), match.group(3) or "") if match else None


def moving(fixed: Fixed) -> tuple[str, ...]:
    """Return the tags that move to a revision once it is published, the narrowest first."""
    minor = ".".join(fixed.release.split(".")[:2])
    end = f"-{fixed.variant}" if fixed.variant else ""
    return f"v{fixed.release}{end}", f"{minor}{end}", f"latest{end}"


def covers(tag: str, fixed: Fixed) -> bool:
    """Tell whether a tag may name a revision."""
    return tag == str(fixed) or tag in moving(fixed)


def newer(fixed: Fixed, tag: str, present: tuple[str, ...]) -> Fixed | None:
    """Return the newest published revision that a moving tag should name instead of this one, or None.

    Args:
        fixed: what it names. tag: the moving tag. present: every tag of the repository.
    """
    others = [other for name in present if (other := parse(name)) and covers(tag, other) and other.order > fixed.order]
    return max(others, key=lambda other: other.order, default=None)
