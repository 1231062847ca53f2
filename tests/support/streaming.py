"""A chat as a client streams it."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

from containers import Site


def tokens(site: Site, model: str, count: int = 8, **options: Any) -> Generator[str, None, None]:
    """Say something, and yield what the model says as it comes; ends with the stream's own end."""
    form = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": True, "max_tokens": count}
    with site.call("POST", "/api/chat/completions", json=form, stream=True, timeout=60, **options) as answer:
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
