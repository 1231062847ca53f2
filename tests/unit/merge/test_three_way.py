"""Which result is taken: every combination of what the two opinions and the guards say."""

from __future__ import annotations

import os

import pytest

from webui_fork.merge.text import Merger
from webui_fork.merge.three_way import Method, carry

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
    file = carry(MERGER, PATH, BASE, OURS, BASE)
    assert (file.text, file.method, file.needs_proof) == (OURS, Method.NONE, False)


def test_lines_and_tree_agree() -> None:
    theirs = BASE.replace("import json\n", "import json\nimport os\n")
    file = carry(MERGER, PATH, BASE, OURS, theirs)
    assert file.text == OURS.replace("import json\n", "import json\nimport os\n")
    assert (file.method, file.needs_proof) == (Method.LINES, False)


@pytest.mark.parametrize(("path", "proof"), [("src/a.svelte", True), ("src/a.ts", True), ("CHANGELOG.md", False)])
def test_lines_alone_are_one_opinion_of_code(path: str, proof: bool) -> None:
    file = carry(MERGER, path, BASE, OURS, BASE.replace("import json\n", "import json\nimport os\n"))
    assert file.text == OURS.replace("import json\n", "import json\nimport os\n")
    assert (file.method, file.needs_proof) == (Method.LINES, proof)
    assert bool(file.why) is proof


def test_another_layout_of_the_release() -> None:
    theirs = BASE.replace("    data = fetch(url)\n", "    data = fetch(\n        url,\n    )\n")
    file = carry(MERGER, PATH, BASE, OURS, theirs)
    assert file.method in (Method.FORMATTED, Method.FUNCTIONS)
    assert isinstance(file.text, str)
    assert file.text.replace("fetch(\n        url,\n    )", "fetch(url)") == OURS.replace("'{}'", '"{}"')


def test_only_the_tree_knows_and_it_needs_the_proof() -> None:
    ours = BASE.replace("    data = fetch", "    check(url)\n    data = fetch")
    theirs = BASE.replace("    data = fetch(url)", "    body = data = fetch(url)")
    file = carry(MERGER, PATH, BASE, ours, theirs)
    assert file.method is Method.TRANSPLANT
    assert file.needs_proof
    assert file.text == theirs.replace("    body = data", "    check(url)\n    body = data")


def test_both_add_to_one_place() -> None:
    theirs = BASE.replace("    data = fetch(url)\n", "    data = fetch(url)\n\n    data = decode(data)\n\n")
    file = carry(MERGER, PATH, BASE, OURS, theirs)
    assert file.text is None
    assert "order matters" in file.why


def test_both_change_the_same_words() -> None:
    file = carry(
        MERGER, PATH, BASE, BASE.replace("fetch(url)", "fetch(url, 1)"), BASE.replace("fetch(url)", "get(url, 2)")
    )
    assert file.text is None
    assert "both change" in file.why
    assert "<<<<<<< " in file.marked


def test_a_change_that_the_release_has() -> None:
    file = carry(MERGER, PATH, BASE, OURS, OURS)
    assert file.text == OURS
    theirs = OURS.replace("import json\n", "import json\nimport os\n")
    assert carry(MERGER, PATH, BASE, OURS, theirs).text == theirs
    file = carry(MERGER, "src/a.ts", BASE, OURS, theirs)
    assert (file.text, file.method, file.needs_proof) == (theirs, Method.LINES, False)


MOVES = """\
def update(prompt, form):
    prompt.name = form.name
    prompt.command = form.command
    prompt.text = form.text
    return save(prompt)
"""
AWAY = MOVES.replace("    prompt.name = form.name\n", "")


def test_what_the_release_moves_and_the_patch_removes_is_not_removed_by_the_release() -> None:
    """Upstream 0.11.4 moved it into a new `if`: the merge of lines is the release, with what the patch removes."""
    guarded = "    if form.final:\n        prompt.name = form.name\n    return"
    file = carry(MERGER, PATH, MOVES, AWAY, AWAY.replace("    return", guarded))
    assert (file.text, file.method) == (None, Method.PERSON)
    assert file.why == "the new release still has 'prompt.name = form.name', which the patch removes"
    beside = guarded.replace("    return", "        log(form)\n    return")
    file = carry(MERGER, PATH, MOVES, AWAY, AWAY.replace("    return", beside))
    assert file.text == AWAY.replace("    return", "    if form.final:\n        log(form)\n    return")
    assert (file.method, file.needs_proof) == (Method.TRANSPLANT, True)


def test_what_both_remove_is_in_the_release() -> None:
    elsewhere = MOVES.replace("update", "create")
    file = carry(MERGER, PATH, f"{MOVES}\n\n{elsewhere}", f"{AWAY}\n\n{elsewhere}", f"{AWAY}\n\n{elsewhere}")
    assert (file.text, file.method) == (f"{AWAY}\n\n{elsewhere}", Method.LINES)
    other = AWAY.replace("form.text", "form.content")
    assert carry(MERGER, PATH, MOVES, AWAY, other).text == other


def test_a_new_place_like_the_one_that_the_patch_changes() -> None:
    base = "def f(urls):\n    for url in urls:\n        collect(url, 1, wait=True)\n    return urls\n"
    ours = base.replace("        collect", "        if not url:\n            continue\n        collect")
    more = "    for url in urls:\n        count(url)\n"
    file = carry(MERGER, PATH, base, ours, base.replace("    return", more + "    return"))
    assert file.text is None
    assert "looks like a place" in file.why
    assert file.proposal is not None


def test_a_part_of_it_was_taken_by_the_release() -> None:
    base = "def f(a, b):\n    one(a)\n    two(b)\n\n    mid()\n    four()\n\n    five(a)\n    six(b)\n"
    ours = base.replace("one(a)", "one(a, 1)").replace("six(b)", "six(b, 1)")
    theirs = base.replace("one(a)", "one(a, 1)")
    file = carry(MERGER, PATH, base, ours, theirs)
    assert file.text == ours  # nothing of it is lost, and the tree says the same


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
    file = carry(MERGER, PATH, base, ours, theirs)
    assert file.text is None


def taken(base: str, ours: str, theirs: str) -> str | None:
    """What is taken without a proof."""
    file = carry(MERGER, PATH, base, ours, theirs)
    return file.text if isinstance(file.text, str) and not file.needs_proof else None


IF = "def f(c, k):\n    if c:\n        d()\n    return c\n"
ELSE = IF.replace("        d()\n", "        d()\n    else:\n        g()\n")


@pytest.mark.parametrize(
    "theirs",
    [
        IF.replace("        d()\n", "        d0()\n    if k:\n        d()\n"),
        IF.replace("    if c:\n", "    for x in c:\n"),
        IF.replace("    if c:\n", "    if not c:\n"),
    ],
    ids=["another if", "a loop", "turned around"],
)
def test_a_clause_never_goes_to_another_statement(theirs: str) -> None:
    assert taken(IF, ELSE, theirs) is None


def test_a_clause_goes_with_its_statement() -> None:
    assert taken(IF, ELSE, "import os\n\n\n" + IF) == "import os\n\n\n" + ELSE


def test_a_second_statement_that_needs_the_same_clause() -> None:
    base = "def f(ms):\n    for m in ms:\n        if m.owned_by == 'ollama' and m.enabled:\n"
    base += "            register(m.id, m.name)\n    return ms\n"
    ours = base.replace("m.name)\n", "m.name)\n        else:\n            skip(m)\n")
    loop = "".join(base.splitlines(keepends=True)[1:4])
    assert taken(base, ours, base.replace("    return", loop + "    return")) is None


def test_a_clause_in_a_try_never_goes_to_another_try() -> None:
    base = "def f():\n    try:\n        a()\n    except A:\n        b()\n"
    ours = base + "    finally:\n        close()\n"
    theirs = base.replace("a()", "a0()") + "    try:\n        a()\n    except A:\n        b()\n"
    assert taken(base, ours, theirs) is None


LINES = "def f(x):\n    a(x)\n    b(x)\n    c(x)\n    d(x)\n    e(x)\n    return x\n"


@pytest.mark.parametrize(
    ("mine", "other"),
    [("x = x.strip(' ')", "x = x.strip(' ')"), ("timeout = 3", "timeout = 30"), ("notify(x, 1, 2)", "notify(x, 1, 2)")],
)
def test_nothing_is_there_twice(mine: str, other: str) -> None:
    ours = LINES.replace("    b(x)\n", f"    {mine}\n    b(x)\n")
    theirs = LINES.replace("    e(x)\n", f"    e(x)\n    {other}\n")
    assert taken(LINES, ours, theirs) is None


def test_no_attribute_and_no_decorator_is_there_twice() -> None:
    base = (
        "class A:\n    a = 1\n    b = 2\n    c = 3\n\n    @one\n    @two\n    @three\n    def f(self):\n        pass\n"
    )
    assert (
        taken(base, base.replace("    b = 2", "    z = 9\n    b = 2"), base.replace("c = 3", "c = 3\n    z = 8"))
        is None
    )
    ours, theirs = (
        base.replace("    @one\n", "    @cache\n    @one\n"),
        base.replace("    @three\n", "    @three\n    @cache\n"),
    )
    assert taken(base, ours, theirs) is None


def test_a_condition_around_it_that_is_another_one() -> None:
    base = "def f(u):\n    prep()\n    if u.admin:\n        a(u)\n        b(u)\n    done()\n"
    ours = base.replace("        b(u)\n", "        b(u)\n        grant_all(u)\n")
    assert taken(base, ours, base.replace("if u.admin", "if not u.admin")) is None
    assert taken(base, ours, base.replace("prep()", "prep(1)")) == ours.replace("prep()", "prep(1)")


def test_what_would_never_be_reached() -> None:
    ours = LINES.replace("    d(x)\n", "    d(x)\n    mine(x)\n")
    assert taken(LINES, ours, LINES.replace("    b(x)\n", "    b(x)\n    return None\n")) is not None  # dead in theirs
    theirs = LINES.replace("    d(x)\n    e(x)\n    return x\n", "    d(x)\n    return x\n")
    assert taken(LINES, LINES.replace("    e(x)\n", "    e(x)\n\n    mine(x)\n"), theirs) is None


def test_one_of_several_equal_places_of_which_one_is_gone() -> None:
    block = "    if m.x:\n        send(m, retry=1)\n"
    base = f"def f(m):\n{block}    one(m)\n{block}    two(m)\n"
    ours = base.replace("retry=1)", "retry=1, timeout=3)", 1)
    theirs = base.replace("    if m.x:\n        send(m, retry=1)\n    one(m)\n", "", 1)
    assert taken(base, ours, theirs) is None


def test_a_result_that_does_not_compile() -> None:
    base = "async def f(x):\n    a(x)\n    b(x)\n    c(x)\n    d(x)\n"
    ours = base.replace("    c(x)\n", "    c(x)\n    await z(x)\n")
    file = carry(MERGER, PATH, base, ours, base.replace("async def", "def"))
    assert file.text is None
    assert "'await' outside async function" in file.why


def test_values_that_both_add_are_new_names_and_not_those_of_a_comprehension() -> None:
    mine = "    x = [item for item in x if item]\n"
    theirs = LINES.replace("    e(x)\n", "    e(x)\n    y = [item for item in other()]\n    x = y\n")
    base = LINES.replace("    a(x)\n", "    x = a(x)\n")
    ours, theirs = base.replace("    b(x)\n", f"{mine}    b(x)\n"), theirs.replace("    a(x)\n", "    x = a(x)\n")
    assert taken(base, ours, theirs) == theirs.replace("    b(x)\n", f"{mine}    b(x)\n")


UPDATE = """\
async def update(request, user, form_data, items):
    settings = load_settings(request.app)

    # what the client asked for

    payload = build_payload(form_data, settings)
    return payload
"""


@pytest.mark.parametrize(
    ("mine", "other"),
    [
        ("verify_signature(request)", "await execute_tool(form_data)"),
        ("assert user.role == 'admin'", "delete_chats(form_data)"),
        ("items.sort(key=lambda k: order.index(k))", "order = await load_order(user)"),
        ("x = list(map(lambda i: index.pop(i), items))", "names = describe(index)"),
        ("def drop(k):\n        form_data.pop(k, None)\n\n    drop('secret')", "await save_raw(form_data)"),
        ("def bump():\n        global COUNT\n        COUNT += 1\n\n    bump()", "before = COUNT"),
    ],
)
def test_what_upstream_puts_before_it_is_not_overtaken_in_silence(mine: str, other: str) -> None:
    """The patch's stands before the payload, and upstream's behind the settings."""
    ours = UPDATE.replace("    payload =", f"    {mine}\n    payload =")
    theirs = UPDATE.replace("request.app)\n", f"request.app)\n    {other}\n")
    assert taken(UPDATE, ours, theirs) is None


def test_a_clause_does_not_go_to_a_statement_with_another_head() -> None:
    steps = "".join(f"        v{n} = await step_{n}(user)\n" for n in range(8))
    base = f"async def f(user):\n    if user.is_active:\n{steps}\n    return user\n"
    ours = base.replace("\n    return", "    else:\n        await refuse(user)\n\n    return")
    more = "    if user.is_active:\n        await touch(user)\n    return"
    assert taken(base, ours, base.replace("is_active", "is_banned").replace("    return", more)) is None


def test_one_edit_that_is_uncertain_hides_none_that_is_contested() -> None:
    base = "def f(x):\n    if x:\n        a(x)\n    y = load(x)\n\n    z = build(y)\n    return z\n"
    ours = base.replace("a(x)\n", "a(x)\n    else:\n        refuse(x)\n").replace(
        "load(x)\n", "load(x)\n    y = clean(y)\n"
    )
    file = carry(MERGER, PATH, base, ours, base.replace("    z =", "    y = expand(y)\n    z ="))
    assert file.text is None
    assert "order matters" in file.why


def test_what_both_define() -> None:
    ours, theirs = LINES + "\n\ndef norm(a):\n    return a\n", "def norm(a, b):\n    return b\n\n\n" + LINES
    assert taken(LINES, ours, theirs) is None


def test_what_is_nested_too_deep_is_for_a_person() -> None:
    base = f"def f(a):\n    x = {' + '.join(['a'] * 400)}\n    note(x)\n    return x\n"
    ours = base.replace("    return", "    check(x)\n    return")
    file = carry(MERGER, PATH, base, ours, "import os\n\n\n" + base.replace("note(x)", "note(x, 1)"))
    assert file.text is None
    assert "nested too deep" in file.why
    chain = "def f(a):\n    if a == 0:\n        x()\n" + "".join(
        f"    elif a == {n}:\n        x()\n" for n in range(600)
    )
    assert carry(MERGER, PATH, chain, chain + "y = 1\n", chain + "y = 1\nz = 2\n").method is Method.PERSON
