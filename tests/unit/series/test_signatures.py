from __future__ import annotations

from webui_fork.merge import tree
from webui_fork.series import signatures


def module(text: str) -> tree.Module:
    found = tree.parse(text)
    assert found
    return found


def definitions_of(*texts: str) -> signatures.Known:
    definitions: signatures.Known = {}
    for text in texts:
        for name, signature in signatures.signatures(text, {"load", "save"}):
            definitions.setdefault(name, []).append(signature)
    return definitions


def calls(before: str, after: str) -> tuple[signatures.Call, ...]:
    return signatures.added_calls(module(before), module(after))


HEAD = "from open_webui.models import Models\nfrom open_webui.utils.x import load\n\n\n"


def test_a_function_that_became_async_is_noticed() -> None:
    added = calls(HEAD, HEAD + "x = load(1)\n")
    assert signatures.broken_calls(
        added, definitions_of("def load(a): ...\n"), definitions_of("async def load(a): ...\n")
    ) == ["load() is now async"]


def test_a_function_that_is_gone_or_takes_other_arguments_is_noticed() -> None:
    added = calls(HEAD, HEAD + "x = load(1)\n")
    assert signatures.broken_calls(added, definitions_of("def load(a): ...\n"), {}) == ["load() is gone"]
    now = definitions_of("def load(a, b): ...\n")
    assert signatures.broken_calls(added, definitions_of("def load(a): ...\n"), now) == [
        "load() takes other arguments, or in another order"
    ]
    assert (
        signatures.broken_calls(
            added, definitions_of("def load(a): ...\n"), definitions_of("def load(a, b=1, *, c=2): ...\n")
        )
        == []
    )


def test_a_method_of_the_release_counts_and_one_of_anything_else_does_not() -> None:
    added = calls(HEAD, HEAD + "x = Models.load(1)\ny = response.load(1)\nz = session.save()\n")
    assert [call.name for call in added] == ["load"]
    old, new = (
        definitions_of("class M:\n    def load(self, a): ...\n"),
        definitions_of("class M:\n    async def load(self, a): ...\n"),
    )
    assert signatures.broken_calls(added, old, new) == ["load() is now async"]


def test_calls_that_were_there_before_are_not_looked_at() -> None:
    assert calls(HEAD + "x = load(1)\n", HEAD + "y = 2\nx = load(1)\n") == ()


def test_what_is_imported_from_the_release_must_be_there() -> None:
    after = "from open_webui.utils.x import load\nfrom json import dumps\n"
    assert list(signatures.added_imports(module(""), module(after))) == [("open_webui.utils.x", "load")]
    for text in (
        "def load(): ...\n",
        "async def load(): ...\n",
        "class load: ...\n",
        "load = 1\n",
        "from y import load\n",
    ):
        assert signatures.defines(text, "load"), text
    assert not signatures.defines("def loader(): ...\n", "load")


HEADS = """
class A:
    async def get(
        self,
        key: dict[str, int] = {"a": 1},  # a colon: here
        *,
        form=lambda x: x,
    ) -> dict[str, int]:  # and here
        return {}

    @staticmethod
    def get_all(a, /, b=2, *rest: int, c, **more): return a

def get(self, x):
    def get(cls): ...

text = "def get"
def get_all(
"""


def test_the_head_of_a_function_is_read_however_it_is_laid_out() -> None:
    rows = list(signatures.signatures(HEADS, ["get", "get_all"]))
    assert [(name, s.asynchronous, s.positional, s.required, s.keyword_only) for name, s in rows] == [
        ("get", True, ("key",), (), ("form",)),
        ("get_all", False, ("a", "b"), ("a", "c"), ("c",)),
        ("get", False, ("self", "x"), ("self", "x"), ()),
        ("get", False, (), (), ()),
    ]
    assert (rows[1][1].any_positional, rows[1][1].any_keyword) == (True, True)


def test_a_name_that_is_a_part_of_another_is_not_it() -> None:
    assert not list(signatures.signatures("def getter(a): ...\ndef target(b): ...\n", ["get"]))


def test_a_head_without_an_end_is_left_out() -> None:
    assert not list(signatures.signatures("def get(" + "a, " * 5000 + "b): ...\n", ["get"]))
