from __future__ import annotations

from dataclasses import replace

import pytest

from webui_fork.doctor import model_server
from webui_fork.doctor.facts import Answer, Chat, Facts, Neighbour, Reply, Seen, Server
from webui_fork.doctor.findings import ordered

UP = Seen("http://w/health", "from here", status=200)
LISTS = Seen("http://v/v1/models", "from here", status=200, body='{"data": [{"id": "qwen"}]}')
SERVER = Server("http://v", UP, LISTS, keyed=False, behind=None)
FACTS = Facts(
    "http://w", UP, "0.12.4", role="admin", listing=Reply(200, {"data": [{"id": "qwen"}]}, 0.1), server=SERVER
)
OTHERS = Reply(200, {"data": [{"id": "llama"}]}, 0.1)
LOADING = Neighbour("vllm", "vllm/vllm-openai", "running", "", ("INFO Loading model weights",))


def causes(facts: Facts) -> list[str]:
    return [finding.cause for finding in model_server.findings(facts)]


@pytest.mark.parametrize(
    "facts",
    [
        FACTS,
        replace(FACTS, server=None),
        replace(FACTS, listing=Reply(200, {"data": [{"id": "prefix.qwen"}]}, 0.1)),
        replace(FACTS, listing=OTHERS, role="user"),
        replace(FACTS, listing=OTHERS, records=({"id": "qwen", "is_active": False},)),
    ],
)
def test_nothing_is_wrong(facts: Facts) -> None:
    assert causes(facts) == []


@pytest.mark.parametrize(
    ("server", "cause"),
    [
        (replace(SERVER, models=replace(LISTS, status=401)), "vllm-key"),
        (replace(SERVER, models=replace(LISTS, status=403), keyed=True), "vllm-key"),
        (replace(SERVER, models=replace(LISTS, status=0, connect="refused")), "vllm-unreachable"),
        (replace(SERVER, models=replace(LISTS, body="<html>")), "vllm-other"),
        (replace(SERVER, health=replace(UP, status=503), behind=LOADING), "vllm-loading"),
    ],
)
def test_what_the_server_says_by_itself(server: Server, cause: str) -> None:
    assert causes(replace(FACTS, server=server)) == [cause]


def test_a_model_that_is_served_and_not_listed() -> None:
    (finding,) = model_server.findings(replace(FACTS, listing=OTHERS))
    assert finding.cause == "vllm-not-listed"
    assert "qwen" in finding.what
    assert finding.evidence == ("listed: llama",)


PLAIN, STREAM = Answer("plain", 200, "hello", 0.2), Answer("streamed", 200, "", 1.2, 0.2, 0.1, 41)
TOOL, NONE = Answer("tool", 200), Answer("no tools", 200)
WELL = (PLAIN, STREAM, TOOL, NONE)
FLAG = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'


def chatted(*answers: Answer) -> Facts:
    return replace(FACTS, chats=(Chat("qwen", 0, 4096, answers),))


@pytest.mark.parametrize(
    ("answers", "cause", "words"),
    [
        (WELL, "chat-works", "first token after 0.20 s, then 40 tokens a second, at most 0.1 s apart"),
        ([Answer("plain", 500, "boom", 0.1)], "chat-fails", "500 after 0.1 s: boom"),
        ([Answer("plain", 0, "ReadTimeout", 120.0)], "chat-fails", "no answer after 120.0 s"),
        ([Answer("plain", 401, "no key"), Answer("embedding", 401)], "chat-key", "--api-key"),
        ([Answer("plain", 403, "no"), Answer("embedding", 500)], "chat-key", "connection 1"),
        ([Answer("plain", 404, "The model `x` does not exist.")], "chat-name", "--served-model-name"),
        ([Answer("plain", 400, "default chat template is no longer allowed")], "chat-template", "--chat-template"),
        ([Answer("plain", 400, "maximum context length is 8")], "chat-too-long", "--max-model-len"),
        ([Answer("plain", 400, "no chat"), Answer("embedding", 200)], "chat-embedder", "embedding model"),
        ([PLAIN, STREAM, Answer("tool", 400, FLAG), NONE], "chat-tools", "--tool-call-parser NAME"),
        ([PLAIN, STREAM, Answer("tool", 500, "boom"), NONE], "chat-tools", "knows no tools"),
        ([PLAIN, STREAM, TOOL, Answer("no tools", 400, "tools is empty")], "chat-empty-tools", "newer vLLM"),
        ([PLAIN, Answer("streamed", 502, "Bad Gateway"), TOOL, NONE], "chat-stream", "buffers or cuts"),
        ([PLAIN, Answer("streamed", 200, "the stream ended", tokens=3), TOOL, NONE], "chat-stream", "ended"),
        ([PLAIN, replace(STREAM, first=10.1), TOOL, NONE], "chat-slow", "first token after 10.10 s"),
        ([PLAIN, replace(STREAM, gap=10.1), TOOL, NONE], "chat-slow", "10.1 s apart"),
        ([*WELL, Answer("long", 413, "Too Large")], "chat-long", "client_max_body_size"),
        ([*WELL, Answer("long", 500, "out of memory")], "chat-long", "nearly fills its 4096 tokens"),
        ([*WELL, Answer("long", 400, "maximum context length is 4096 tokens")], "chat-works", ""),
        ([replace(PLAIN, words="<think>Hm"), STREAM, TOOL, NONE], "chat-reasoning", "--reasoning-parser"),
    ],
)
def test_what_a_model_says(answers: list[Answer], cause: str, words: str) -> None:
    first = ordered(tuple(model_server.chats(chatted(*answers))))[0]
    assert first.cause == cause
    assert words in f"{first.what} {first.fix} {' '.join(first.evidence)}"


def test_a_model_that_is_well_has_its_context_told_and_one_without_chats_nothing() -> None:
    (well,) = model_server.chats(chatted(*WELL))
    assert "4096 tokens of context" in well.what
    assert list(model_server.chats(FACTS)) == []
    (slow,) = model_server.chats(chatted(PLAIN, replace(STREAM, tokens=1), TOOL, NONE))
    assert "then ? tokens" in slow.evidence[0]
