"""Merges of two changes that meet on no line, and that are wrong, or may be: each asks for a proof."""

from __future__ import annotations

import os

import pytest

from webui_fork.merge import three_way, tree
from webui_fork.merge.text import Merger
from webui_fork.merge.three_way import File


@pytest.fixture(scope="module")
def merger() -> Merger:
    return Merger({"PATH": os.environ["PATH"]})


def carried(merger: Merger, base: str, *sides: tuple[str, str]) -> File:
    """Carry what the first side changes of a file (old text, new text) to what the second one makes of it."""
    ours, theirs = (base.replace(old, new, 1) for old, new in sides)
    assert base not in (ours, theirs)
    return three_way.carry(merger, "a.py", base, ours, theirs)


def asks(file: File) -> bool:
    return file.text is None or file.needs_proof


LOAD = (
    "def f(x, verbose):\n    if x:\n        prep(x)\n        audit(x)\n        load(x)\n        send(x)\n    return x\n"
)
LOOP = LOAD.replace("if x:", "for one in x:")
HELD = LOAD.replace("if x:", "with held(x):")


@pytest.mark.parametrize(
    ("base", "head"),
    [(LOAD, ("if x:", "if x and verbose:")), (LOOP, ("in x:", "in x[:10]:")), (HELD, ("held(x)", "held(x, 3)"))],
)
def test_what_the_release_adds_below_a_head_that_the_patch_changes(
    merger: Merger, base: str, head: tuple[str, str]
) -> None:
    file = carried(merger, base, head, ("        send(x)\n", "        send(x)\n        check(x)\n"))
    assert asks(file)
    assert "check(x)" in file.why or file.text is None
    logged = ("        send(x)\n", "        send(x)\n        log.info(x)\n")
    assert not asks(carried(merger, base, head, logged))
    assert not asks(carried(merger, base, head, ("    return x\n", "    check(x)\n    return x\n")))


TRY = """\
def f(x):
    try:
        load(x)
    except ValueError as error:
        audit(error)
        prep(x)
    except KeyError as error:
        build(error)
        send(x)
"""
MATCH = """\
def f(x):
    match x:
        case "a":
            audit(x)
            prep(x)
        case str():
            build(x)
            send(x)
"""
CHECKED = ("        send(x)\n", "        send(x)\n        check(x)\n")
BEFORE = "    except LookupError:\n        pass\n    except KeyError"


@pytest.mark.parametrize(
    ("base", "theirs"),
    [
        (TRY, ("except ValueError", "except Exception")),
        (TRY, ("    except KeyError", BEFORE)),
        (MATCH, ('case "a":', "case str(value):")),
    ],
)
def test_a_clause_that_comes_before_that_of_the_patch(merger: Merger, base: str, theirs: tuple[str, str]) -> None:
    old, new = (text.replace("        ", "            ") for text in CHECKED)
    assert asks(carried(merger, base, CHECKED if base == TRY else (old, new), theirs))
    assert not asks(carried(merger, TRY, CHECKED, ("audit(error)", "audit(error, 2)")))


def test_a_handler_that_the_patch_adds_behind_one_that_takes_more_now(merger: Merger) -> None:
    added = ("        send(x)\n", "        send(x)\n    except OSError:\n        check(x)\n")
    assert asks(carried(merger, TRY, added, ("except ValueError", "except Exception")))


NAMES = """\
import os

STATE = 1


def f(id: str, user):
    x = load(id)
    y = build(x)
    z = audit(y)
    send(z)
    return z
"""


RETURN = "    {}\n    return z\n"


@pytest.mark.parametrize(
    ("added", "theirs"),
    [
        (
            RETURN.format("check(id, user)"),
            ("id: str, user):\n    x = load(id)", "name: str, user):\n    x = load(name)"),
        ),
        (RETURN.format("STATE = audit(x)"), ("    x = load(id)\n", "    send(STATE)\n    x = load(id)\n")),
        (RETURN.format("STATE = audit(x)"), ("    x = load(id)\n", "    global STATE\n    STATE = x = load(id)\n")),
    ],
)
def test_a_name_that_is_another_variable_with_both(merger: Merger, added: str, theirs: tuple[str, str]) -> None:
    assert asks(carried(merger, NAMES, ("    return z\n", added), theirs))


def test_names_that_stay_what_they_are_ask_for_nothing(merger: Merger) -> None:
    ours = ("    return z\n", "    check(id, [one for one in z], STATE)\n    return z\n")
    theirs = ("    x = load(id)\n", "    new = STATE\n    x = load(id, new)\n")
    assert not asks(carried(merger, NAMES, ours, theirs))


@pytest.mark.parametrize("odd", ["import os; import sys\n", "import os\n\f\n", "a = '\u2028'\n"])
def test_python_that_has_no_tree_is_not_taken_by_its_lines(merger: Merger, odd: str) -> None:
    base = odd + NAMES
    file = carried(merger, base, ("    send(z)\n", "    send(z, 2)\n"), ("import os\n\nSTATE", "import re\n\nSTATE"))
    assert tree.parse(base) is None
    assert asks(file)


def test_a_nul_character_is_a_conflict_and_no_crash(merger: Merger) -> None:
    file = carried(merger, NAMES, ("    return z\n", "    return (z)\n"), ("STATE = 1", "STATE = '\0'"))
    assert (file.text, file.why) == (None, "a NUL character is in it, which git takes for no text")


def test_one_literal_that_both_change(merger: Merger) -> None:
    text = 'QUERY = """\nSELECT x\nFROM t\nWHERE user = :u\n  AND kind = 1\n  AND folder = :f\n"""\n'
    ours, theirs = ("= :u\n", "= :u\n  AND archived = 0\n"), ("= :f\n", "= :f\n  OR shared = 1\n")
    assert asks(carried(merger, text, ours, theirs))


@pytest.mark.parametrize(
    "changed", [("        load(x)\n", "        load(x, 2)\n"), ("        load(x)\n", "        load(verbose)\n")]
)
def test_what_changes_below_a_head_counts_where_it_is_about_the_same(merger: Merger, changed: tuple[str, str]) -> None:
    file = carried(merger, LOAD, ("if x:", "if x and verbose:"), changed)
    assert asks(file) is ("verbose" in changed[1])


def test_a_decorator_is_a_head(merger: Merger) -> None:
    base = "@route\n" + LOAD
    added = ("        audit(x)\n", "        audit(x)\n        check(x)\n")
    assert asks(carried(merger, base, ("@route\n", "@public\n"), added))
    assert not asks(carried(merger, base, ("@route\n", "@route\n@logged\n"), added))
    assert asks(carried(merger, base, ("@route\n", "@route\n@cached\n"), added))
