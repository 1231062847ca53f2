from __future__ import annotations

import pytest

from webui_fork.merge import tree
from webui_fork.merge.tokens import merge_tokens, token_keys


def test_tokens_of_one_line() -> None:
    base = "def f():\n    x = call(a, 1, wait=2)\n"
    ours, theirs = base.replace("wait=2", "wait=3"), base.replace("(a,", "(b,")
    assert merge_tokens(base, ours, theirs) == "def f():\n    x = call(b, 1, wait=3)\n"
    assert merge_tokens(base, base.replace("1", "5"), base.replace("1", "6")) is None


@pytest.mark.parametrize(
    "text", ["def f():\n    if a:\n        b()\n    return c\n", "def f(a):\n    # why\n    x = '''\n  q'''\n"]
)
def test_tokens_give_the_text_back(text: str) -> None:
    changed = text.replace("def f(", "def g(")
    merged = merge_tokens(text, changed, text)
    assert merged is not None
    assert tree.parse(merged) is not None
    assert merged.strip() == changed.strip()


def test_a_comment_that_is_added_keeps_its_line() -> None:
    base, theirs = "def f(a):\n    b = one(a)\n    return b\n", "def f(a):\n    b = one(a, 2)\n    return b\n"
    ours = theirs.replace("    b =", "    # why\n    b =")
    assert merge_tokens(base, ours, theirs) == ours
    assert merge_tokens(base, base.replace("    b =", "    # why\n    b ="), theirs) == ours


def test_layout_is_no_token_and_a_comment_is_one() -> None:
    assert token_keys("f(a,\n  b)  # why\n") == token_keys("f(a, b)  # why\n")
    assert token_keys("f(a)  # why\n") != token_keys("f(a)\n")
    assert token_keys("f(\n") == []
