"""What is asked of a model, and how an answer is read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from webui_fork.doctor import chats
from webui_fork.doctor.facts import Answer, Chat, Facts, Reply, Seen
from webui_fork.doctor.webui import Site

LINES = [(0.1, 'data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}'), (0.2, "")]
# thoughts as newer vLLMs name them, as older ones do, and an answer
TOKENS = ((0.5, "reasoning"), (0.6, "reasoning_content"), (1.6, "content"))
LINES += [(time, f'data: {{"choices": [{{"delta": {{"{name}": "x"}}}}]}}') for time, name in TOKENS]
LINES += [(1.7, 'data: {"choices": [], "usage": {}}'), (1.8, "data: [DONE]")]
ANSWER = {"choices": [{"message": {"content": "hello"}}]}


class Model(Site):
    """An Open WebUI of which each answer is known."""

    def __init__(self, plain: Reply, lines: list[tuple[float, str]], status: int = 200) -> None:
        super().__init__("http://w", None)
        self.plain, self.lines, self.status = plain, lines, status
        self.forms: list[dict[str, Any]] = []

    def ask(self, path: str, form: dict[str, Any] | None = None, patience: float = 0) -> Reply:
        assert form
        self.forms.append(form)
        return self.plain

    def stream(self, path: str, form: dict[str, Any], patience: float) -> tuple[int, list[tuple[float, str]], float]:
        self.forms.append(form)
        return self.status, self.lines, 2.0


def facts(*rows: dict[str, Any]) -> Facts:
    return Facts(
        "http://w", Seen("http://w", "here"), "0.12.4", role="admin", listing=Reply(200, {"data": list(rows)}, 0.1)
    )


def row(name: str, number: int, **more: Any) -> dict[str, Any]:
    return {"id": name, "urlIdx": number, "owned_by": "openai", **more}


ONE = facts(row("a", 0, openai={"max_model_len": 4096}))


def test_the_first_fresh_model_of_each_connection_is_asked() -> None:
    rows = (row("b", 2), row("old", 1, stale=True), row("a", 0), row("c", 0), {"id": "f", "pipe": {}})
    talks = chats.run(Model(Reply(200, ANSWER, 0.1), LINES), facts(*rows))
    assert [(chat.model, chat.number, chat.limit) for chat in talks] == [("a", 0, 0), ("b", 2, 0)]


def test_a_well_one_is_asked_in_five_ways_and_timed() -> None:
    model = Model(Reply(200, ANSWER, 0.1), LINES)
    (chat,) = chats.run(model, ONE)
    streamed = Answer("streamed", 200, "", 2.0, 0.5, 1.0, 3)
    plain = Answer("plain", 200, "hello", 0.1)
    others = [replace(plain, kind=kind) for kind in ("tool", "no tools", "long")]
    assert chat == Chat("a", 0, 4096, (plain, streamed, *others))
    assert [form.get("tools") is not None for form in model.forms] == [False, False, True, True, False]
    assert [form["stream"] for form in model.forms] == [False, True, False, False, False]
    assert model.forms[3]["tools"] == []
    assert model.forms[4]["messages"][0]["content"] == "hello " * 3277  # eight tenths


@pytest.mark.parametrize(("length", "words"), [(None, 0), (1_000_000, 50_000)])
def test_how_long_a_long_prompt_is(length: int | None, words: int) -> None:
    model = Model(Reply(200, ANSWER, 0.1), LINES)
    chats.run(model, facts(row("a", 0, openai={"max_model_len": length})))
    assert sum(form["messages"][0]["content"].count("hello ") for form in model.forms[4:]) == words


def test_one_that_answers_nothing_plain_is_asked_for_an_embedding_and_no_more() -> None:
    model = Model(Reply(400, {"error": {"message": "no chat"}}, 0.1), LINES)
    (chat,) = chats.run(model, ONE)
    assert [(answer.kind, answer.words) for answer in chat.answers] == [("plain", "no chat"), ("embedding", "no chat")]
    assert "input" in model.forms[1]


@pytest.mark.parametrize(
    ("status", "lines", "words", "tokens"),
    [
        (502, [(0.1, '{"detail": "Bad Gateway"}')], "Bad Gateway", 0),
        (0, [(9.0, "ReadTimeout")], "ReadTimeout", 0),
        (200, LINES[:-1], "the stream ended without its end mark", 3),
        (200, [(0.1, "data: {broken"), (0.2, 'data: {"choices": 1}'), (0.3, "data: [DONE]")], "", 0),
    ],
)
def test_a_stream_that_fails(status: int, lines: list[tuple[float, str]], words: str, tokens: int) -> None:
    (chat,) = chats.run(Model(Reply(200, ANSWER, 0.1), lines, status), ONE)
    answer = chat.to("streamed")
    assert answer
    assert (answer.status, answer.words, answer.tokens) == (status, words, tokens)


def test_what_a_model_said_may_be_anything() -> None:
    odd: list[Any] = [None, [], {}, {"choices": []}, {"choices": [1]}, {"choices": [{"message": None}]}]
    assert {chats.text_of(body) for body in odd} == {""}
