from __future__ import annotations

from webui_fork import guards, syntax

LOOP = """\
def f(request, responses):
    for idx, response in enumerate(responses):
        url = request.app.state.config.URLS[idx]
        collect(url, response)
"""
GUARDED = LOOP.replace("        url =", "        if response is None:\n            continue\n        url =")


def module(text: str) -> syntax.Module:
    found = syntax.parse(text)
    assert found
    return found


def test_a_second_loop_that_may_need_the_same_guard_is_named() -> None:
    second = LOOP.partition("\n")[2].replace("collect", "count")
    found = guards.look_alikes(module(LOOP), module(GUARDED), module(LOOP + second))
    assert found == [
        "once more: url = request.app.state.config.URLS[idx]",
        "line 5: for idx, response in enumerate(responses):",
    ]


def test_other_new_code_is_not() -> None:
    theirs = LOOP + "    for name in sorted(request.names):\n        print(name)\n    return None\n"
    assert guards.look_alikes(module(LOOP), module(GUARDED), module(theirs)) == []


def test_columns_of_a_table_look_alike_by_chance() -> None:
    base = (
        "class T(Base):\n    meta = Column(JSONField, nullable=True)\n    valves = Column(JSONField, nullable=True)\n"
    )
    ours = base.replace("meta = Column(JSONField", "meta = Column(OwnField")
    theirs = base + "    version_id = Column(Text, nullable=True)\n"
    assert guards.look_alikes(module(base), module(ours), module(theirs)) == []


def test_a_change_that_landed_in_another_function_is_not_the_same_change() -> None:
    base = "def a():\n    go()\n\n\ndef b():\n    go()\n"
    ours = base.replace("def a():\n", "def a():\n    check()\n")
    wrong = base.replace("def b():\n", "def b():\n    check()\n")
    assert guards.same_change(base, ours, base, ours)
    assert not guards.same_change(base, ours, base, wrong)
    assert not guards.same_change(base, ours, base, base.replace("():\n", "():\n    check()\n"))


def test_imports_in_another_order_are_the_same_program() -> None:
    assert guards.same_tree("import a\nimport b\n\nx = 1\n", "import b\nimport a\nx = 1\n")
    assert not guards.same_tree("import a\nx = 1\n", "x = 1\nimport a\ny = 1\n")


def known(*texts: str) -> guards.Known:
    found: guards.Known = {}
    for text in texts:
        for name, signature in guards.signatures(text, {"load", "save"}):
            found.setdefault(name, []).append(signature)
    return found


def calls(before: str, after: str) -> tuple[guards.Call, ...]:
    return guards.added_calls(module(before), module(after))


HEAD = "from open_webui.models import Models\nfrom open_webui.utils.x import load\n\n\n"


def test_a_function_that_became_async_is_noticed() -> None:
    added = calls(HEAD, HEAD + "x = load(1)\n")
    assert guards.broken_calls(added, known("def load(a): ...\n"), known("async def load(a): ...\n")) == [
        "load() is now async"
    ]


def test_a_function_that_is_gone_or_takes_other_arguments_is_noticed() -> None:
    added = calls(HEAD, HEAD + "x = load(1)\n")
    assert guards.broken_calls(added, known("def load(a): ...\n"), {}) == ["load() is gone"]
    now = known("def load(a, b): ...\n")
    assert guards.broken_calls(added, known("def load(a): ...\n"), now) == ["load() takes other arguments"]
    assert guards.broken_calls(added, known("def load(a): ...\n"), known("def load(a, b=1, *, c=2): ...\n")) == []


def test_a_method_of_the_release_counts_and_one_of_anything_else_does_not() -> None:
    added = calls(HEAD, HEAD + "x = Models.load(1)\ny = response.load(1)\nz = session.save()\n")
    assert [call.name for call in added] == ["load"]
    old, new = known("class M:\n    def load(self, a): ...\n"), known("class M:\n    async def load(self, a): ...\n")
    assert guards.broken_calls(added, old, new) == ["load() is now async"]


def test_calls_that_were_there_before_are_not_looked_at() -> None:
    assert calls(HEAD + "x = load(1)\n", HEAD + "y = 2\nx = load(1)\n") == ()


def test_what_is_imported_from_the_release_must_be_there() -> None:
    after = "from open_webui.utils.x import load\nfrom json import dumps\n"
    assert list(guards.added_imports(module(""), module(after))) == [("open_webui.utils.x", "load")]
    for text in (
        "def load(): ...\n",
        "async def load(): ...\n",
        "class load: ...\n",
        "load = 1\n",
        "from y import load\n",
    ):
        assert guards.defines(text, "load"), text
    assert not guards.defines("def loader(): ...\n", "load")
