"""Edits by chance of lines near those that a release changes, of files that are not Python. Pure.

A right result is the same edit of the same line in the new release, where both releases have that line once. An added
line may stay with either neighbour.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from difflib import SequenceMatcher

from webui_fork.series.synthetic import Edit

KINDS = ("line before", "line behind", "changed", "removed")
_NEAR = 6  # lines: git looks at three around a change
_SHORT = 4  # letters: a shorter line is a bracket
_TRIES = 30
_ADDED, _CHANGED = "byChance();\n", " /* by chance */\n"
_OTHER_WAY = {"line before": (-1, "line behind"), "line behind": (1, "line before")}


def edit(chance: random.Random, base: str, theirs: str) -> Edit | None:
    """Make an edit.

    Args:
        chance: where it comes from.
        base, theirs: a file of two releases.

    Returns:
        The edit; None where they do not differ, or none of a few tries gave one.
    """
    old, new = base.splitlines(keepends=True), theirs.splitlines(keepends=True)
    before, after = ([line.strip() for line in lines] for lines in (old, new))
    spans = [(start, end) for tag, start, end, _, _ in SequenceMatcher(None, old, new).get_opcodes() if tag != "equal"]
    for _ in range(_TRIES if old and spans else 0):
        (start, end), kind = chance.choice(spans), chance.choice(KINDS)
        number = chance.choice(range(max(0, start - _NEAR), min(len(old), end + _NEAR)))
        line = before[number]
        if len(line) < _SHORT or before.count(line) != 1 or after.count(line) != 1:
            continue
        right = [_edited(new, after.index(line), kind)]
        step, same = _OTHER_WAY.get(kind, (0, ""))
        if step and 0 <= number + step < len(old):
            neighbours = [place for place, text in enumerate(after) if text == before[number + step]]
            right += [_edited(new, place, same) for place in neighbours]
        return Edit(kind, "", number + 1, _edited(old, number, kind), tuple(right))
    return None


def is_right(change: Edit, text: str | None) -> bool:
    """Tell whether a result is one of the right ones, whatever its indentation and empty lines."""
    return text is not None and _plain(text) in map(_plain, change.right)


def _plain(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _edited(lines: Sequence[str], number: int, kind: str) -> str:
    line = lines[number]
    added = line[: len(line) - len(line.lstrip())] + _ADDED
    middle = {
        "line before": [added, line],
        "line behind": [line if line.endswith("\n") else f"{line}\n", added],
        "changed": [line.rstrip("\n") + _CHANGED],
        "removed": [],
    }[kind]
    return "".join([*lines[:number], *middle, *lines[number + 1 :]])
