from __future__ import annotations

import pytest

from webui_fork.series import mutants

CODE = '''"""A module."""
import logging
LIMIT = 3
ON = True
def f(a: int, b=1) -> str:
    """What it does."""
    if a and b:
        return g(a, b, key="x")
    log.info("nothing %s", a)
    logger.info("seen")
    return f"{a}-{b}" if a else [c for c in b if c > 0]
'''
ALL = frozenset(range(1, 20))


def names(text: str = CODE, lines: frozenset[int] = ALL) -> list[str]:
    return [f"{mutant.line} {mutant.name}" for mutant in mutants.mutants(text, lines)]


@pytest.mark.parametrize(
    "name",
    [
        "3 changed constant: 3 -> 4",
        "3 removed statement: LIMIT = 3 -> pass",
        "4 changed constant: True -> False",
        "5 changed constant: 1 -> 2",
        "7 negated condition: a and b -> not (a and b)",
        "7 other operator: a and b -> ((a) or (b))",
        '8 swapped arguments: g(a, b, key="x") -> g(b, a, key="x")',
        '8 left-out keyword: g(a, b, key="x") -> g(a, b)',
        "8 changed constant: \"x\" -> 'xx'",
        '8 removed statement: return g(a, b, key="x") -> pass',
        '10 removed statement: logger.info("seen") -> pass',
        "11 negated condition: a -> not (a)",
        "11 negated condition: c > 0 -> not (c > 0)",
    ],
)
def test_each_kind_of_fault(name: str) -> None:
    assert name in names()


@pytest.mark.parametrize("function", ["max", "min"])
def test_the_order_of_what_has_none_is_not_swapped(function: str) -> None:
    assert not [name for name in names(f"A = {function}(a, b)\n") if "swapped" in name]


def test_what_nobody_can_notice_is_left_alone() -> None:
    for word in ("A module", "What it does", "nothing", "int", "str", "import"):
        assert not [name for name in names() if word in name], word


def test_none_at_the_end_of_a_function_comes_anyway() -> None:
    assert names("def f():\n    if g():\n        return None\n    return None\n") == [
        "2 negated condition: g() -> not (g())",
        "3 removed statement: return None -> pass",
    ]


def test_only_the_lines_that_may_change() -> None:
    assert {name.split()[0] for name in names(lines=frozenset({3, 7}))} == {"3", "7"}


def test_every_mutant_is_python_and_another_text() -> None:
    for mutant in mutants.mutants(CODE, ALL):
        compile(mutant.text, "x", "exec")
        assert mutant.text != CODE


def test_letters_of_several_bytes() -> None:
    (first, *_) = mutants.mutants("a = 'é', 7\n", ALL)
    assert "é" in first.text
    assert "a = 'é', 8\n" in {mutant.text for mutant in mutants.mutants("a = 'é', 7\n", ALL)}
