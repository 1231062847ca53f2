from __future__ import annotations

import os

from webui_fork.merge.text import Merger

MERGER = Merger(
    {"PATH": os.environ["PATH"]}, b'[tool.ruff]\nline-length = 120\n[tool.ruff.format]\nquote-style = "single"\n'
)


def test_a_conflict_shows_all_three() -> None:
    text, clean = MERGER.lines("a\nb\nc\n", "a\nours\nc\n", "a\ntheirs\nc\n")
    assert not clean
    assert [line.split(":")[0] for line in text.splitlines() if line[:7] in ("<" * 7, "|" * 7, ">" * 7)] == [
        "<<<<<<< ours", "||||||| base", ">>>>>>> theirs",
    ]  # fmt: skip


def test_white_space_has_a_meaning() -> None:
    base = "if a:\n    one()\n    two()\n"
    text, clean = MERGER.lines(base, base.replace("    two", "two"), base.replace("one()", "one(1)"))
    assert not clean or text == "if a:\n    one(1)\ntwo()\n"
    _, clean = MERGER.lines("    x()\n", "  x()\n", "x()\n")
    assert not clean


def test_line_ends_and_a_missing_last_one_are_kept() -> None:
    base = "a\r\nb\r\nc\r\nd\r\ne"
    assert MERGER.lines(base, base.replace("b", "x"), base.replace("d", "y")) == ("a\r\nx\r\nc\r\ny\r\ne", True)


def test_the_release_was_formatted_anew() -> None:
    base = 'def f(a):\n    x = call(\n        "one", a\n    )\n    return x\n'
    ours = base.replace("    return", '    log("x")\n    return')
    theirs = "def f(a):\n    x = call('one', a)\n    return x\n"
    assert not MERGER.lines(base, ours, theirs)[1]
    assert MERGER.formatted_lines(base, ours, theirs) == theirs.replace("    return", "    log('x')\n    return")


def test_what_the_formatter_would_change_elsewhere_stays() -> None:
    base = 'def f(a):\n    return call("one", a)\n\nodd   = 1\n'
    ours = base.replace("def f(a):\n", 'def f(a):\n    log("x")\n')
    theirs = "def f(a):\n    return call('one', a)\n\nodd   = 1\n"
    merged = MERGER.formatted_lines(base, ours, theirs)
    assert merged is not None
    assert "odd   = 1\n" in merged


TWO = "def a(x):\n    step()\n    return x\n\n\ndef b(x):\n    step()\n    return x\n"


def test_functions_that_changed_their_order_are_merged_one_by_one() -> None:
    ours = TWO.replace("def b(x):\n    step()", "def b(x):\n    step(1)")
    first, second = TWO.rstrip("\n").split("\n\n\n")
    theirs = f"{second}\n\n\n{first}\n"
    assert MERGER.functions(TWO, ours, theirs) == theirs.replace("def b(x):\n    step()", "def b(x):\n    step(1)")


def test_a_function_that_is_gone_is_not_merged() -> None:
    ours = TWO.replace("def b(x):\n    step()", "def b(x):\n    step(1)")
    assert MERGER.functions(TWO, ours, TWO.split("\n\n\n")[0] + "\n") is None


def test_an_added_import_goes_behind_its_neighbour() -> None:
    base = "import a\nimport b\n\nx = 1\n"
    ours = "import a\nimport c\nimport b\n\nx = 1\n"
    theirs = "import z\nimport a\nfrom y import q\n\nx = 1\n"
    merged = MERGER.functions(base, ours, theirs)
    assert merged is not None
    assert merged.splitlines()[:3] == ["import z", "import a", "import c"]
