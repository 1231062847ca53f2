"""Findings, and how they are printed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from typing import Any

from webui_fork.core.text import printable, without_parts


class Severity(IntEnum):
    """How bad a finding is; the number orders them, worst first."""

    CRITICAL = 0
    WARNING = 1
    INFO = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause: its name (docs/doctor.md has them all), what is wrong, what shows it, what to do."""

    cause: str
    severity: Severity
    what: str
    evidence: tuple[str, ...]
    fix: str


def ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings worst first; of the same severity, a cause before what it causes (the order of the rules)."""
    return tuple(sorted(findings, key=lambda finding: finding.severity))


def worst(findings: Sequence[Finding]) -> Severity:
    """Return the worst severity; INFO for none."""
    return min((finding.severity for finding in findings), default=Severity.INFO)


def redacted(finding: Finding, secrets: Sequence[str]) -> Finding:
    """Return a finding without any of these secrets, which a server's own words may have."""
    return replace(
        finding,
        what=without_parts(finding.what, secrets),
        evidence=tuple(without_parts(item, secrets) for item in finding.evidence),
        fix=without_parts(finding.fix, secrets),
    )


_COLOUR = {Severity.CRITICAL: "\033[31m", Severity.WARNING: "\033[33m", Severity.INFO: "\033[36m"}
_PLAIN = "\033[0m"


def _block(finding: Finding, colour: bool) -> list[str]:
    head = printable(f"{finding.severity.name.lower()}: {finding.what}  [{finding.cause}]")
    lines = [f"  evidence: {item}" for item in finding.evidence]
    lines += [f"  {'fix:' if not number else '    '} {line}" for number, line in enumerate(finding.fix.splitlines())]
    return [f"{_COLOUR[finding.severity]}{head}{_PLAIN}" if colour else head, *map(printable, lines)]


def text(url: str, about: str, findings: Sequence[Finding], unchecked: Sequence[str], *, colour: bool = False) -> str:
    """Return the report for people: the first cause first.

    Args:
        about: version and list in a line. unchecked: what could not be looked at, and why.
        colour: for a terminal; what others said is cleaned of such signs.
    """
    lines = [printable(f"{url}  {about}"), ""]
    for number, finding in enumerate(findings):
        if number == 1:
            lines += ["Also:", ""]
        lines += [*_block(finding, colour), ""]
    if not findings:
        lines += ["No problem could be seen from here.", ""]
    lines += [f"not checked: {item}" for item in unchecked]
    return "\n".join(lines).rstrip()


def document(url: str, about: str, findings: Sequence[Finding], unchecked: Sequence[str]) -> dict[str, Any]:
    """Return the report for programs."""
    rows = [{**asdict(finding), "severity": finding.severity.name.lower()} for finding in findings]
    return {"webui": url, "about": about, "findings": rows, "unchecked": list(unchecked)}
