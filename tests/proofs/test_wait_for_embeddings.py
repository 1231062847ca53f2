"""An uploaded document outlives a restart of its embedding server; what a chat embeds does not wait."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

import processes
import vectors
from model_servers import HANGS_UP, HEAD, Answer, Server, resets, says, server, status
from processes import Provider, Site

VECTOR = json.dumps({"data": [{"embedding": [1.0, 0.0, 0.0]}]}).encode()
INSIDE = Path(__file__).parents[1] / "assets/embedding_uploads.py"
EMBEDS = says(HEAD % len(VECTOR) + VECTOR)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with vectors.postgres() as url:
        yield url


@contextmanager
def site_with(tree: Path, database: str, **env: str) -> Iterator[Site]:
    env = {"PGVECTOR_DB_URL": database, "RAG_EMBEDDING_ENGINE": "openai", "RAG_EMBEDDING_MODEL": "embeds", **env}
    with processes.webui(tree, env=env) as running:
        yield running


@pytest.fixture(scope="module")
def site(tree: Path, database: str) -> Iterator[Site]:
    with site_with(tree, database, MODEL_EMBEDDING_RETRY="12") as running:
        yield running


def port_of(running: Server) -> int:
    return int(running.url.split(":")[2].partition("/")[0])


def embed_by(site: Site, port: int, scheme: str = "http") -> None:
    form: dict[str, Any] = {"RAG_EMBEDDING_ENGINE": "openai", "RAG_EMBEDDING_MODEL": "embeds"}
    form["openai_config"] = {"url": f"{scheme}://127.0.0.1:{port}/v1", "key": "key"}
    site.call("POST", "/api/v1/retrieval/embedding/update", json=form).raise_for_status()


def upload(site: Site, text: bytes = b"The ferryman rows at dawn.") -> str:
    """Upload a document; return its number while it is being embedded."""
    answer = site.call("POST", "/api/v1/files/", files={"file": ("note.txt", text)})
    answer.raise_for_status()
    return str(answer.json()["id"])


def until(site: Site, file: str, holds: Callable[[dict[str, Any]], Any], seconds: float = 30) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        data: dict[str, Any] = site.call("GET", f"/api/v1/files/{file}").json()["data"]
        if holds(data):
            return data
        time.sleep(0.1)
    raise AssertionError(data)


def ended(data: dict[str, Any]) -> bool:
    return data.get("status") in ("completed", "failed")


def question(site: Site, file: str) -> requests.Response:
    form = {"collection_name": f"file-{file}", "query": "Who rows?", "k": 1}
    return site.call("POST", "/api/v1/retrieval/query/doc", json=form)


def test_a_document_waits_for_a_server_that_restarts(site: Site) -> None:
    port = processes.free_port()
    embed_by(site, port)
    file = upload(site)
    waiting = until(site, file, lambda data: data.get("waiting"))
    assert waiting["status"] != "failed"
    assert "has not answered for" in waiting["waiting"]
    with server(EMBEDS, port=port):
        assert until(site, file, ended)["status"] == "completed"
        assert until(site, file, ended)["waiting"] == ""
        assert "ferryman" in question(site, file).text


@pytest.mark.parametrize("fault", [HANGS_UP, resets, status(502), status(503), status(504)])
def test_what_says_that_it_is_away_is_asked_again(site: Site, fault: Answer) -> None:
    with server(fault, EMBEDS) as running:
        embed_by(site, port_of(running))
        assert until(site, upload(site), ended)["status"] == "completed"
        assert len(running.requests) == 2


def test_only_the_batch_that_failed_is_asked_again(site: Site) -> None:
    with server(EMBEDS, EMBEDS, status(503), EMBEDS) as running:
        embed_by(site, port_of(running))
        file = upload(site, b"".join(b"Boat %d rows at dawn. " % number for number in range(300)))
        assert until(site, file, ended)["status"] == "completed"
        texts = [request.partition(b'"input"')[2] for request in running.requests]
        assert len(texts) - len(set(texts)) == 1
        assert len(texts) > 6


def test_what_may_end_its_server_is_asked_twice(site: Site) -> None:
    with server(resets) as running:
        embed_by(site, port_of(running))
        assert until(site, upload(site), ended)["status"] == "failed"
        assert len(running.requests) == 2


def test_a_mistake_is_not_waited_for(site: Site, provider: Provider) -> None:
    embed_by(site, int(provider.host.partition(":")[2]), "https")
    start = time.monotonic()
    assert until(site, upload(site), ended)["status"] == "failed"
    assert time.monotonic() - start < 6


@pytest.mark.parametrize("code", [400, 401, 404, 429, 500])
def test_what_refuses_a_document_is_asked_once(site: Site, code: int) -> None:
    with server(status(code), EMBEDS) as running:
        embed_by(site, port_of(running))
        assert until(site, upload(site), ended)["status"] == "failed"
        assert len(running.requests) == 1


def test_one_that_is_deleted_meanwhile_is_not_embedded(site: Site) -> None:
    port = processes.free_port()
    embed_by(site, port)
    file = upload(site)
    until(site, file, lambda data: data.get("waiting"))
    site.call("DELETE", f"/api/v1/files/{file}").raise_for_status()
    with server(EMBEDS, port=port) as running:
        time.sleep(5)
        assert not running.requests
        assert "ferryman" not in question(site, file).text


def index_again(site: Site, file: str) -> requests.Response:
    """As the admin's way does file by file, which would wait for each."""
    form = {"content": "The ferryman rests at noon."}
    return site.call("POST", f"/api/v1/files/{file}/data/content/update", json=form)


def test_batches_at_once(tree: Path) -> None:
    """What upstream writes of the file is the last word, and what nobody waits for is not asked for again."""
    printed, _ = processes.python(tree, INSIDE, tree / "backend")
    assert printed == "all is well\n"


@pytest.mark.parametrize("ask", [question, index_again])
def test_what_is_no_upload_does_not_wait(site: Site, ask: Callable[[Site, str], requests.Response]) -> None:
    port = processes.free_port()
    embed_by(site, port)
    with server(EMBEDS, port=port):
        file = upload(site)
        until(site, file, ended)
    start = time.monotonic()
    assert ask(site, file).status_code >= 400
    assert time.monotonic() - start < 6


def test_no_more_than_twenty_wait(site: Site) -> None:
    """Each holds up a thread of the pool that the server answers others from."""
    port = processes.free_port()
    embed_by(site, port)
    with ThreadPoolExecutor(8) as pool:
        files = list(pool.map(lambda _: upload(site), range(24)))
    seen = [until(site, file, lambda data: ended(data) or data.get("waiting")) for file in files]
    assert [data.get("status") for data in seen].count("failed") == 4
    assert site.models().status == 200
    with server(EMBEDS, port=port):
        assert [until(site, file, ended)["status"] for file in files].count("completed") == 20


def test_half_of_the_threads_are_for_others(tree: Path, database: str) -> None:
    with site_with(tree, database, THREAD_POOL_SIZE="4") as site:
        embed_by(site, processes.free_port())
        files = [upload(site) for _ in range(4)]
        seen = [until(site, file, lambda data: ended(data) or data.get("waiting")) for file in files]
        assert [data.get("status") for data in seen].count("failed") == 2
        assert site.call("GET", "/static/favicon.png", timeout=5).ok
        start = time.monotonic()  # and what waits does not hold up the server's end
        site.child.terminate()
        site.child.wait(30)
        assert time.monotonic() - start < 10


def test_one_that_stays_away_says_for_how_long(tree: Path, database: str) -> None:
    with site_with(tree, database, MODEL_EMBEDDING_RETRY="3") as site:
        embed_by(site, processes.free_port())
        data = until(site, upload(site), lambda data: ended(data) and not data["waiting"])
        assert data["status"] == "failed"
        assert "has not answered for 1 s" in data["error"]


@pytest.mark.parametrize("env", [{"MODEL_EMBEDDING_RETRY": "0"}, {"RAG_EMBEDDING_TIMEOUT": "30"}])
def test_it_can_be_switched_off(tree: Path, database: str, env: dict[str, str]) -> None:
    """Upstream's own limit for a document gives no reason when it is reached: with one, all is as in stock."""
    with site_with(tree, database, **env) as site, server(HANGS_UP, EMBEDS) as running:
        embed_by(site, port_of(running))
        data = until(site, upload(site), ended)
        assert data["status"] == "failed"
        assert (len(running.requests), "waiting" in data) == (1, False)
