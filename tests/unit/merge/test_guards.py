from __future__ import annotations

import textwrap

import pytest

from webui_fork.merge import guards, tree

LOOP = """\
def f(request, responses):
    for idx, response in enumerate(responses):
        url = request.app.state.config.URLS[idx]
        collect(url, response)
"""
GUARDED = LOOP.replace("        url =", "        if response is None:\n            continue\n        url =")


def module(text: str) -> tree.Module:
    found = tree.parse(text)
    assert found
    return found


def test_a_second_loop_that_may_need_the_same_guard_is_named() -> None:
    second = LOOP.partition("\n")[2].replace("collect", "count")
    found = guards.look_alikes(module(LOOP), module(GUARDED), module(LOOP + second))
    assert found == [
        "once more: url = request.app.state.config.URLS[idx]",
        "line 5: for idx, response in enumerate(responses):",
    ]


@pytest.mark.parametrize(
    ("theirs", "words"), [("go()\n    keep()\n    go()\n    go()", "once more"), ("keep()\n    go()", "fewer")]
)
def test_another_number_of_a_statement_that_comes_twice_is_named(theirs: str, words: str) -> None:
    base = "def f():\n    go()\n    keep()\n    go()\n"
    ours = base.replace("go()", "go(1)", 1)
    assert guards.look_alikes(module(base), module(ours), module(f"def f():\n    {theirs}\n")) == [f"{words}: go()"]


def test_other_new_code_is_not() -> None:
    theirs = LOOP + "    for name in sorted(request.names):\n        print(name)\n    return None\n"
    assert guards.look_alikes(module(LOOP), module(GUARDED), module(theirs)) == []


def test_columns_of_a_table_look_alike_by_chance() -> None:
    base = (
        "class T(Base):\n    meta = Column(JSONField, nullable=True)\n    valves = Column(JSONField, nullable=True)\n"
    )
    ours = base.replace("meta = Column(JSONField", "meta = Column(OwnField")
    theirs = base + "    version_id = Column(Text, nullable=True)\n"
    assert guards.look_alikes(module(base), module(ours), module(theirs)) == []


def test_a_change_that_landed_in_another_function_is_not_the_same_change() -> None:
    base = "def a():\n    go()\n\n\ndef b():\n    go()\n"
    ours = base.replace("def a():\n", "def a():\n    check()\n")
    wrong = base.replace("def b():\n", "def b():\n    check()\n")
    assert guards.same_change(base, ours, base, ours)
    assert not guards.same_change(base, ours, base, wrong)
    assert not guards.same_change(base, ours, base, base.replace("():\n", "():\n    check()\n"))


def test_imports_in_another_order_are_the_same_program() -> None:
    assert guards.same_tree("import a\nimport b\n\nx = 1\n", "import b\nimport a\nx = 1\n")
    assert not guards.same_tree("import a\nx = 1\n", "x = 1\nimport a\ny = 1\n")


@pytest.mark.parametrize(
    ("one", "other", "same", "with_logs"),
    [
        ("a = 1\nb = 2\n", "b = 2\na = 1\n", True, True),
        ("a = 1\nb = a\n", "b = a\na = 1\n", False, False),
        ("a = one()\nb = two()\n", "b = two()\na = one()\n", False, False),
        ("a = one()\nassert b\n", "assert b\na = one()\n", False, False),
        ("a = 1\nif b:\n    log.info(2)\n", "if b:\n    log.info(2)\na = 1\n", True, False),
        ("a = 1\nlog.info(2)\n", "log.info(2)\na = 1\n", True, False),
        ("a = one()\nprint_it(2)\n", "print_it(2)\na = one()\n", False, False),
        ("if x:\n    a = 1\n    b = 2\n", "if x:\n    b = 2\n    a = 1\n", True, True),
        ("if x:\n    a = 1\n    b = 2\n", "if y:\n    b = 2\n    a = 1\n", False, False),
        ("a = 1\nb = 2\n", "a = 1\n", False, False),
        ("a = 1\nb = 2\n", "a = 1\nc = 2\n", False, False),
    ],
)
def test_what_commutes_has_no_order(one: str, other: str, same: bool, with_logs: bool) -> None:
    assert guards.same_tree(one, other) is same
    assert guards.same_tree(one, other, logs=True) is with_logs


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        ("if u.admin:", "if u.admin and u.active:", True),
        ("if u.admin:", "if u.admin or u.active:", False),
        ("if u.admin and u.active:", "if u.admin:", False),
        ("if u.admin:", "if not u.admin:", False),
        ("if check(u['a'], list, 1, 2, 3):", "if check(u.get('a'), list, 1, 2, 3):", False),
        ("if check(u, list, 1, 2, 3) == 4:", "if check(u, list, 1, 2, 3) != 4:", False),
        ("if u.a and not u.b:", "if not u.a and u.b:", False),
        ("if u.a > b:", "if b > u.a:", False),
        ("for x in one(u):", "for x in other(u):", False),
        ("for x in one(u):", "for n, x in enumerate(one(u)):", True),
        ("for x in one(u):", "for y in two(z):", False),
        ("for x in one(u):", "for y in one(u):", False),
        ("for x in one(u):", "for x in sorted(one(u), key=two):", True),
        ("for x in one(u):", "for x in one(u).values():", False),
        ("for x in one(u):", "for x in [y for y in one(u)]:", False),
        ("for x in one(u):", "for x in one(u) if z else []:", False),
        ("for n, x in enumerate(one(u)):", "for n, x in enumerate(one(u), 1):", False),
        ("for n, x in enumerate(one(u)):", "for x in one(u):", False),
        ("with one(u):", "with two(z):", False),
        ("with one(u):", "with one(u, 1), two(z):", True),
        ("with u.lock:", "with u.timer:", False),
        ("with one(u) as s:", "with two(z) as s:", False),
        ("while u.a:", "while u.a and u.b:", True),
        ("while u.a:", "while u.a or u.b:", False),
    ],
)
def test_a_condition_is_the_same_if_it_only_has_more_to_it(before: str, now: str, same: bool) -> None:
    base = f"async def f(u):\n    {before}\n        one(1, 2)\n        two(3, 4)\n        three(5, 6)\n"
    ours = base.replace("        two", "        added()\n        two")
    context = guards.another_context(module(base), module(ours), module(base.replace(before, now)))
    assert (context == "") is same


BODY = "    one(1, 2)\n    two(3, 4)\n    three(5, 6)\n"
DEEPER = "".join(f"    {line}\n" for line in BODY.splitlines())


@pytest.mark.parametrize(
    ("wrapped", "same"),
    [
        ("    try:\n{}    except OSError:\n        pass\n", True),
        ("    with one():\n{}", False),
        ("    try:\n        go()\n    finally:\n{}", False),
        ("    if one():\n{}", False),
        ("    try:\n        go()\n    except OSError:\n{}", False),
    ],
)
def test_another_block_around_it(wrapped: str, same: bool) -> None:
    base = f"def f(u):\n{BODY}"
    ours = base.replace("    two(3", "    added()\n    two(3")
    context = guards.another_context(module(base), module(ours), module("def f(u):\n" + wrapped.format(DEEPER)))
    assert (context == "") is same


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ("", True),
        ("    two(2, 4)\n", True),
        ("    two(3, 4, more=5)\n", False),
        ("    two(u, 4)\n", False),
        ("    two(3, 4)()\n", False),
        ("    two(-3, 4)\n", False),
        ("    await two(3, 4)\n", False),
        ("    other()\n", False),
        ("    check(u)\n    two(3, 4)\n", False),
        ("    if u:\n        two(3, 4)\n", False),
        ("    for x in u:\n        two(3, 4)\n", False),
    ],
)
def test_new_code_is_what_a_condition_counts_for(change: str, same: bool) -> None:
    """When a statement runs that is there in both releases is for the release to say."""
    base = f"async def f(u):\n    if one():\n{DEEPER}"
    ours = base.replace("        two(3, 4)\n", textwrap.indent(change, "    "))
    theirs = base.replace("if one", "if not one")
    assert (guards.another_context(module(base), module(ours), module(theirs)) == "") is same


def test_a_constant_does_not_go_under_a_condition_more() -> None:
    base = f"def f(u):\n{BODY}"
    theirs = f"def f(u):\n    if u:\n{DEEPER}    else:\n        three(5, 6)\n"
    ours = base.replace("two(3", "two(2")
    assert guards.another_context(module(base), module(ours), module(theirs))
    assert not guards.another_context(module(base), module(base.replace("    two(3, 4)\n", "")), module(theirs))
    head = "def f(u):\n    if u:\n        if u == 1:\n            one(1, 2)\n            two(3, 4)\n"
    ours, theirs = head.replace("u == 1", "u == 2"), head.replace("if u:", "if not u:")
    assert guards.another_context(module(head), module(ours), module(theirs))


@pytest.mark.parametrize(
    "theirs",
    [
        "def f(u):\n    if u:\n        zero(7, 8)\n    else:\n" + DEEPER,
        f"def f(u):\n    while u:\n{DEEPER}",
        f"def f(u):\n    for u in u:\n{DEEPER}",
    ],
)
def test_a_constant_does_not_go_under_a_condition_of_another_kind(theirs: str) -> None:
    base = f"def f(u):\n    if u:\n{DEEPER}"
    ours = module(base.replace("two(3", "two(2"))
    assert guards.another_context(module(base), ours, module(theirs))
    assert not guards.another_context(module(base), ours, module(base.replace("if u", "if not u")))


@pytest.mark.parametrize("now", ["if u and v:", "if v:", "if u or v:", "if not u:"])
def test_an_else_runs_where_the_condition_does_not_hold(now: str) -> None:
    base = "def f(u, v):\n    if u:\n        one(1, 2)\n    else:\n        two(3, 4)\n        three(5, 6)\n"
    ours, theirs = base.replace("        three", "        added()\n        three"), base.replace("if u:", now)
    assert guards.another_context(module(base), module(ours), module(theirs))


MOVED = "def f(u):\n    one(u, 1)\n    if u:\n        leak(u, 2)\n    two(u, 3)\n\n\ndef g(u):\n    three(u)\n"


@pytest.mark.parametrize(
    ("theirs", "kept"),
    [
        (MOVED.replace("    if u:\n        leak(u, 2)\n", ""), ""),
        (MOVED.replace("    if u:\n        leak(u, 2)\n", "").replace("u, 3)", "u, 3)\n    leak(u, 2)"), "leak(u, 2)"),
        (MOVED.replace("    if u:\n        leak(u, 2)\n", "").replace("three(u)", "leak(u, 2)"), "leak(u, 2)"),
    ],
)
def test_what_the_patch_removes_and_the_release_has(theirs: str, kept: str) -> None:
    """In another place, another function, or out of its block."""
    ours = MOVED.replace("    if u:\n        leak(u, 2)\n", "")
    assert guards.moved_away(module(MOVED), module(ours), module(theirs)) == kept


def test_a_new_elif_before_it_is_another_condition_and_one_behind_it_is_not() -> None:
    base = "def f(u):\n    if u == 1:\n        one(1, 2)\n    elif u == 2:\n        two(3, 4)\n"
    theirs = base.replace("    elif", "    elif u == 3:\n        three(5, 6)\n    elif")
    ours = module(base.replace("two(3, 4)", "two(3, 4)\n        added()"))
    assert guards.another_context(module(base), ours, module(theirs))
    assert not guards.another_context(module(base), ours, module(f"{base}    elif u == 3:\n        three(5, 6)\n"))
    wider = base.replace("u == 1", "u in (1, 2)")
    assert guards.another_context(module(base), ours, module(wider))


def test_a_neighbour_that_is_in_another_function_once_more_says_nothing() -> None:
    base = "def f(u):\n    a = one(u, 1, 2, 3)\n    two(a)\n"
    ours = base.replace("    two", "    check(a)\n    two")
    other = "\n\ndef g(u):\n    a = one(u, 1, 2, 3)\n    three(a)\n"
    assert guards.look_alikes(module(base), module(ours), module(base + other)) == []
    assert guards.look_alikes(module(base), module(ours), module(base + "    a = one(u, 1, 2, 3)\n")) != []
    changed = base.replace("one(u", "one(u, 0")
    assert guards.look_alikes(module(base), module(changed), module(base + other)) != []


def test_a_head_that_changes_moves_no_line_of_its_body() -> None:
    base = "def f(a):\n    if a:\n        one()\n        two()\n"
    theirs = base.replace("two", "three")
    for head in ("if a and b:", "if c(1, 2):"):
        ours, result = base.replace("if a:", head), theirs.replace("if a:", head)
        assert guards.same_change(base, ours, theirs, result)
        ours, result = base.replace("one", "zero"), theirs.replace("one", "zero")
        assert guards.same_change(base, ours, theirs.replace("if a:", head), result.replace("if a:", head))
    assert not guards.same_change(base, ours, theirs, theirs.replace("three", "zero"))


def test_complete_is_what_has_every_token_and_comment_that_was_added() -> None:
    base, ours = "f(a)\n", "f(a, x=1)  # why\n"
    assert guards.complete(base, ours, "f(b)\n", "f(\n    b,\n    x=1,\n)  # why\n")
    assert not guards.complete(base, ours, "f(b)\n", "f(b, x=1)\n")
    assert not guards.complete(base, ours, "f(b)\n", "f(b)  # why\n")
