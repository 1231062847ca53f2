"""Edits of lines by chance: near what the release changes, and only the same edit of the same line is right."""

from __future__ import annotations

import random

import pytest

from webui_fork.series import line_edits
from webui_fork.series.synthetic import Edit

BASE = "".join(f"\tline({number});\n" for number in range(40)) + "}\n}\n"
THEIRS = BASE.replace("\tline(20);\n", "\tother(20);\n\tmore(20);\n")


def edits(theirs: str = THEIRS, base: str = BASE) -> list[Edit]:
    chances = (random.Random(seed) for seed in range(200))
    return [change for chance in chances if (change := line_edits.edit(chance, base, theirs))]


def test_all_kinds_are_made_near_the_change() -> None:
    changes = edits()
    assert {one.kind for one in changes} == set(line_edits.KINDS)
    assert {one.line for one in changes} == {*range(15, 28)} - {21}  # that line is gone
    assert all(one.ours != BASE for one in changes)
    assert edits() == changes


def test_the_same_edit_of_the_new_release_is_right_and_nothing_else() -> None:
    for one in edits():
        assert all(line_edits.is_right(one, right) for right in one.right)
        assert line_edits.is_right(one, one.right[0].replace("\t", "    ").replace("}", "\n}"))
        assert not line_edits.is_right(one, THEIRS)
        assert not line_edits.is_right(one, None)
        assert not line_edits.is_right(one, one.ours)


def test_an_added_line_may_stay_with_either_neighbour() -> None:
    (right,) = {one.right for one in edits() if one.kind == "line behind" and one.line == 19}
    added = THEIRS.replace("line(18);\n", "line(18);\n\tbyChance();\n")
    assert right == (added, added)
    (right,) = {one.right for one in edits() if one.kind == "line before" and one.line == 22}
    assert right == (THEIRS.replace("\tline(21)", "\tbyChance();\n\tline(21)"),)  # its other neighbour is gone
    moved = THEIRS.replace("\tline(19);\n", "").replace("\tline(25)", "\tline(19);\n\tline(25)")
    (right,) = {one.right for one in edits(moved) if one.kind == "line behind" and one.line == 19}
    assert right[0] == moved.replace("line(18);\n", "line(18);\n\tbyChance();\n")
    assert right[1] == moved.replace("\tline(19)", "\tbyChance();\n\tline(19)")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("line before", "a();\n\tbyChance();\n\tbb();"),
        ("line behind", "a();\n\tbb();\n\tbyChance();\n"),
        ("changed", "a();\n\tbb(); /* by chance */\n"),
        ("removed", "a();\n"),
    ],
)
def test_the_last_line_of_a_file(kind: str, expected: str) -> None:
    assert line_edits._edited(["a();\n", "\tbb();"], 1, kind) == expected


@pytest.mark.parametrize(
    ("base", "theirs"), [(BASE, BASE), ("", BASE), ("}\n}\n", "}\n"), ("same();\n" * 9, "same();\n" * 8)]
)
def test_nothing_to_edit(base: str, theirs: str) -> None:
    assert edits(theirs, base) == []
