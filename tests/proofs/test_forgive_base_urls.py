"""A base URL with a slash at its end or without /v1 works, for lists and chats."""

from __future__ import annotations

import pytest

from containers import Site


@pytest.mark.parametrize("written", ["http://provider:8000/f/only-v1", " http://provider:8000/f/only-v1/v1// "])
def test_it_lists_and_chats(webui: Site, written: str) -> None:
    webui.connect([written])
    assert "beside" in webui.models().ids
    chat = {"model": "beside", "messages": [{"role": "user", "content": "hi"}], "stream": False}
    answer = webui.call("POST", "/api/chat/completions", json=chat)
    assert answer.json()["choices"][0]["message"]["content"] == "hello"
    assert webui.call("GET", "/openai/config").json()["OPENAI_API_BASE_URLS"] == [written]  # as the admin wrote it


def test_an_ollama_with_a_slash_at_its_end(webui: Site) -> None:
    webui.connect([], ["http://provider:8000/f/strict-path/"])
    assert "beside" in webui.models().ids
