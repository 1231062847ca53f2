from __future__ import annotations

from webui_fork.merge import matching, tree


def module(text: str) -> tree.Module:
    parsed = tree.parse(text)
    assert parsed
    return parsed


def test_similar_statements_are_one_statement_that_was_edited() -> None:
    left = module("a = load(url)\nb = read(a, 1)\nreturn_it(b)\n").blocks["body"]
    right = module("log(url)\na = load(url)\nb = read(a, 2)\nreturn_it(b)\n").blocks["body"]
    assert matching.align(left, right) == [(None, 0), (0, 1), (1, 2), (2, 3)]


def test_functions_are_matched_by_name_wherever_they_went() -> None:
    left = module("def a():\n    one()\n\n\ndef b():\n    two()\n")
    right = module("class C:\n    def b():\n        two()\n\n\ndef a():\n    one()\n")
    paired = matching.match(left, right)
    names = {node.name: other.start for node, other in paired.of.items() if node.name}
    assert names == {"a": 5, "b": 1}


def test_a_name_that_is_there_twice_is_not_matched_by_name() -> None:
    left = module("def b():\n    two()\n")
    right = module("class C:\n    def b():\n        two()\n\n\nclass D:\n    def b():\n        two()\n")
    assert not [node for node in matching.match(left, right).of if node.name]


def counterparts(left: str, right: str) -> dict[str, str]:
    """The first lines of the statements on the left that have a counterpart, and its first line."""
    one, other = module(left), module(right)
    pairs = matching.match(one, other).of.items()
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
