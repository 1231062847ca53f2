"""What stands apart from the release's changes, so that the syntax tree alone may place it."""

from __future__ import annotations

import pytest

from webui_fork.merge import swapped, tree

BLOCK = "def f(x, user):\n    one(x)\n    two = x\n    three = user\n    four(x)\n    return x\n"


@pytest.mark.parametrize(
    ("ours", "theirs", "apart"),
    [
        (("    two = x\n", "    two = x\n    more = user\n"), ("    return x\n", "    return 1\n"), True),
        (("    two = x\n", "    two = x\n    more = user\n"), ("    two = x\n", "    two = x\n    new = 1\n"), False),
        (("    two = x\n    three = user\n", ""), ("    two = x\n", "    two = x\n    new = 1\n"), False),
        (("    two = x\n", "    two = x\n    more = two\n"), ("    two = x\n", "    two = user\n"), False),
        (("    one(x)\n", "    one(x)\n    more(x)\n"), ("    one(x)\n", "    one(x, 1)\n"), False),
        (("    two = x\n", "    two = 2\n"), ("    two = x\n", "    two = x + 1\n"), False),
        (("    two = x\n", "    if user:\n        two = x\n"), ("    one(x)\n", "    one(user)\n"), True),
        (("    two = x\n", "    if user:\n        two = x\n"), ("    one(x)\n", "    user = new()\n"), False),
        (("    two = x\n", ""), ("    one(x)\n", "    send()\n"), True),
    ],
)
def test_a_place_that_stands_apart(ours: tuple[str, str], theirs: tuple[str, str], apart: bool) -> None:
    modules = [tree.parse(text) for text in (BLOCK, BLOCK.replace(*ours, 1), BLOCK.replace(*theirs, 1))]
    assert swapped.apart(*(module for module in modules if module)) is apart
