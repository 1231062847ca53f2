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


def test_similar_statements_are_one_statement_that_was_edited() -> None:
    left = module("a = load(url)\nb = read(a, 1)\nreturn_it(b)\n").blocks["body"]
    right = module("log(url)\na = load(url)\nb = read(a, 2)\nreturn_it(b)\n").blocks["body"]
    assert tree.align(left, right) == [(None, 0), (0, 1), (1, 2), (2, 3)]


def test_functions_are_matched_by_name_wherever_they_went() -> None:
    left = module("def a():\n    one()\n\n\ndef b():\n    two()\n")
    right = module("class C:\n    def b():\n        two()\n\n\ndef a():\n    one()\n")
    paired = tree.match(left, right)
    names = {node.name: other.start for node, other in paired.of.items() if node.name}
    assert names == {"a": 5, "b": 1}


def test_a_name_that_is_there_twice_is_not_matched_by_name() -> None:
    left = module("def b():\n    two()\n")
    right = module("class C:\n    def b():\n        two()\n\n\nclass D:\n    def b():\n        two()\n")
    assert not [node for node in tree.match(left, right).of if node.name]


def counterparts(left: str, right: str) -> dict[str, str]:
    """The first lines of the statements on the left that have a counterpart, and its first line."""
    one, other = module(left), module(right)
    pairs = tree.match(one, other).of.items()
    return {one.lines[a.start].strip(): other.lines[b.start].strip() for a, b in pairs if a is not one}


def test_what_went_into_another_block_of_its_function_is_found() -> None:
    plain = "def f(a):\n    one(a, 1)\n    for x in several(a):\n        two(x)\n    end()\n"
    wrapped = "def f(a):\n    try:\n        one(a, 1)\n        for x in several(a):\n            three(x, x)\n"
    wrapped += "    finally:\n        end()\n"
    paired = counterparts(plain, wrapped)
    assert paired["one(a, 1)"] == "one(a, 1)"
    assert paired["for x in several(a):"] == "for x in several(a):"
    assert "end()" not in paired  # so short a statement is there again by chance


def test_what_is_there_twice_is_in_no_other_block() -> None:
    plain = "def f(a):\n    one(a, 1)\n    end(a)\n"
    twice = "def f(a):\n    if a:\n        one(a, 1)\n    else:\n        one(a, 1)\n    end(a)\n"
    assert "one(a, 1)" not in counterparts(plain, twice)


CHAIN = (
    "def f(a):\n    if a == 1:\n        one(a)\n    elif a == 3:\n        same(a)\n    elif a == 4:\n        four(a)\n"
)
CHAIN += "    else:\n        other(a)\n"


def test_a_new_clause_in_a_chain_moves_none_of_the_others() -> None:
    longer = CHAIN.replace("    elif a == 3", "    elif a == 2:\n        two(a)\n    elif a == 3")
    paired = counterparts(CHAIN, longer.replace("four(a)", "four(a, b)"))
    assert paired["elif a == 3:"] == "elif a == 3:"
    assert paired["elif a == 4:"] == "elif a == 4:"
    assert paired["four(a)"] == "four(a, b)"
    assert paired["other(a)"] == "other(a)"
    ends = counterparts(CHAIN, CHAIN.replace("    else", "    elif a == 5:\n        five(a)\n    else"))
    assert ends["other(a)"] == "other(a)"


def test_what_gives_a_name_the_result_of_a_call_is_found_elsewhere() -> None:
    plain = "async def f(a):\n    if a:\n        r = await gather(*one)\n        b = other(2)\n    return b\n"
    moved = "async def f(a):\n    r = await gather(*tasks, wait=3)\n    c = other(3)\n    return b\n"
    paired = counterparts(plain, moved)
    assert paired["r = await gather(*one)"] == "r = await gather(*tasks, wait=3)"
    assert "b = other(2)" not in paired


def test_an_if_is_no_elif() -> None:
    plain = "if a:\n    one(1)\nelse:\n    b = two(2)\n    if b == 3:\n        four(5, b)\n    end()\n"
    chain = "if a:\n    one(1)\nelif b == 4:\n    four(5, b)\n    end()\n"
    assert "if b == 3:" not in counterparts(plain, chain)


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
