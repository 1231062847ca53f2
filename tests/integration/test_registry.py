"""Pushing to a real registry through a proxy that fails on purpose."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from docker.errors import DockerException

from helpers import Server, hang_up, reply
from registries import Proxy, answers_500, docker_login, image_of, noise, registry, with_password, with_tls, with_tokens
from webui_fork.config import reference
from webui_fork.core.errors import RegistryError
from webui_fork.core.files import sha256_bytes, sha256_file
from webui_fork.core.settings import Settings
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
from webui_fork.oci import connect, content, local_registry, transfer
from webui_fork.oci.engine import Engine
from webui_fork.oci.registry import Registry

QUIET = transfer.quiet


@pytest.fixture
def url(program: Path, tmp_path: Path) -> Iterator[str]:
    with local_registry.running(program, tmp_path / "store", tmp_path / "work") as running:
        yield running


@pytest.mark.parametrize("fault", [answers_500, hang_up])
def test_any_one_failing_request_is_tried_again(
    server: Server, url: str, tmp_path: Path, fault: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    proxy = Proxy(server, url)
    with Registry(server.url, "x", pause=0) as registry:
        transfer.push(registry, image_of(tmp_path, b"count", b"the requests"), "v0", tmp_path, QUIET)
    requests_of_a_push = proxy.count
    assert requests_of_a_push >= 8
    for number in range(1, requests_of_a_push + 1):
        image = image_of(tmp_path, b"%d" % number, fault.__name__.encode())
        proxy.count = 0

        def once(count: int, handler: BaseHTTPRequestHandler, number: int = number) -> bool:
            if count == number:
                fault(handler)
            return count == number

        proxy.fail = once
        with Registry(server.url, "x", pause=0) as registry:
            assert transfer.push(registry, image, "v1", tmp_path, QUIET).new
        with Registry(url, "x") as registry:
            assert registry.manifest("v1") == image.manifest


@pytest.mark.parametrize("fault", [answers_500, hang_up])
def test_a_registry_that_keeps_failing_keeps_its_old_tag(
    server: Server, url: str, tmp_path: Path, fault: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    proxy = Proxy(server, url)
    old, new = image_of(tmp_path, b"old"), image_of(tmp_path, b"new")
    with Registry(server.url, "x", pause=0) as registry:
        transfer.push(registry, old, "v1", tmp_path, QUIET)
    for start in range(1, 9):
        proxy.count = 0

        def from_here(count: int, handler: BaseHTTPRequestHandler, start: int = start) -> bool:
            if count >= start:
                fault(handler)
            return count >= start

        proxy.fail = from_here
        with Registry(server.url, "x", pause=0) as registry, suppress(RegistryError):
            transfer.push(registry, new, "v1", tmp_path, QUIET)
            break
        with Registry(url, "x") as direct:
            assert direct.manifest("v1") == old.manifest
    else:
        raise AssertionError("the push never got through")
    assert start > 1


def test_a_registry_that_lies_about_a_manifest_is_caught(server: Server, url: str, tmp_path: Path) -> None:
    image = image_of(tmp_path, b"x")
    server.answer = lambda handler: reply(handler, 200, b"{}")
    with Registry(server.url, "x", pause=0) as registry, pytest.raises(RegistryError, match="other bytes"):
        registry.manifest(image.digest)


def test_a_refusal_is_not_retried(server: Server, tmp_path: Path) -> None:
    server.answer = lambda handler: reply(handler, 403, b"no")
    with Registry(server.url, "x", pause=0) as registry, pytest.raises(RegistryError, match="denied access"):
        transfer.push(registry, image_of(tmp_path, b"x"), "v1", tmp_path, QUIET)
    assert len(server.requests) == 1


def test_a_registry_that_can_not_start_says_why(program: Path, tmp_path: Path) -> None:
    with local_registry.running(program, tmp_path / "a", tmp_path / "b") as url:
        port = int(url.rpartition(":")[2])
        second = local_registry.running(program, tmp_path / "c", tmp_path / "d", port)
        with pytest.raises(RegistryError, match="did not start") as caught, second:
            pass
    assert "in use" in caught.value.why


def test_docker_pulls_what_was_pushed(
    real: Settings, inputs: image_inputs.Inputs, built: pipeline.Built, url: str, docker_engine: Engine
) -> None:
    with Registry(url, "open-webui") as registry:
        pushed = transfer.push(registry, built.image, inputs.tag, real.cache, QUIET)
        again = transfer.push(registry, built.image, inputs.tag, real.cache, QUIET)
    assert (again.new, again.blobs) == (False, 0)
    try:
        pulled = docker_engine.client.images.pull(pushed.ref)
        assert pushed.ref in pulled.attrs["RepoDigests"]
        docker_engine.client.images.remove(pushed.ref)
    except DockerException as error:
        raise AssertionError(f"Docker does not take the image: {error}") from error


def test_only_what_is_new_is_sent(url: str, tmp_path: Path) -> None:
    with Registry(url, "x") as registry:
        transfer.push(registry, image_of(tmp_path, b"base", b"one"), "v1", tmp_path, QUIET)
        sent = transfer.push(registry, image_of(tmp_path, b"base", b"two"), "v2", tmp_path, QUIET)
    assert sent.blobs == 2  # a layer and the configuration


# --- who we are, and whom we trust


def pushed_to(settings: Settings, name: str, tmp_path: Path) -> None:
    image = image_of(tmp_path, b"who", b"are you")
    with connect.connect(settings, reference.parse(name), pause=0) as target:
        transfer.push(target, image, "v1", tmp_path, QUIET)
        assert target.manifest("v1") == image.manifest
        assert b"".join(target.blob(image.layers[0].layer.digest))


def as_user(settings: Settings, tmp_path: Path, host: str, **environ: str) -> Settings:
    config = str(docker_login(tmp_path / "docker", host))
    return replace(settings, environ={**settings.environ, "DOCKER_CONFIG": config, **environ})


def test_a_password_is_taken_from_the_docker_configuration(program: Path, real: Settings, tmp_path: Path) -> None:
    with registry(program, tmp_path / "r", with_password(tmp_path / "auth")) as host:
        with pytest.raises(RegistryError, match="denied access"):
            pushed_to(replace(real, environ={**real.environ, "DOCKER_CONFIG": "/nowhere"}), f"{host}/x", tmp_path)
        pushed_to(as_user(real, tmp_path, host), f"{host}/x", tmp_path)


def test_a_token_is_fetched_from_the_registry_s_own_server(
    program: Path, real: Settings, server: Server, tmp_path: Path
) -> None:
    with registry(program, tmp_path / "r", with_tokens(tmp_path / "auth", server)) as host:
        pushed_to(as_user(real, tmp_path, host), f"{host}/x", tmp_path)
    # the registry asks for them in either order
    asked = {frozenset(path.rpartition("%3A")[2].split("%2C")) for _, path, _ in server.requests}
    assert {frozenset({"pull"}), frozenset({"pull", "push"})} <= asked


def test_a_private_ca_is_trusted_when_it_is_named_and_not_before(program: Path, real: Settings, tmp_path: Path) -> None:
    door = with_tls(tmp_path / "tls")
    with registry(program, tmp_path / "r", door) as host:
        with pytest.raises(RegistryError, match="is not trusted") as caught:
            pushed_to(replace(real, environ={"HOME": str(tmp_path), "PATH": "/usr/bin"}), f"{host}/x", tmp_path)
        assert "SSL_CERT_FILE" in caught.value.remedy
        pushed_to(replace(real, environ={**real.environ, "SSL_CERT_FILE": str(door.ca)}), f"{host}/x", tmp_path)
        certs = tmp_path / "home/.docker/certs.d" / host
        certs.mkdir(parents=True)
        assert door.ca
        (certs / "ca.crt").write_bytes(door.ca.read_bytes())
        pushed_to(replace(real, environ={"HOME": str(tmp_path / "home"), "PATH": "/usr/bin"}), f"{host}/y", tmp_path)


# --- large blobs, and registries in a bad mood


def test_a_blob_is_taken_over_from_another_repository_of_the_same_registry(url: str, tmp_path: Path) -> None:
    image = image_of(tmp_path, b"base", b"top")
    with Registry(url, "a") as one, Registry(url, "b") as other:
        transfer.push(one, image, "v1", tmp_path, QUIET)
        count, sent, mounted = transfer.send(other, image, transfer.in_cache(tmp_path), QUIET, ["nowhere", "a"])
        assert (count, mounted) == (1, 2)  # the configuration is sent
        assert sent == len(image.config.data)
        assert b"".join(other.blob(image.layers[0].layer.digest))


def test_an_upload_that_breaks_ends_whole(server: Server, url: str, tmp_path: Path) -> None:
    """docker-registry 2.8 refuses to go on within a broken PATCH (416), so it is sent again from the start."""
    file = tmp_path / "blob"
    file.write_bytes(noise(24 << 20))
    taken = 0

    def breaks(count: int, handler: BaseHTTPRequestHandler) -> bool:
        """Pass 9 MiB of the first PATCH on by hand, then hang up: to the registry a client that went away."""
        nonlocal taken
        if handler.command != "PATCH" or taken:
            return False
        taken = 9 << 20
        part = handler.rfile.read(taken)
        host, _, port = url.removeprefix("http://").partition(":")
        head = [f"PATCH {handler.path} HTTP/1.1", "Host: x", "Content-Type: application/octet-stream"]
        head.append(f"Content-Length: {handler.headers['Content-Length']}")
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall("\r\n".join([*head, "", ""]).encode() + part)
            time.sleep(0.5)
        hang_up(handler)
        return True

    Proxy(server, url).fail = breaks
    digest = sha256_file(file)
    seen: list[int] = []
    with Registry(server.url, "x", pause=0.3) as there:
        there.put(digest, content.FileContent(file), seen.append)
    assert taken
    assert sum(seen) == file.stat().st_size
    with Registry(url, "x") as direct:
        assert sha256_bytes(b"".join(direct.blob(digest))) == digest


def test_an_upload_goes_on_where_it_stopped_if_the_registry_can(server: Server, tmp_path: Path) -> None:
    """The distribution specification's way, which no registry at hand implements: one that does stands in."""
    file = tmp_path / "blob"
    file.write_bytes(noise(24 << 20))
    kept = bytearray()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        if handler.command == "POST":
            reply(handler, 202, Location="/v2/x/blobs/uploads/1?state=0")
        elif handler.command == "GET":
            reply(handler, 204, Range=f"0-{len(kept) - 1}", Location=f"/v2/x/blobs/uploads/1?state={len(kept)}")
        elif handler.command == "PATCH" and not kept:
            kept.extend(handler.rfile.read(9 << 20))
            hang_up(handler)
        elif handler.command == "PATCH":
            assert handler.headers["Content-Range"] == f"{len(kept)}-{len(kept) + length - 1}"
            assert handler.path.endswith(f"state={len(kept)}")
            kept.extend(handler.rfile.read(length))
            reply(handler, 202, Location="/v2/x/blobs/uploads/1?state=end")
        else:
            reply(handler, 201 if sha256_bytes(bytes(kept)) in handler.path else 400)

    server.answer = answer
    seen: list[int] = []
    with Registry(server.url, "x", pause=0) as there:
        there.put(sha256_file(file), content.FileContent(file), seen.append)
    sent = [int(headers["Content-Length"]) for method, _, headers in server.requests if method == "PATCH"]
    assert sent == [24 << 20, 15 << 20]
    assert sum(seen) == 24 << 20


def test_a_download_that_breaks_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    data = noise(3 << 20)
    digest = sha256_bytes(data)
    starts: list[int] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        start = int((handler.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        starts.append(start)
        part = data[start : start + (1 << 20) + 5]
        reply(handler, 206 if start else 200, part, length=len(data) - start)

    server.answer = answer
    with Registry(server.url, "x", pause=0) as registry_:
        assert b"".join(registry_.blob(digest)) == data
    assert starts == sorted(starts)
    assert starts[0] < starts[1] < starts[2]


def test_a_registry_that_asks_for_patience_gets_it(server: Server, tmp_path: Path) -> None:
    times: list[float] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        times.append(time.monotonic())
        if len(times) == 1:
            reply(handler, 429, b"slow down", Retry_After="1")
        else:
            reply(handler, 404)

    server.answer = answer
    with Registry(server.url, "x", pause=0) as registry_:
        assert registry_.manifest("v1") is None
    assert times[1] - times[0] >= 0.9


def test_bytes_that_are_not_the_digest_s_are_never_kept(url: str, tmp_path: Path) -> None:
    for size in (10, 6 << 20):
        file = tmp_path / "blob"
        file.write_bytes(noise(size))
        digest = sha256_file(file)
        file.write_bytes(noise(size)[:-1] + b"x")
        with Registry(url, "x", pause=0) as registry_:
            with pytest.raises(RegistryError):
                registry_.put(digest, content.FileContent(file))
            assert not registry_.has("blobs", digest)


def test_many_tags_are_read_page_by_page(server: Server) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if "last=b" in handler.path:
            reply(handler, 200, b'{"tags": ["c"]}')
        else:
            reply(handler, 200, b'{"tags": ["a", "b"]}', Link='</v2/x/tags/list?last=b>; rel="next"')

    server.answer = answer
    with Registry(server.url, "x") as registry_:
        assert registry_.tags() == ("a", "b", "c")
