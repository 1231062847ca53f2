from __future__ import annotations

from textwrap import dedent

import pytest

from webui_fork.merge import transplant
from webui_fork.merge.expressions import ContestedError, UncertainError


def carried(base: str, ours: str, theirs: str) -> str:
    return transplant.transplant(dedent(base), dedent(ours), dedent(theirs)).text


BASE = """
    def first(items):
        for item in items:
            use(item)


    def second(items):
        for item in items:
            use(item)
    """
OURS = BASE.replace(
    "second(items):\n        for item in items:\n",
    "second(items):\n        for item in items:\n            check(item)\n",
)


def test_a_repeated_block_is_found_by_its_function() -> None:
    theirs = BASE.replace("    def second", "    def between():\n        pass\n\n\n    def second")
    assert carried(BASE, OURS, theirs) == dedent(theirs).replace(
        "def second(items):\n    for item in items:\n",
        "def second(items):\n    for item in items:\n        check(item)\n",
    )


def test_functions_that_changed_their_order_are_found() -> None:
    first, second = dedent(BASE).strip("\n").split("\n\n\n")
    result = transplant.transplant(dedent(BASE), dedent(OURS), f"{second}\n\n\n{first}\n")
    assert result.text.index("check(item)") < result.text.index("def first")
    assert result.doubts == ()  # it has the same name still


def test_a_method_that_moved_to_another_class_is_said_to_have_moved() -> None:
    base = "class A:\n    def go(self):\n        return 1\n\n\nclass B:\n    pass\n"
    theirs = "class A:\n    pass\n\n\nclass B:\n    def go(self):\n        return 1\n"
    result = transplant.transplant(base, base.replace("return 1", "return 2"), theirs)
    assert result.text == theirs.replace("return 1", "return 2")
    assert result.doubts == ("it is in B.go now",)


def test_another_layout_and_other_quotes_do_not_matter() -> None:
    base = 'def f(a):\n    x = call("one", a)\n    return x\n'
    ours = 'def f(a):\n    x = call("one", a)\n    x = more(x)\n    return x\n'
    theirs = "async def f(a, b=None):\n    x = call(\n        'one',\n        a,\n    )\n    return x\n"
    assert carried(base, ours, theirs) == theirs.replace("    return x", "    x = more(x)\n    return x")


def test_both_sides_change_one_call() -> None:
    base, ours, theirs = "x = call(a, wait=1)\n", "x = call(a, wait=2)\n", "x = call(b, wait=1)\n"
    assert carried(base, ours, theirs) == "x = call(b, wait=2)\n"


def test_both_sides_change_one_argument() -> None:
    with pytest.raises(UncertainError, match="in different ways"):
        carried("x = call(a)\n", "x = call(b)\n", "x = call(c)\n")


def test_imports_are_a_set() -> None:
    base, ours, theirs = "from m import a, b\n", "from m import a, b, c\n", "from m import a, b, d\n"
    assert carried(base, ours, theirs) == "from m import a, b, d, c\n"


def test_statements_added_by_both_in_one_place_whose_order_matters() -> None:
    base = "def f(x):\n    a = x\n    return a\n"
    ours = base.replace("    return", "    a = clean(a)\n    return")
    with pytest.raises(ContestedError, match="order matters"):
        carried(base, ours, base.replace("    return", "    log(a)\n    return"))


def test_statements_added_by_both_in_one_place_that_have_nothing_to_do_with_each_other() -> None:
    base = "def f(x):\n    a = x\n    return a\n"
    ours = base.replace("    return", "    b = one()\n    return")
    assert "b = one()" in carried(base, ours, base.replace("    return", "    c = two()\n    return"))


@pytest.mark.parametrize("leaves", ["return None", "raise Stop", "continue"])
def test_what_leaves_a_block_can_not_change_places(leaves: str) -> None:
    base = "def f(xs):\n    for x in xs:\n        use(x)\n"
    ours = base.replace("        use", f"        if odd:\n            {leaves}\n        use")
    with pytest.raises(ContestedError):
        carried(base, ours, base.replace("        use", "        count()\n        use"))


def test_a_block_whose_neighbours_are_gone() -> None:
    base = "def f(xs):\n    for x in xs:\n        use(x)\n    return xs\n"
    ours = base.replace("        use", "        check(x)\n        use")
    other = "        try:\n            other(x)\n        except Error:\n            pass\n"
    theirs = f"def f(xs):\n    for x in xs:\n{other}    return xs\n"
    with pytest.raises(UncertainError):
        carried(base, ours, theirs)


def test_what_it_removes_has_changed() -> None:
    base = "def f():\n    one()\n    two(1)\n    three()\n"
    with pytest.raises(UncertainError, match="has changed"):
        carried(base, base.replace("    two(1)\n", ""), base.replace("two(1)", "two(2)"))


def test_comments_come_with_what_they_are_for() -> None:
    base = "def f():\n    one()\n    three()\n"
    ours = "def f():\n    one()\n    # why two\n    two()\n    three()\n"
    theirs = "def f():\n    zero()\n    one()\n    three()\n"
    assert carried(base, ours, theirs) == "def f():\n    zero()\n    one()\n    # why two\n    two()\n    three()\n"


def test_an_elif_is_left_to_a_person() -> None:
    base = "def f(x):\n    if x:\n        one()\n    else:\n        two()\n        three()\n"
    ours = base.replace("        three", "        more()\n        three")
    theirs = "def f(x):\n    if x:\n        one()\n    elif x is None:\n        two()\n        three()\n"
    with pytest.raises(UncertainError):
        carried(base, ours, theirs)


def test_a_string_over_lines_is_not_moved_to_another_depth() -> None:
    base = "def f():\n    one()\n"
    ours = 'def f():\n    one()\n    x = """a\n    b"""\n'
    theirs = "class A:\n    def f():\n        one()\n"
    with pytest.raises(UncertainError, match="several lines"):
        carried(base, ours, theirs)


def test_the_value_that_it_works_on_is_made_elsewhere_now() -> None:
    """Seen on 0.6.15 to 0.6.16: every text merge was clean, and the lines stood behind what they should guard."""
    base = "def f(request):\n    models = load(request, user=1)\n\n    if not models:\n        return 0\n"
    base += "    return models\n"
    ours = base.replace("user=1)\n", "user=1)\n    models = [m for m in models if isinstance(m, dict)]\n")
    theirs = base.replace(
        "    models = load(request, user=1)\n",
        "    if cached(request):\n        kept = request.kept\n    else:\n        kept = load(request, user=1)\n"
        "        request.kept = kept\n\n    # a copy\n    models = [model.copy() for model in kept]\n",
    )
    with pytest.raises(ContestedError, match="makes models in another way"):
        carried(base, ours, theirs)
    assert "wait=2" in carried(base, ours, base.replace("user=1", "user=1, wait=2"))


def test_calls_that_may_change_one_object_do_not_change_places() -> None:
    base = "def f(x):\n    a = []\n    return a\n"
    ours = base.replace("    return", "    a.append(1)\n    return")
    with pytest.raises(ContestedError):
        carried(base, ours, base.replace("    return", "    a.append(2)\n    return"))


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        ("f(a)", "f(a, x=1)", "f(a, y=2)", "f(a, x=1, y=2)"),
        ("f(a, b=1)", "f(a, b=1, x=1)", "f(a, b=2)", "f(a, b=2, x=1)"),
        ("f(a, b=1)", "f(a)", "f(a, b=1, y=2)", "f(a, y=2)"),
        ("f(a, b=1, **c)", "f(a, b=2, **c)", "f(a, **c)", None),
        ("f(a, b=1)", "f(a)", "f(a, b=2)", None),
        ("f(a)", "f(a, x=1)", "f(a, x=2)", None),
        ("f(a)", "f(a, b)", "f(c)", "f(c, b)"),
        ("f(a)", "f(b, a)", "f(c)", "f(b, c)"),
        ("f(a)", "f(c)", "f(a, b)", "f(c, b)"),
        ("f(a)", "f(a, b)", "f(a, c)", None),
        ("f()", "f(a)", "f(b)", None),
        ("x = {'a': 1}", "x = {'a': 1, 'b': 2}", "x = {'a': 3}", 'x = {"a": 3, "b": 2}'),
        ("x = {'a': 1}", "x = {'b': 2, 'a': 1}", "x = {'c': 3, **d}", None),
        ("x = {'a': 1}", "x = {'b': 2, 'a': 1}", "x = {'a': 1, **d}", None),
        ("x = {'a': 1}", "x = {'a': 2}", "x = {'a': 3}", None),
        ("x = {'a': 1}", "x = {'b': 2, 'a': 1}", "x = {'c': 3}", 'x = {"b": 2, "c": 3}'),
        ("x = {'a': 1, **d}", "x = {'a': 1, 'b': 2, **d}", "x = {'a': 3, **d}", 'x = {"a": 3, "b": 2, **d}'),
        ("x = {a: 1, a: 2}", "x = {a: 1, a: 3}", "x = {a: 4, a: 2}", None),
    ],
)
def test_what_both_sides_change_in_one_statement(base: str, ours: str, theirs: str, merged: str | None) -> None:
    if merged is None:
        with pytest.raises(UncertainError):
            carried(f"{base}\n", f"{ours}\n", f"{theirs}\n")
    else:
        assert carried(f"{base}\n", f"{ours}\n", f"{theirs}\n").replace("'", '"') == f"{merged}\n"


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        ("def f(a):", "def f(a, x=1):", "def f(b):", "def f(b, x=1):"),
        ("for a in b(1):", "for a in b(2):", "for c in b(1):", "for c in b(2):"),
        ("if a and b:", "if a and c:", "if d and b:", "if d and c:"),
        ("if a:", "if a and b:", "if c:", None),
    ],
)
def test_the_head_of_a_block_that_both_sides_change(base: str, ours: str, theirs: str, merged: str | None) -> None:
    body = "\n    one(1, 2)\n    two(3, 4)\n"
    if merged is None:
        with pytest.raises(UncertainError):
            carried(base + body, ours + body, theirs + body)
    else:
        assert carried(base + body, ours + body, theirs + body) == merged + body


def test_the_head_of_an_elif_that_both_sides_change() -> None:
    base = "if a:\n    one()\nelif b(1, 2):\n    two()\n"
    merged = carried(base, base.replace("(1,", "(3,"), base.replace("2)", "4)"))
    assert merged == base.replace("b(1, 2)", "b(3, 4)")


def test_a_block_that_went_into_another_one() -> None:
    base = "def f(x):\n    a = one(x, 1)\n    b = two(a, 2)\n    return b\n"
    ours = base.replace("    b =", "    check(a)\n    b =")
    theirs = (
        "def f(x):\n    try:\n        a = one(x, 1)\n        b = two(a, 2)\n    finally:\n        end()\n    return b\n"
    )
    assert carried(base, ours, theirs) == theirs.replace("        b =", "        check(a)\n        b =")
    gone = carried(base, base.replace("    a = one(x, 1)\n", ""), theirs)
    assert gone == theirs.replace("        a = one(x, 1)\n", "")


PARAGRAPHS = "def f(x):\n    a = one(x)\n\n    b = two(x)\n    return b\n"


@pytest.mark.parametrize(
    ("line", "merged"),
    [
        ("    log.info(1)\n\n    b = two", "    log.info(1)\n\n    c = three()\n    b = two"),
        ("\n    log.info(1)\n    b = two", "\n    c = three()\n    log.info(1)\n    b = two"),
    ],
    ids=["behind the first", "before the second"],
)
def test_what_is_added_stays_in_its_paragraph(line: str, merged: str) -> None:
    theirs = PARAGRAPHS.replace("    b = two", "    c = three()\n    b = two")
    result = transplant.transplant(PARAGRAPHS, PARAGRAPHS.replace("\n    b = two", line), theirs)
    assert result.text == PARAGRAPHS.replace("\n    b = two", merged)
    assert result.doubts == ()


def test_a_log_line_among_others_is_in_doubt() -> None:
    base = PARAGRAPHS.replace("\n\n", "\n")
    theirs = base.replace("    b = two", "    c = three()\n    b = two")
    result = transplant.transplant(base, base.replace("    b = two", "    log.info(1)\n    b = two"), theirs)
    assert "log line" in result.doubts[0]
    assert transplant.transplant(base, base.replace("    b = two", "    d = 1\n    b = two"), theirs).doubts == ()


def test_a_function_s_own_names_are_its_own() -> None:
    base = "def f(x):\n    a = one(x)\n    return a\n"
    ours = base.replace("    return", "\n    def g():\n        c = 1\n        return c\n\n    return")
    theirs = base.replace("    return", "    c = three(x)\n    return")
    assert "c = three(x)" in carried(base, ours, theirs)
    base = "def g():\n    c = 1\n    return c\n\n\nstart(1, 2)\n"
    ours = base.replace("\n\nstart", "\n\nadd(c)\nstart")  # not the c of g
    assert "add(c)" in carried(base, ours, base.replace("c = 1", "c = other(1, 2, 3)").replace("return c", "return 5"))
