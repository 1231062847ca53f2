from __future__ import annotations

from dataclasses import replace

import pytest

from webui_fork.doctor import model_server
from webui_fork.doctor.facts import Facts, Neighbour, Reply, Seen, Server

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
