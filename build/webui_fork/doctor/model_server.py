"""Rules about the model server that the user names, as this machine sees it, and about what models say. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from webui_fork.core.text import without_secrets
from webui_fork.doctor import connections
from webui_fork.doctor.facts import Answer, Chat, Facts, model_ids
from webui_fork.doctor.findings import Finding, Severity

SLOW = 10.0  # seconds without a token, after which people think that nothing comes
_CRITICAL, _WARNING, _INFO = Severity
_NO_TOOLS = re.compile(r"enable-auto-tool-choice|tool-call-parser|tool.{0,20}not.{0,20}support", re.IGNORECASE)
_TOO_LONG = re.compile(r"context length|max_model_len|maximum.{0,20}length", re.IGNORECASE)


def findings(facts: Facts) -> Iterator[Finding]:
    """Yield what is wrong with the model server that the user named, whatever the connections say."""
    if (server := facts.server) is None:
        return
    name = without_secrets(server.url)
    evidence = connections.seen_words(server.health, server.models)
    if server.behind and (line := connections.still_loading(server.behind)) and server.health.status != 200:
        yield connections.loading_words(name, server.behind, line, evidence)
    elif server.models.status in (401, 403):
        what = f"{name} wants a key, and {'refuses the one given' if server.keyed else 'none was given'}."
        yield Finding("vllm-key", _WARNING, what, evidence, "Give it in VLLM_API_KEY or --vllm-key-file.")
    elif server.models.trouble:
        fix = "Start vLLM, wait until it is up, or correct --vllm."
        yield Finding("vllm-unreachable", _CRITICAL, f"The model server does not answer at {name}.", evidence, fix)
    elif (served := model_ids(server.models.json)) is None:
        yield Finding("vllm-other", _CRITICAL, f"The server at {name} is not vLLM.", evidence, "Correct --vllm.")
    elif facts.role == "admin" and facts.listed and _missing(facts, served):
        what = f"{name} serves {', '.join(served)}, and Open WebUI lists none of them."
        fix = f"{connections.PLACE}: add a connection to it, as Open WebUI's machine reaches it, with /v1."
        yield Finding("vllm-not-listed", _CRITICAL, what, (f"listed: {', '.join(facts.listed[:8])}",), fix)


def _missing(facts: Facts, served: tuple[str, ...]) -> bool:
    """Tell whether none of the models is listed that should be."""
    enabled = [model for model in served if model not in facts.switched_off]
    return bool(enabled) and not any(model in facts.listed or _prefixed(model, facts) for model in enabled)


def _prefixed(model: str, facts: Facts) -> bool:
    return any(name.endswith(f".{model}") for name in facts.listed)


def chats(facts: Facts) -> Iterator[Finding]:
    """Yield what is wrong with the models' answers, where they were asked for, and how fast they are."""
    for chat in facts.chats:
        plain = chat.to("plain")
        if plain and plain.status != 200:
            yield _silent(chat, plain)
        elif plain:
            yield from _tools(chat)
            yield from _stream(chat)
            yield from _long(chat)
            if "<think>" in plain.words:
                fix = "Start vLLM with --reasoning-parser NAME (deepseek_r1, qwen3, …), so that it separates thoughts."
                what = f"{chat.model} mixes its thoughts with its answer."
                yield Finding("chat-reasoning", _WARNING, what, (f"it says: {plain.words[:80]}",), fix)


def _shown(answer: Answer) -> tuple[str, ...]:
    status = answer.status or "no answer"
    return (f"a {answer.kind} request: {status} after {answer.seconds:.1f} s: {answer.words}",)


def _silent(chat: Chat, answer: Answer) -> Finding:
    """Say why a model that is listed does not answer."""
    embedding = chat.to("embedding")
    words, what = answer.words.lower(), f"{chat.model} is listed, and does not answer."
    if embedding and embedding.status == 200:
        what = f"{chat.model} embeds text, and can't chat."
        fix = "Admin Panel, Settings, Models: hide it from the list, and use it under Documents as the embedding model."
        return Finding("chat-embedder", _INFO, what, _shown(answer), fix)
    if answer.status in (401, 403):
        fix = f"{connections.PLACE}: give connection {chat.number + 1} the key of vLLM's --api-key."
        return Finding("chat-key", _CRITICAL, what, _shown(answer), fix)
    if answer.status == 404:
        fix = "Start vLLM with --served-model-name as it is listed, or list the name that vLLM serves."
        return Finding("chat-name", _CRITICAL, what, _shown(answer), fix)
    if "chat template" in words or "chat_template" in words:
        fix = "Start vLLM with --chat-template FILE: this model brings none."
        return Finding("chat-template", _CRITICAL, what, _shown(answer), fix)
    if _TOO_LONG.search(answer.words):
        fix = "Start vLLM with a larger --max-model-len; a system prompt, tools and documents take their part of it."
        return Finding("chat-too-long", _CRITICAL, what, _shown(answer), fix)
    fix = (
        "Read vLLM's log at that moment. This fork's image waits 2 s for a server that restarts, and says how long it\n"
        "has been away."
    )
    return Finding("chat-fails", _CRITICAL, what, _shown(answer), fix)


def _tools(chat: Chat) -> Iterator[Finding]:
    tool, none = chat.to("tool"), chat.to("no tools")
    if tool and tool.status != 200:
        fix = "Start vLLM with --enable-auto-tool-choice --tool-call-parser NAME (hermes, llama3_json, mistral, …)."
        if not _NO_TOOLS.search(tool.words):
            fix = "Read vLLM's log at that moment. If the model knows no tools, switch them off for it (Workspace)."
        yield Finding("chat-tools", _WARNING, f"{chat.model} refuses a request with a tool.", _shown(tool), fix)
    if none and none.status != 200:
        fix = "Use a newer vLLM, which treats an empty list of tools as no tools."
        yield Finding("chat-empty-tools", _WARNING, f"{chat.model} refuses `tools: []`.", _shown(none), fix)


def _long(chat: Chat) -> Iterator[Finding]:
    answer = chat.to("long")
    # how many tokens the words are is the tokenizer's to say: too many of them is no fault of the server's
    if answer and answer.status != 200 and not _TOO_LONG.search(answer.words):
        fix = "Read vLLM's log at that moment (memory: --gpu-memory-utilization, --max-num-batched-tokens)."
        if answer.status == 413:
            fix = "Raise the limit of the proxy between Open WebUI and vLLM (nginx: client_max_body_size)."
        what = f"{chat.model} answers, and refuses a prompt that nearly fills its {chat.limit} tokens."
        yield Finding("chat-long", _WARNING, what, _shown(answer), fix)


def _stream(chat: Chat) -> Iterator[Finding]:
    answer = chat.to("streamed")
    if answer is None:
        return
    speed = f"then {_rate(answer)} tokens a second, at most {answer.gap:.1f} s apart"
    told = f"first token after {answer.first:.2f} s, {speed}"
    if answer.status != 200 or answer.words:
        fix = "Look for a proxy between Open WebUI and vLLM that buffers or cuts streams."
        what = f"{chat.model} answers, and its stream fails."
        yield Finding("chat-stream", _CRITICAL, what, _shown(answer), fix)
    elif max(answer.first, answer.gap) > SLOW:
        fix = "Look at vLLM's log for waiting requests (its KV cache is full), and for a proxy that buffers."
        yield Finding("chat-slow", _WARNING, f"{chat.model} is slow.", (told,), fix)
    else:
        limit = f", {chat.limit} tokens of context" if chat.limit else ""
        fix = "Nothing to do."
        yield Finding("chat-works", _INFO, f"{chat.model} answers{limit}.", (told,), fix)


def _rate(answer: Answer) -> str:
    spent = answer.seconds - answer.first
    return f"{(answer.tokens - 1) / spent:.0f}" if spent > 0 and answer.tokens > 1 else "?"
