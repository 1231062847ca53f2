"""Rules about the model server that the user names, as this machine sees it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from webui_fork.core.text import without_secrets
from webui_fork.doctor import connections
from webui_fork.doctor.facts import Facts, model_ids
from webui_fork.doctor.findings import Finding, Severity

_CRITICAL, _WARNING, _INFO = Severity


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
        yield Finding("vllm-other", _CRITICAL, f"What answers at {name} is not a vLLM.", evidence, "Correct --vllm.")
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
