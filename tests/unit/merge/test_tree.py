from __future__ import annotations

import pytest

from webui_fork.merge import tree


def module(text: str) -> tree.Module:
    parsed = tree.parse(text)
    assert parsed
    return parsed


@pytest.mark.parametrize("text", ["def f(:\n", "a = 1; b = 2\n", "x = 1\x0c\ny = 2\n", "\0"])
def test_what_can_not_be_trusted_is_not_read(text: str) -> None:
    assert tree.parse(text) is None


def test_layout_quotes_and_comments_do_not_count() -> None:
    one = module("def f(a):\n    # why\n    return call('x', a)\n")
    other = module('def f(\n    a,\n):\n    return call(\n        "x", a\n    )\n')
    assert one.dump == other.dump


@pytest.mark.parametrize(("one", "other"), [("if a:\n    b()\n", "if a:\n    b()\n    c()\n"), ("f(1)\n", "f(True)\n")])
def test_meaning_counts(one: str, other: str) -> None:
    assert module(one).dump != module(other).dump


def test_async_counts() -> None:
    assert module("def f():\n    pass\n").dump != module("async def f():\n    pass\n").dump


def test_scopes_are_dotted_names_by_line() -> None:
    text = "x = 1\nclass A:\n    @one\n    def f(self):\n        def g():\n            pass\n        return g\n"
    assert tree.scopes(module(text)) == ("", "A", "A.f", "A.f", "A.f.g", "A.f.g", "A.f")


def test_the_same_text_is_the_same_tree_and_another_one_is_not() -> None:
    inline = "if (a and\n    b): x()\nelse:\n    y()\n"
    module = tree.parse(inline + inline.replace("b)", "c)"))
    assert module is not None
    one, other = module.blocks["body"]
    assert one.head != other.head
    assert one.dump != other.dump
    locked, inside = "with lock:\n    x = 1\n", "def f():\n    with lock:\n        return 1\n"
    deeper = tree.parse(inside + locked + locked.replace("lock", "locks"))
    assert deeper is not None
    function, two, three = deeper.blocks["body"]
    (inner,) = function.blocks["body"]
    assert inner.head == two.head != three.head
    assert inner.dump != two.dump


def test_statements_at_other_depths_are_equal() -> None:
    lists = ("x = [1,\n    2]\n", "x = [1,\n        2]\n")
    texts = ("y = '''a\n  b'''\n", "y = '''a\n    b'''\n")
    module = tree.parse(f"{lists[0]}if a:\n    {lists[1]}    {texts[0]}{texts[0]}{texts[1]}")
    assert module is not None
    first, condition, text, other_text = module.blocks["body"]
    again, inner_text = condition.blocks["body"]
    assert first.dump == again.dump
    assert text.dump == inner_text.dump != other_text.dump


def test_a_head_knows_the_blocks_that_it_has() -> None:
    condition, attempt = "if a:\n    x()\n", "try:\n    x()\n"
    caught, ended = f"{attempt}except A:\n    y()\n", f"{attempt}finally:\n    y()\n"
    module = tree.parse(f"{condition}{condition}else:\n    y()\n{caught}{ended}")
    assert module is not None
    heads = [node.head for node in module.blocks["body"]]
    dumps = [node.dump for node in module.blocks["body"]]
    assert len(set(dumps)) == 4
    assert heads[0] != heads[2]
    star = (tree.parse(caught), tree.parse(caught.replace("except", "except*")))
    one, other = (module.blocks["body"][0] for module in star if module)
    assert one.head != other.head
