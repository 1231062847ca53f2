"""A chat as a client has it."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

from containers import Site


def form(model: str, count: int = 24, *, stream: bool = True) -> dict[str, Any]:
    """Return a request for so many tokens of a model.

    The tests' model says random bytes, and most are parts of a character that never comes: few tokens may be no text.
    """
    messages = [{"role": "user", "content": "hi"}]
    return {"model": model, "messages": messages, "stream": stream, "max_tokens": count}


def tokens(site: Site, model: str, count: int = 24, **options: Any) -> Generator[str, None, None]:
    """Say something, and yield what the model says as it comes; ends with the stream's own end."""
    path, asked = "/api/chat/completions", form(model, count)
    with site.call("POST", path, json=asked, stream=True, timeout=60, **options) as answer:
        assert answer.status_code == 200, answer.text
        for line in answer.iter_lines():
            if not line.startswith(b"data: "):
                continue
            if line == b"data: [DONE]":
                return
            chunk = json.loads(line.removeprefix(b"data: "))
            assert "error" not in chunk, chunk
            for choice in chunk.get("choices", ()):
                if text := choice["delta"].get("content"):
                    yield text
    raise AssertionError("the stream ended in the middle")


def first_token(site: Site, model: str) -> str:
    """Return the first token of a chat."""
    stream = tokens(site, model)
    first = next(stream)
    stream.close()
    return first
