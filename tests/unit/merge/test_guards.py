from __future__ import annotations

from webui_fork.merge import guards, tree

LOOP = """\
def f(request, responses):
    for idx, response in enumerate(responses):
        url = request.app.state.config.URLS[idx]
        collect(url, response)
"""
GUARDED = LOOP.replace("        url =", "        if response is None:\n            continue\n        url =")


def module(text: str) -> tree.Module:
    found = tree.parse(text)
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
