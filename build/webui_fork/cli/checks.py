"""The checks of a verification: as lines, and when they are a refusal."""

from __future__ import annotations

from webui_fork.core import text
from webui_fork.core.errors import VerifyError
from webui_fork.trust.verify import Check, Verdict


def refuse(ref: str, checks: tuple[Check, ...], *, strict: bool = False) -> int:
    """Return how many checks could not be made.

    Raises:
        VerifyError: one failed; if strict, also where one could not be made.
    """
    bad = [check for check in checks if check.verdict is Verdict.BAD]
    unknown = [check for check in checks if check.verdict is Verdict.UNKNOWN]
    if bad or (unknown and strict):
        raise VerifyError(
            f"{ref} does not verify: {', '.join(check.name for check in bad or unknown)}.",
            why="\n".join(f"{check.name}: {check.words}" for check in bad or unknown),
            remedy="Do not run it before you know why." if bad else "`--help` says how to go on without these checks.",
        )
    return len(unknown)


def lines(checks: tuple[Check, ...]) -> str:
    """Return a line a check."""
    return text.table([(check.verdict, check.name, check.words) for check in checks])
