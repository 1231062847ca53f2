"""Edits by chance: each is one that a person could make, and only a right result of carrying it is called right."""

from __future__ import annotations

import random

import pytest

from webui_fork.merge import tree
from webui_fork.series import synthetic

BASE = """\
def same(a):
    return a


def f(a):
    # why
    if a == 1:
        one(a, 'x')
        two(a)
    b = three(a, 2)
    four(b)
    return b
"""
THEIRS = BASE.replace("    four", "    more(b)\n    four").replace("def same", "def new():\n    pass\n\n\ndef same")


def edits(theirs: str = THEIRS) -> list[synthetic.Edit]:
    chances = (random.Random(seed) for seed in range(300))
    return [change for chance in chances if (change := synthetic.edit(chance, BASE, theirs, str))]


def test_all_kinds_are_made_and_only_in_functions_that_differ() -> None:
    change = edits()
    assert {one.kind for one in change} == set(synthetic.KINDS)
    assert {one.function for one in change} == {"f"}
    assert all(tree.parse(one.ours) and one.ours != BASE for one in change)


def test_the_same_seed_gives_the_same_edit() -> None:
    assert edits() == edits()


def test_the_edit_made_in_the_new_release_is_right_and_nothing_else() -> None:
    for one in edits():
        assert all(synthetic.is_right(one, right) for right in one.right)
        assert synthetic.is_right(one, one.right[0].replace("    # why\n", ""))  # whatever its layout
        assert not synthetic.is_right(one, THEIRS)
        assert not synthetic.is_right(one, None)
        assert not synthetic.is_right(one, one.ours)


def test_a_line_may_stay_with_either_neighbour() -> None:
    (right,) = {one.right for one in edits() if one.kind == "line behind" and one.line == 10}
    line = "    log.info('by chance')\n"
    assert set(right) == {THEIRS.replace("    more", f"{line}    more"), THEIRS.replace("    four", f"{line}    four")}


@pytest.mark.parametrize("theirs", [BASE, "x = (\n", BASE.replace("def f", "def g")])
def test_where_no_function_differs_there_is_none(theirs: str) -> None:
    assert edits(theirs) == []


def test_what_is_gone_is_not_edited() -> None:
    assert {one.line for one in edits(THEIRS.replace("    b = three(a, 2)\n", ""))}.isdisjoint({10})


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("condition", "if a == 1 and by_chance:\n"),
        ("wrapped", "if by_chance:\n        b = three(a, 2)\n"),
        ("argument", "b = three(a, 2, by_chance=True)\n"),
        ("constant", "b = three(a, -7)\n"),
        ("block before", "    if by_chance:\n        log.info('by chance')\n    four(b)\n"),
    ],
)
def test_what_the_edits_are(kind: str, text: str) -> None:
    assert [one for one in edits() if one.kind == kind and text in one.ours]
