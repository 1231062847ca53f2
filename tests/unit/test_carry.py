"""Which result is taken: every combination of what the two opinions and the guards say."""

from __future__ import annotations

import os

import pytest

from webui_fork.carry import Method, carry
from webui_fork.textmerge import Merger

MERGER = Merger({"PATH": os.environ["PATH"]})
PATH = "backend/open_webui/x.py"
BASE = """\
import json


def load(url):
    data = fetch(url)
    return json.loads(data)


def store(url, value):
    text = json.dumps(value)
    send(url, text)
    return text
"""
OURS = BASE.replace("    return json", "    data = data or '{}'\n    return json")


def test_the_release_did_not_touch_it() -> None:
    found = carry(MERGER, PATH, BASE, OURS, BASE)
    assert (found.text, found.method, found.needs_proof) == (OURS, Method.NONE, False)


def test_lines_and_tree_agree() -> None:
    theirs = BASE.replace("import json\n", "import json\nimport os\n")
    found = carry(MERGER, PATH, BASE, OURS, theirs)
    assert found.text == OURS.replace("import json\n", "import json\nimport os\n")
    assert (found.method, found.needs_proof) == (Method.LINES, False)


def test_another_layout_of_the_release() -> None:
    theirs = BASE.replace("    data = fetch(url)\n", "    data = fetch(\n        url,\n    )\n")
    found = carry(MERGER, PATH, BASE, OURS, theirs)
    assert found.method in (Method.FORMATTED, Method.FUNCTIONS, Method.TOKENS)
    assert found.text is not None
    assert found.text.replace("fetch(\n        url,\n    )", "fetch(url)") == OURS.replace("'{}'", '"{}"')


def test_only_the_tree_knows_and_it_needs_the_proof() -> None:
    ours = BASE.replace("    data = fetch", "    check(url)\n    data = fetch")
    theirs = BASE.replace("    data = fetch(url)", "    body = data = fetch(url)")
    found = carry(MERGER, PATH, BASE, ours, theirs)
    assert found.method is Method.TRANSPLANT
    assert found.needs_proof
    assert found.text == theirs.replace("    body = data", "    check(url)\n    body = data")


def test_both_add_to_one_place() -> None:
    theirs = BASE.replace("    data = fetch(url)\n", "    data = fetch(url)\n\n    data = decode(data)\n\n")
    found = carry(MERGER, PATH, BASE, OURS, theirs)
    assert found.text is None
    assert "order matters" in found.why


def test_both_change_the_same_words() -> None:
    found = carry(
        MERGER, PATH, BASE, BASE.replace("fetch(url)", "fetch(url, 1)"), BASE.replace("fetch(url)", "get(url, 2)")
    )
    assert found.text is None
    assert "both change" in found.why
    assert "<<<<<<< " in found.marked


def test_a_change_that_the_release_has() -> None:
    found = carry(MERGER, PATH, BASE, OURS, OURS)
    assert found.text == OURS
    theirs = OURS.replace("import json\n", "import json\nimport os\n")
    assert carry(MERGER, PATH, BASE, OURS, theirs).text == theirs


def test_a_new_place_like_the_one_that_the_patch_changes() -> None:
    base = "def f(urls):\n    for url in urls:\n        collect(url, 1, wait=True)\n    return urls\n"
    ours = base.replace("        collect", "        if not url:\n            continue\n        collect")
    more = "    for url in urls:\n        count(url)\n"
    found = carry(MERGER, PATH, base, ours, base.replace("    return", more + "    return"))
    assert found.text is None
    assert "looks like a place" in found.why
    assert found.proposal is not None


def test_a_part_of_it_was_taken_by_the_release() -> None:
    base = "def f(a, b):\n    one(a)\n    two(b)\n\n    mid()\n    four()\n\n    five(a)\n    six(b)\n"
    ours = base.replace("one(a)", "one(a, 1)").replace("six(b)", "six(b, 1)")
    theirs = base.replace("one(a)", "one(a, 1)")
    found = carry(MERGER, PATH, base, ours, theirs)
    assert found.text == ours  # nothing of it is lost, and the tree says the same


@pytest.mark.parametrize("path", ["backend/start.sh", "backend/x.json"])
def test_a_file_that_is_not_python_has_lines_only(path: str) -> None:
    base = "".join(f"line {n}\n" for n in range(20))
    ours, theirs = base.replace("line 3\n", "line three\n"), base.replace("line 15\n", "line fifteen\n")
    assert carry(MERGER, path, base, ours, theirs).text == ours.replace("line 15\n", "line fifteen\n")
    assert carry(MERGER, path, base, ours, base.replace("line 3\n", "line iii\n")).text is None


def test_python_that_is_broken_upstream_has_lines_only() -> None:
    theirs = BASE + "def broken(:\n"
    assert carry(MERGER, PATH, BASE, OURS, theirs).text == OURS + "def broken(:\n"


def test_the_wrong_function_is_never_taken() -> None:
    """A block that is there twice, of which upstream removes the one the patch is for."""
    block = "    for item in items:\n        use(item)\n        note(item)\n    return items\n"
    base = f"def a(items):\n{block}\n\ndef b(items):\n{block}"
    ours = base.replace(
        "def a(items):\n    for item in items:\n", "def a(items):\n    for item in items:\n        check(item)\n"
    )
    theirs = f"def b(items):\n{block}"
    found = carry(MERGER, PATH, base, ours, theirs)
    assert found.text is None
