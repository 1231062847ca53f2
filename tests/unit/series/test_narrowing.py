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


def test_the_blocks_of_a_file_are_each_of_one_function() -> None:
    functions = ["imports", "", "one", "Form.check", "Form.other", "two", "three"]
    assert [block.function for block in _blocks()] == functions


def test_lines_of_a_function_behind_it_are_not_its_own() -> None:
    old = "def a(u):\n    return u\n\n\ndef c():\n    return 1\n"
    new = (
        "def a(u):\n    check(u)\n    return u\n\n\ndef evil(u):\n    b = 1\n    return u\n\n\ndef c():\n    return 1\n"
    )
    (block,) = narrowing.blocks("x.py", old, new, ("a",))
    assert block.added == ("    check(u)\n",)
    assert narrowing.narrowed(old, new, [block]) == old.replace("    return u\n", "    check(u)\n    return u\n")
    (block,) = narrowing.blocks("x.py", old, new, ("evil",))
    assert narrowing.narrowed(old, new, [block]) == new.replace("    check(u)\n", "")


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
    text = narrowing.narrowed(old, new, narrowing.blocks("x.py", old, new, ("f",)))
    assert "from a import one, two, three\n" in text
    assert narrowing.narrowed(old, new, narrowing.blocks("x.py", old, new)) == new


def test_a_name_that_is_another_import_now_is_no_silent_change() -> None:
    old = "import ssl\nfrom xml.etree import ElementTree as ET\n\n\ndef f(a):\n    return ET.parse(a)\n"
    new = old.replace("from xml.etree", "from defusedxml").replace("return ET.parse(a)", "return ET.parse(a, forbid=1)")
    with pytest.raises(ValueError, match="from defusedxml import ElementTree as ET"):
        narrowing.narrowed(old, new, narrowing.blocks("x.py", old, new, ("f",)))
    assert narrowing.narrowed(old, new, narrowing.blocks("x.py", old, new)) == new


def test_what_both_files_import_is_not_imported_again() -> None:
    old = "import json as codec\nfrom a import b as c\n\n\ndef f():\n    return 1\n"
    new = old.replace("return 1", "return c(codec.dumps('# no comment'))")
    assert narrowing.narrowed(old, new, narrowing.blocks("x.py", old, new, ("f",))) == new


def test_a_name_in_a_text_or_a_comment_needs_no_import() -> None:
    old = "import os\n\n\ndef f():\n    return 1\n"
    new = "import os\nimport secrets\n\n\ndef f():\n    # secrets\n    return 'secrets'\n"
    assert "import secrets" not in narrowing.narrowed(old, new, narrowing.blocks("x.py", old, new, ("f",)))


def test_a_name_that_the_old_file_has_itself_is_its_own() -> None:
    old = "import os\n\nLIMIT = 7\n\n\ndef f():\n    return 1\n"
    new = "import os\nfrom config import LIMIT\n\n\ndef f():\n    return LIMIT\n"
    assert "from config" not in narrowing.narrowed(old, new, narrowing.blocks("x.py", old, new, ("f",)))


def test_an_import_goes_behind_the_one_that_it_stood_behind() -> None:
    old = "import os\nimport sys\nfrom b import (\n    one,\n)\n\n\ndef f():\n    return 1\n"
    new = old.replace("import os\n", "import os\nimport secrets as s\n").replace("    one,\n", "    one,\n    two,\n")
    new = new.replace("return 1", "return s, two")
    text = narrowing.narrowed(old, new, narrowing.blocks("x.py", old, new, ("f",)))
    assert text.startswith(
        "import os\nimport secrets as s\nimport sys\nfrom b import (\n    one,\n)\nfrom b import two\n"
    )


def test_a_block_is_taken_once_and_the_lines_behind_it_stay() -> None:
    old, new = "def f():\n    x()\n    y()\n    z()\n", "def f():\n    x()\n    z()\n"
    (block,) = narrowing.blocks("x.py", old, new)
    assert narrowing.narrowed(old, new, [block, block]) == new


def test_blocks_above_each_other_keep_their_places() -> None:
    old = "".join(f"line_{number} = {number}\n" for number in range(12))
    new = old.replace("line_1 = 1\n", "line_1 = 1\nmore = 1\n").replace("line_5 = 5\n", "").replace("_9 = 9", "_9 = 99")
    rows = narrowing.blocks("x.py", old, new)
    assert len(rows) == 3
    assert narrowing.narrowed(old, new, rows) == new
    assert narrowing.narrowed(old, new, rows[1:]) == new.replace("more = 1\n", "")


def test_a_method_is_told_from_its_namesake_in_another_class() -> None:
    old = "class A:\n    def get(self):\n        return 1\n\n\nclass B:\n    def get(self):\n        return 1\n"
    new = old.replace("return 1", "return 2")
    (block,) = narrowing.blocks("x.py", old, new, ("B.get",))
    assert block.start == 7
    assert len(narrowing.blocks("x.py", old, new, ("A",))) == 1


def test_functions_that_changed_their_order_are_gone_and_new() -> None:
    a, b = "def a():\n    return 1\n", "def b():\n    return 2\n"
    rows = narrowing.blocks("x.py", f"{a}\n\n{b}", f"{b}\n\n{a}")
    assert narrowing.narrowed(f"{a}\n\n{b}", f"{b}\n\n{a}", rows).split() == f"{b}{a}".split()


def test_everything_is_the_newer_text() -> None:
    old, new = "a = 1\nb = 2\n", "a = 1\nc = 3\n"
    assert narrowing.narrowed(old, new, narrowing.blocks("x.txt", old, new)) == new


def test_a_file_that_is_no_python_has_no_functions() -> None:
    old, new = "<p>{one}</p>\n", "<p>{two}</p>\n"
    assert [block.function for block in narrowing.blocks("x.svelte", old, new)] == [""]
    assert not narrowing.blocks("x.svelte", old, new, ("one",))


def test_an_import_without_a_place_is_an_error() -> None:
    old = "def f():\n    return 1\n"
    new = "from a import two\n\n\ndef f():\n    return two\n"
    with pytest.raises(ValueError, match="no place"):
        narrowing.narrowed(old, new, narrowing.blocks("x.py", old, new, ("f",)))


def test_a_file_that_is_new_comes_with_its_imports_once() -> None:
    assert narrowing.narrowed("", NEW, narrowing.blocks("x.py", "", NEW)) == NEW
    assert narrowing.narrowed(OLD, "", narrowing.blocks("x.py", OLD, "")) == ""


def test_dotted_imports_of_one_name_come_each_where_it_is_used() -> None:
    old = "import google.auth\n\n\ndef f():\n    return google.auth.x\n"
    new = old.replace("import google.auth\n", "import google.auth\nimport google.cloud\nimport google.ads\n")
    new = new.replace("google.auth.x", "google.auth.x, google.cloud.y()")
    text = narrowing.narrowed(old, new, narrowing.blocks("x.py", old, new, ("f",)))
    assert text.startswith("import google.auth\nimport google.cloud\n\n")
    two = "import os\n\n\ndef f():\n    return 1\n"
    both = "import os\nimport xml.dom\nimport xml.sax\n\n\ndef f():\n    return xml.sax.a, xml.dom\n"
    text = narrowing.narrowed(two, both, narrowing.blocks("x.py", two, both, ("f",)))
    assert "import xml.dom\n" in text
    assert "import xml.sax\n" in text


def test_a_local_name_of_another_function_hides_no_import() -> None:
    old = "import os\n\n\ndef f():\n    return 1\n\n\ndef g(x):\n    token = x\n    return token\n"
    new = old.replace("import os\n", "import os\nfrom sec import token\n").replace("return 1", "return token()")
    assert narrowing.narrowed(old, new, narrowing.blocks("x.py", old, new, ("f",))) == new


def test_what_can_not_be_imported_is_left_out_where_that_is_enough() -> None:
    old = "from xml import ET\n\n\ndef f():\n    return ET\n\n\ndef g():\n    return 1\n"
    new = "from defused import ET\nimport secrets\n\n\ndef f():\n    return ET()\n\n\ndef g():\n    return secrets\n"
    text = narrowing.narrowed(old, new, narrowing.blocks("x.py", old, new, ("f", "g")), strict=False)
    assert text == new.replace("from defused", "from xml")
    none = old.replace("from xml import ET\n\n\n", "")
    text = narrowing.narrowed(none, new, narrowing.blocks("x.py", none, new, ("g",)), strict=False)
    assert "secrets" in text
    assert "import" not in text


def test_where_one_side_is_no_python_there_are_no_functions() -> None:
    old, new = (
        "def f():\n    return 1\n\n\ndef g():\n    return 1\n",
        "def f():\n    return 1\n\n\ndef g()\n    return 2\n",
    )
    assert {block.function for block in narrowing.blocks("x.py", old, new)} == {""}
    assert {block.function for block in narrowing.blocks("x.py", new, old)} == {""}


def test_a_last_line_without_an_end_gets_one_when_it_is_not_the_last() -> None:
    old, new = "x = 1", "x = 1\n\n\ndef g():\n    return 1"
    assert narrowing.narrowed(old, new, narrowing.blocks("x.py", old, new, ("g",))) == new
