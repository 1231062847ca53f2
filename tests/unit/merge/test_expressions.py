"""Whether two changes of one expression meet in parts of it that mean something only together."""

from __future__ import annotations

import ast

import pytest

from webui_fork.merge import expressions


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "meets"),
    [
        ("f(a, b=1)", "f(a, b=2)", "f(a, b=1, c=3)", False),  # arguments of different names
        ("f(a, b=1)", "f(a, b=1, d=2)", "f(a, b=1, c=3)", False),
        ("f(a)", "f(a, b=1)", "f(a, 2)", False),  # a name and a place
        ("f(a)", "f(a, 1)", "f(2, a)", True),  # two places
        ("f(a)", "g(a)", "f(a, b=1)", True),
        ("f(a)", "f(a, b=1)", "f(a, b=1)", False),  # the same
        ("f(a, b)", "f(a + 1, b)", "f(a, b + 1)", False),
        ("f(b=g(a))", "f(b=h(a))", "f(b=g(a, 1))", True),  # deeper
        ("x = f(a)", "x = f(a) or b", "x, y = f(a)", True),
        ("x[a]", "x[b]", "y[a]", True),
        ("a < b", "a + 1 < b", "a < b + 1", True),
        ("[a for a in b]", "[a for a in b if c]", "[d for d in b]", True),
        ("[a, b]", "[a, b, c]", "[d, a, b]", True),
        ("{'a': 1}", "{'a': 1, 'b': 2}", "{'a': 1, 'c': 3}", True),  # places of a literal
        ("a and b", "a and c", "d and b", False),  # conditions each for itself
    ],
)
def test_parts_that_belong_together(base: str, ours: str, theirs: str, meets: bool) -> None:
    for sides in ((ours, theirs), (theirs, ours)):
        assert expressions.meet(*(ast.parse(text).body[0] for text in (base, *sides))) is meets
