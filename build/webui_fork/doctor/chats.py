"""Chat with a model of each connection through Open WebUI, and time what comes back. It costs tokens."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from webui_fork.doctor.connections import reason
from webui_fork.doctor.facts import Answer, Chat, Facts, first_models
from webui_fork.doctor.webui import Site

PATIENCE = 120.0  # seconds: a model may think
NEARLY, LONGEST = 0.8, 50_000  # of what a model takes, and in words: how long a long prompt is
_TEXT = ("content", "reasoning", "reasoning_content")  # vLLM has called thoughts by both names
_DOOR = "/api/chat/completions"
_TOOL = {
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "Tell what time it is.",
        "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}},
    },
}
# what is asked, by name: what a request has beside the model and a word
_KINDS: dict[str, dict[str, Any]] = {
    "plain": {"max_tokens": 16},
    "streamed": {"max_tokens": 32, "stream": True},
    "tool": {"max_tokens": 16, "tools": [_TOOL], "tool_choice": "auto"},
    "no tools": {"max_tokens": 16, "tools": []},
}


def run(site: Site, facts: Facts) -> tuple[Chat, ...]:
    """Chat with the first model of each OpenAI connection that lists one.

    Args:
        site: a session of an admin.
        facts: what was seen so far; the list is of it.

    Returns:
        What each answered. A model that answers no plain word is asked nothing more but for an embedding; one whose
        length is known also has a prompt that nearly fills it.
    """
    models = first_models(facts)
    return tuple(Chat(model, number, limit, _conversation(site, model, limit)) for number, model, limit in models)


def _conversation(site: Site, model: str, limit: int) -> tuple[Answer, ...]:
    answers: list[Answer] = []
    for kind, extra in _KINDS.items():
        form = {"model": model, "messages": [{"role": "user", "content": "Say hello."}], "stream": False, **extra}
        answers.append(_streamed(site, form) if extra.get("stream") else _answer(site, kind, _DOOR, form))
        if kind == "plain" and answers[0].status != 200:
            answers.append(_answer(site, "embedding", "/api/embeddings", {"model": model, "input": "hello"}))
            return tuple(answers)
    if limit:  # most tokenizers have a token for the word, and the template needs some, too
        words = "hello " * min(round(limit * NEARLY), LONGEST)
        form = {"model": model, "messages": [{"role": "user", "content": words}], "stream": False, "max_tokens": 1}
        answers.append(_answer(site, "long", _DOOR, form))
    return tuple(answers)


def _answer(site: Site, kind: str, path: str, form: dict[str, Any]) -> Answer:
    reply = site.ask(path, form, PATIENCE)
    if reply.status != 200:
        return Answer(kind, reply.status, reason(reply.body, reply.status), reply.seconds)
    return Answer(kind, 200, text_of(reply.body), reply.seconds)


def _streamed(site: Site, form: dict[str, Any]) -> Answer:
    """Time a stream: the first token, the longest wait between two, the whole."""
    status, lines, seconds = site.stream(_DOOR, form, PATIENCE)
    if status != 200:
        return Answer("streamed", status, reason(_json("\n".join(line for _, line in lines)), status), seconds)
    times = [time for time, line in lines if line.startswith("data: {") and _has_text(line)]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    ended = any(line == "data: [DONE]" for _, line in lines)
    words = "" if ended else "the stream ended without its end mark"
    first = times[0] if times else seconds
    return Answer("streamed", 200, words, seconds, first, max(gaps, default=0.0), len(times))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _has_text(line: str) -> bool:
    try:
        choices = json.loads(line.removeprefix("data: "))["choices"]
        return any(choice["delta"].get(name) for choice in choices for name in _TEXT)
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def text_of(body: Any) -> str:
    """Return the beginning of what a model said, "" where that can't be told."""
    try:
        return str(body["choices"][0]["message"]["content"] or "")[:300]
    except (KeyError, IndexError, TypeError):
        return ""
