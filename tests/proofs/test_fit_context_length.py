"""A long chat is compacted before its model can't take it, where the model's server says how much that is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import processes
from model_servers import ANSWERS, HEAD, Answer, Server, says, server
from processes import Site

ENV = {"ENABLE_CONTEXT_COMPACTION": "True"}
TURN = "word " * 80  # 100 tokens, as upstream counts them
TURNS = [{"role": role, "content": TURN} for role in ["user", "assistant"] * 5]


def lists(**fields: Any) -> Answer:
    body = json.dumps({"data": [{"id": "listed", **fields}]}).encode()
    return says(HEAD % len(body) + body)


def long_chat(site: Site, running: Server, model: str = "listed", turns: int = 10, **params: Any) -> list[int]:
    """Have a chat of so many turns of 100 tokens; return how long each request to the model is, in tokens."""
    site.connect([running.url])
    site.models()
    messages = [*TURNS[:turns], {"role": "user", "content": "end"}]
    form = {"messages": messages, "chat_id": "local:one", "user_message": {"id": "u", **messages[-1]}, "params": params}
    site.chat(model, **form).raise_for_status()
    bodies = [json.loads(request.partition(b"\r\n\r\n")[2]) for request in running.requests]
    return [sum(len(message["content"]) for message in body["messages"]) // 400 * 100 for body in bodies]


@pytest.fixture
def fitting() -> Iterator[Server]:
    with server(ANSWERS, lists=lists(max_model_len=1200)) as running:
        yield running


def test_a_chat_that_would_not_fit_is_compacted(webui: Site, fitting: Server) -> None:
    """The model is asked for a summary first; the chat then has the turns that are left."""
    summary, chat = long_chat(webui, fitting)
    assert chat < 600 < summary


def test_a_chat_that_fits_is_left_alone(webui: Site, fitting: Server) -> None:
    assert long_chat(webui, fitting, turns=8) == [800]


@pytest.mark.parametrize("odd", [None, 0, -1, True, 1.5, "1200", 90_000])
def test_a_length_that_is_none_or_never_reached_is_as_in_stock(webui: Site, odd: object) -> None:
    with server(ANSWERS, lists=lists(max_model_len=odd)) as running:
        assert long_chat(webui, running) == [1000]


def test_a_preset_has_the_length_of_its_base(webui: Site, fitting: Server) -> None:
    form = {"id": "preset", "name": "Preset", "base_model_id": "listed", "meta": {}, "params": {}}
    webui.call("POST", "/api/v1/models/create", json=form).raise_for_status()
    assert len(long_chat(webui, fitting, model="preset")) == 2


def test_what_the_admin_set_lower_stays(webui: Site, fitting: Server) -> None:
    assert len(long_chat(webui, fitting, turns=6, compact_token_threshold=500)) == 2


def test_the_admin_s_cap_is_the_cap(webui: Site, fitting: Server) -> None:
    try:
        for key, value in (("threshold", "500"), ("cap", "800")):
            webui.set_config(f"chat.context_compaction.token_{key}", value)
        assert long_chat(webui, fitting, turns=6, compact_token_threshold=700) == [600]
    finally:
        for key in ("threshold", "cap"):
            webui.set_config(f"chat.context_compaction.token_{key}", "80000")


def test_what_the_admin_set_higher_does_not_fit_either(webui: Site, fitting: Server) -> None:
    assert len(long_chat(webui, fitting, compact_token_threshold=5000)) == 2


@pytest.mark.parametrize(("env", "requests"), [({"MODEL_CONTEXT_SHARE": "0"}, 1), ({"MODEL_CONTEXT_SHARE": "0.5"}, 2)])
def test_the_share_can_be_set(tree: Path, fitting: Server, env: dict[str, str], requests: int) -> None:
    with processes.webui(tree, env={**ENV, **env}) as site:
        assert len(long_chat(site, fitting, turns=8 if requests == 2 else 10)) == requests


def saved_chat(site: Site, **params: Any) -> str:
    history = {"currentId": "m", "messages": {"m": {"id": "m", "parentId": None, "role": "user", "content": TURN}}}
    form = {"chat": {"title": "t", "models": ["listed"], "history": history, "messages": [], "params": params}}
    return str(site.call("POST", "/api/v1/chats/new", json=form).json()["id"])


def test_a_chat_that_somebody_has_compacted_says_how_full_it_is(webui: Site, fitting: Server) -> None:
    long_chat(webui, fitting, turns=2)
    answer = webui.call("POST", f"/api/v1/chats/{saved_chat(webui)}/compact", json={"model": "listed"})
    assert answer.json()["context_usage"]["threshold"] == 900, answer.text


@pytest.mark.parametrize("odd", [{"id": "listed"}, ["listed"], 1, None])
def test_a_chat_with_odd_parameters_opens(webui: Site, odd: object) -> None:
    answer = webui.call("GET", f"/api/v1/chats/{saved_chat(webui, model=odd)}")
    assert answer.json()["context_usage"]["threshold"] == 80_000, answer.text
