"""Upstream's changelog: what a person must know before moving from one release to another. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

_RELEASE = re.compile(r"^## \[([^\]]+)\](?: - (\S+))?", re.M)
_SECTION = re.compile(r"^### (.+)$", re.M)
_BREAKS = re.compile(
    r"breaking|migrat|backup|back up|downgrade|deprecat|removed\b|renamed|must (now )?be set|now require"
    r"|no longer (support|accept)|defaults? (has |have )?(changed|now)|env(ironment)? var"
    r"|\b[A-Z][A-Z0-9]+(_[A-Z0-9]+)+\b",
    re.I,
)
_CERTAIN = re.compile(r"breaking|database migration|back up|downgrade|⚠|\bIMPORTANT\b")
# upstream names some of them by their kind alone, as "Redirect-based SSRF protection"
_VULNERABILITY = re.compile(
    r"\bCVE-\d|\bGHSA-|vulnerabilit|\bsecurity (fix|patch|update|release|advisor)|\b(SSRF|XSS|CSRF)\b|path traversal",
    re.I,
)
_LINK = re.compile(r"\[([^\[\]]*)\]\([^()]*\)(, )?")
_LONGEST = 4000  # characters of a line that are read


@dataclass(frozen=True, slots=True)
class Note:
    """A line of the changelog: the release, its section, the text without links; ``certain``: it breaks or migrates."""

    version: str
    section: str
    text: str
    certain: bool


def between(text: str, old: str, new: str) -> tuple[tuple[str, str], ...]:
    """Return the releases after the old up to the new one, newest first, each with its part of the changelog."""
    low, high = sorted((Version(old), Version(new)))
    marks = list(_RELEASE.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)][: len(marks)]
    entries = []
    for mark, end in zip(marks, ends, strict=True):
        try:
            version = Version(mark[1])
        except InvalidVersion:
            continue
        if low < version <= high:
            entries.append((mark[1], text[mark.end() : end]))
    return tuple(entries)


def fixes_a_vulnerability(text: str, version: str) -> bool:
    """Tell whether the part of a release in the changelog speaks of one."""
    return any(_VULNERABILITY.search(part) for release, part in between(text, "0.0", version) if release == version)


def notes(text: str, old: str, new: str) -> tuple[Note, ...]:
    """Pick the migration notes and breaking changes between two releases, the certain ones first.

    A line counts when it speaks of migrations, removals, defaults or environment variables, or when it is not a
    bullet point at all: that is where upstream writes its warnings.
    """
    all_notes = [note for version, part in between(text, old, new) for note in _notes(version, part)]
    return tuple(sorted(all_notes, key=lambda note: not note.certain))


def _notes(version: str, part: str) -> Iterator[Note]:
    pieces = _SECTION.split(part)
    for section, body in [("", pieces[0]), *zip(pieces[1::2], pieces[2::2], strict=True)]:
        for line in body.splitlines():
            text = _LINK.sub("", line[:_LONGEST].strip()).strip(" ,")
            bullet = text.startswith(("- ", "* "))
            if not text or text.startswith(("<!--", "---")):
                continue
            changed = section in ("Changed", "Removed", "Deprecated")
            certain = "⚠" in text or not bullet or (changed and bool(_CERTAIN.search(text)))
            if certain or (changed and _BREAKS.search(text)):
                yield Note(version, section, text.removeprefix("- "), certain)
