from __future__ import annotations

import pytest

from webui_fork.series import narrowing

OLD = '''"""A router."""

import logging
from web import Router

log = logging.getLogger()


def one(user):
    return user


class Form:
    def check(self):
        return 1

    def other(self):
        return 2


def two(user):
    return user
'''
NEW = '''"""A router."""

import logging
import secrets
from config import LIMIT, STATE
from web import Router, status

log = logging.getLogger()
FEATURE = True


def one(user):
    if user.role != 'admin':
        raise PermissionError(status.FORBIDDEN)
    return user


class Form:
    def check(self):
        return 1 + LIMIT

    def other(self):
        return 3


def two(user):
    return secrets.token_hex(user)


def three():
    return FEATURE
'''


def _blocks(*functions: str) -> tuple[narrowing.Block, ...]:
    return narrowing.blocks("x.py", OLD, NEW, functions)


def test_the_blocks_of_a_file_are_all_but_its_imports() -> None:
    # the last is in two functions, one after the other, and has the name of one
    assert [block.function for block in _blocks()] == ["", "one", "Form.check", "Form.other", "three"]


def test_a_function_is_its_own_blocks_and_a_class_is_those_of_its_methods() -> None:
    assert [block.function for block in _blocks("one")] == ["one"]
    assert [block.function for block in _blocks("Form.check")] == ["Form.check"]
    assert [block.function for block in _blocks("Form")] == ["Form.check", "Form.other"]
    assert not _blocks("on")
    assert not _blocks("nobody")


def test_a_block_says_where_it_is() -> None:
    (block,) = _blocks("one")
    assert (block.path, block.line) == ("x.py", NEW.splitlines().index("    if user.role != 'admin':") + 1)
    assert not block.removed
    assert block.added[0] == "    if user.role != 'admin':\n"


def test_what_is_taken_brings_the_imports_that_it_needs_and_no_others() -> None:
    text = narrowing.narrowed(OLD, NEW, _blocks("one"))
    assert "from web import Router, status\n" in text
    assert "secrets" not in text
    assert "LIMIT" not in text
    assert text == OLD.replace("import Router", "import Router, status").replace(
        "def one(user):\n",
        "def one(user):\n    if user.role != 'admin':\n        raise PermissionError(status.FORBIDDEN)\n",
    )


def test_of_an_import_that_is_new_only_the_names_come_that_are_needed() -> None:
    text = narrowing.narrowed(OLD, NEW, _blocks("Form.check"))
    assert "from config import LIMIT\n" in text
    assert "STATE" not in text
    compile(text, "x.py", "exec")


def test_an_import_that_the_newer_file_lost_stays() -> None:
    old = "import os\nfrom a import one, two\n\n\ndef f():\n    return one\n"
    new = "import os\nfrom a import one, three\n\n\ndef f():\n    return three\n"
    text = narrowing.narrowed(old, new, narrowing.blocks("x.py", old, new))
    assert "from a import one, three, two\n" in text


def test_everything_is_the_newer_text() -> None:
    old, new = "a = 1\nb = 2\n", "a = 1\nc = 3\n"
    assert narrowing.narrowed(old, new, narrowing.blocks("x.txt", old, new)) == new


def test_a_file_that_is_no_python_has_no_functions() -> None:
    old, new = "<p>{one}</p>\n", "<p>{two}</p>\n"
    assert [block.function for block in narrowing.blocks("x.svelte", old, new)] == [""]
    assert not narrowing.blocks("x.svelte", old, new, ("one",))


def test_an_import_without_a_place_is_an_error() -> None:
    old = "from a import (  # all of them\n    one,\n)\n\n\ndef f():\n    return one\n"
    new = old.replace("    one,\n", "    one,\n    two,\n").replace("return one", "return two")
    with pytest.raises(ValueError, match="no place"):
        narrowing.narrowed(old, new, narrowing.blocks("x.py", old, new, ("f",)))


def test_a_file_that_is_new_comes_with_its_imports_once() -> None:
    assert narrowing.narrowed("", NEW, narrowing.blocks("x.py", "", NEW)) == NEW
    assert narrowing.narrowed(OLD, "", narrowing.blocks("x.py", OLD, "")) == ""
