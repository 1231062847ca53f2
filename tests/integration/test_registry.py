"""Pushing to a real registry through a proxy that fails on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import requests
from docker.errors import DockerException

from helpers import Server, Talk, hang_up, reply
from webui_fork import embedded, layers, oci, pipeline, tools
from webui_fork.engine import Engine
from webui_fork.errors import RegistryError
from webui_fork.registry import Registry
from webui_fork.settings import Settings

QUIET: Callable[[str, int], None] = lambda name, size: None  # noqa: E731


@pytest.fixture(scope="module")
def program(real: Settings) -> Path:
    return tools.find(real, "registry", Talk())


@pytest.fixture
def url(program: Path, tmp_path: Path) -> Iterator[str]:
    with embedded.running(program, tmp_path / "store", tmp_path / "work") as running:
        yield running


def image_of(cache: Path, *texts: bytes) -> oci.Image:
    named = []
    (cache / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        layer = layers.write([layers.file_entry(f"f{number}", text)], cache / "l", 1)
        (cache / "l").rename(oci.blob_path(cache, layer.digest))
        named.append(oci.NamedLayer(f"layer {number}", layer))
    created = "2026-01-01T00:00:00Z"
    return oci.image(named, platform=("linux", "amd64"), created=created, run={}, annotations={})


class Proxy:
    """Passes requests on to a registry, but fails the ones it is told to."""

    def __init__(self, server: Server, url: str) -> None:
        self.fail: Callable[[int, BaseHTTPRequestHandler], bool] = lambda number, handler: False
        self.count = 0
        server.answer = self.answer
        self.server, self.url = server, url

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.count += 1
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if self.fail(self.count, handler):
            return
        headers = {k: v for k, v in handler.headers.items() if k.lower() not in ("host", "content-length")}
        done = requests.request(handler.command, self.url + handler.path, data=body, headers=headers, timeout=30)
        handler.send_response(done.status_code)
        for key, value in done.headers.items():
            if key.lower() not in ("content-length", "transfer-encoding", "connection"):
                handler.send_header(key, value.replace(self.url, self.server.url))
        length = done.headers.get("Content-Length", "0") if handler.command == "HEAD" else str(len(done.content))
        handler.send_header("Content-Length", length)
        handler.end_headers()
        handler.wfile.write(done.content)


def answers_500(handler: BaseHTTPRequestHandler) -> None:
    reply(handler, 500, b"broken")


@pytest.mark.parametrize("fault", [answers_500, hang_up])
def test_any_one_failing_request_is_tried_again(
    server: Server, url: str, tmp_path: Path, fault: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    proxy = Proxy(server, url)
    with Registry(server.url, "x", pause=0) as registry:
        registry.push(image_of(tmp_path, b"count", b"the requests"), "v0", tmp_path, QUIET)
    requests_of_a_push = proxy.count
    assert requests_of_a_push >= 8
    for number in range(1, requests_of_a_push + 1):
        made = image_of(tmp_path, b"%d" % number, fault.__name__.encode())
        proxy.count = 0

        def once(count: int, handler: BaseHTTPRequestHandler, number: int = number) -> bool:
            if count == number:
                fault(handler)
            return count == number

        proxy.fail = once
        with Registry(server.url, "x", pause=0) as registry:
            assert registry.push(made, "v1", tmp_path, QUIET).new
        with Registry(url, "x") as registry:
            assert registry.get_manifest("v1") == made.manifest.data


@pytest.mark.parametrize("fault", [answers_500, hang_up])
def test_a_registry_that_keeps_failing_keeps_its_old_tag(
    server: Server, url: str, tmp_path: Path, fault: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    proxy = Proxy(server, url)
    old, new = image_of(tmp_path, b"old"), image_of(tmp_path, b"new")
    with Registry(server.url, "x", pause=0) as registry:
        registry.push(old, "v1", tmp_path, QUIET)
    for start in range(1, 9):
        proxy.count = 0

        def from_here(count: int, handler: BaseHTTPRequestHandler, start: int = start) -> bool:
            if count >= start:
                fault(handler)
            return count >= start

        proxy.fail = from_here
        with Registry(server.url, "x", pause=0) as registry, suppress(RegistryError):
            registry.push(new, "v1", tmp_path, QUIET)
            break
        with Registry(url, "x") as direct:
            assert direct.get_manifest("v1") == old.manifest.data
    else:
        raise AssertionError("the push never got through")
    assert start > 1


def test_a_registry_that_lies_about_a_manifest_is_caught(server: Server, url: str, tmp_path: Path) -> None:
    made = image_of(tmp_path, b"x")
    server.answer = lambda handler: reply(handler, 200, b"{}")
    with Registry(server.url, "x", pause=0) as registry, pytest.raises(RegistryError, match="other bytes"):
        registry.get_manifest(made.digest)


def test_a_refusal_is_not_retried(server: Server, tmp_path: Path) -> None:
    server.answer = lambda handler: reply(handler, 403, b"no")
    with Registry(server.url, "x", pause=0) as registry, pytest.raises(RegistryError, match="failed to"):
        registry.push(image_of(tmp_path, b"x"), "v1", tmp_path, QUIET)
    assert len(server.requests) == 1


def test_a_registry_that_can_not_start_says_why(program: Path, tmp_path: Path) -> None:
    with embedded.running(program, tmp_path / "a", tmp_path / "b") as url:
        port = int(url.rpartition(":")[2])
        second = embedded.running(program, tmp_path / "c", tmp_path / "d", port)
        with pytest.raises(RegistryError, match="did not start") as caught, second:
            pass
    assert "in use" in caught.value.why


def test_docker_pulls_what_was_pushed(
    real: Settings, inputs: pipeline.Inputs, built: pipeline.Built, url: str, docker_engine: Engine
) -> None:
    with Registry(url, "open-webui") as registry:
        pushed = registry.push(built.image, inputs.tag, real.cache, QUIET)
        again = registry.push(built.image, inputs.tag, real.cache, QUIET)
    assert (again.new, again.blobs) == (False, 0)
    try:
        pulled = docker_engine.client.images.pull(pushed.ref)
        assert pushed.ref in pulled.attrs["RepoDigests"]
        docker_engine.client.images.remove(pushed.ref)
    except DockerException as error:
        raise AssertionError(f"Docker does not take the image: {error}") from error


def test_only_what_is_new_is_sent(url: str, tmp_path: Path) -> None:
    with Registry(url, "x") as registry:
        registry.push(image_of(tmp_path, b"base", b"one"), "v1", tmp_path, QUIET)
        sent = registry.push(image_of(tmp_path, b"base", b"two"), "v2", tmp_path, QUIET)
    assert sent.blobs == 2  # a layer and the configuration


def test_two_series_make_two_tags(inputs: pipeline.Inputs) -> None:
    assert inputs.tag == f"v{inputs.lock.version}-p{len(inputs.patches)}"
    assert replace(inputs, patches=()).tag == f"v{inputs.lock.version}-p0"
