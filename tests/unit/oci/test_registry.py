from __future__ import annotations

import json
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from helpers import Server, hang_up, reply
from webui_fork.config import reference as reference_module
from webui_fork.core.digest import Digest
from webui_fork.core.errors import ForkError, RegistryError
from webui_fork.core.settings import Secret, Settings
from webui_fork.oci import connect, model, reader, session
from webui_fork.oci import registry as oci_registry
from webui_fork.oci.auth import Credentials
from webui_fork.oci.model import Blob
from webui_fork.oci.registry import Registry
from webui_fork.trust import cosign, provenance, verify
from webui_fork.trust.cosign import Attested
from webui_fork.trust.keys import Verifier

ME = Credentials("me", Secret("pw"))


def test_a_mount_that_may_not_be_is_none(server: Server) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.startswith("/token"):
            reply(handler, 403)
        else:
            reply(handler, 401, WWW_Authenticate=f'Bearer realm="{server.url}/token"')

    server.answer = answer
    with Registry(server.url, "x", pause=0, credentials=ME) as registry:
        assert not registry.mount(Digest.of_hex("0" * 64), "other")


def test_a_link_that_is_no_address_is_an_error_in_words(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 200, b'{"tags": []}', Link='<http://[x>; rel="next"')
    with Registry(server.url, "x", pause=0) as registry, pytest.raises(RegistryError, match="lead elsewhere"):
        registry.tags()


def test_a_base_s_blob_is_never_longer_than_it_says(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 200, b"0123456789PUT /evil")
    with Registry(server.url, "x", pause=0) as registry, pytest.raises(RegistryError, match="more than the 10 bytes"):
        b"".join(oci_registry.BlobContent(registry, Digest.of_hex("0" * 64), 10).read(0))


def test_a_list_of_tags_that_never_ends_is_ended(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 200, b'{"tags": ["a"]}', Link='</v2/x/tags/list>; rel="next"')
    with Registry(server.url, "x", pause=0) as registry, pytest.raises(RegistryError, match="no list of tags"):
        registry.tags()
    assert len(server.requests) == 1


def test_pages_of_tags_without_end_are_ended(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oci_registry, "_TAGS", 500)
    pages = iter(range(1_000_000))
    tags = json.dumps({"tags": [f"t{number}" for number in range(100)]}).encode()
    server.answer = lambda handler: reply(handler, 200, tags, Link=f'</v2/x/tags/list?last={next(pages)}>; rel="next"')
    with Registry(server.url, "x", pause=0) as registry, pytest.raises(RegistryError, match="no list of tags"):
        registry.tags()
    assert len(server.requests) == 6


def test_what_is_no_tag_is_none(server: Server) -> None:
    body = json.dumps({"tags": ["v1", "../x", "a b", "\u202e", "", "x" * 129, 5, None]}).encode()
    server.answer = lambda handler: reply(handler, 200, body)
    with Registry(server.url, "x", pause=0) as registry:
        assert registry.tags() == ("v1",)


@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_that_drips_is_ended(server: Server, monkeypatch: pytest.MonkeyPatch, chunked: bool) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", "1000")))
        handler.end_headers()
        with suppress(OSError):
            for _ in range(1000):
                handler.wfile.write(b"1\r\n{\r\n" if chunked else b"{")
                handler.wfile.flush()
                time.sleep(0.02)

    monkeypatch.setattr(session, "WHOLE", 0.3)
    server.answer = drip
    start = time.monotonic()
    with Registry(server.url, "x", pause=0) as registry, pytest.raises(RegistryError, match="does not stop"):
        registry.tags()
    assert time.monotonic() - start < 15


@pytest.mark.parametrize(
    ("url", "why"),
    [("http://127.0.0.1:9", "nothing listens there"), ("http://nobody.invalid", "its name does not resolve")],
)
def test_a_registry_that_nobody_is_at_is_another_error_than_one_that_fails(url: str, why: str) -> None:
    """Whoever mistyped a name does not want to hear of a log and a disk."""
    with Registry(url, "x", pause=0) as registry, pytest.raises(RegistryError, match="can't be reached") as caught:
        registry.manifest("latest")
    assert "Is the reference right" in caught.value.remedy
    assert why in caught.value.why


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    with suppress(OSError):  # nobody reads it to its end
        for _ in range(64):
            handler.wfile.write(bytes(1 << 20))
        hang_up(handler)


def test_an_answer_that_never_ends_is_not_read_to_its_end(server: Server) -> None:
    server.answer = endless
    with Registry(server.url, "x", pause=0) as registry:
        with pytest.raises(RegistryError, match="does not stop answering"):
            registry.manifest("v1")
        with pytest.raises(RegistryError, match="sends more than the 100 bytes"):
            registry.small_blob(model.Descriptor("x", Digest.of_hex("0" * 64), 100))


DEEP = b"[" * 100_000

HOSTILE = [
    b"{}", b"[]", b"5", b"null", b"", b"\xff", DEEP, b'{"config": 5}', b'{"manifests": 5}', b'{"manifests": [5]}',
    b'{"manifests": [{"digest": "sha256:/../../etc", "size": 1, "mediaType": "x"}]}',
    b'{"manifests": [{"digest": 5}], "mediaType": "application/vnd.oci.image.index.v1+json"}',
    b'{"config": {"mediaType": "x", "digest": "sha256:' + b"0" * 64 + b'", "size": -1}}',
    b'{"config": {"mediaType": "x", "digest": "sha256:' + b"0" * 64 + b'", "size": 1e400}}',
    b'{"mediaType": 5, "layers": {}}',
]  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE)
def test_a_malformed_manifest_is_an_error_in_words(
    server: Server, private_settings: Settings, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if it were signed: what is read must stand on its own."""
    claim = provenance.Claim("1.2.3", "v1.2.3-p1", "", "", "", "x", "0" * 64, (), (), (), "", False, "")
    monkeypatch.setattr(cosign, "verify", lambda *_: cosign.Verification(True))
    monkeypatch.setattr(cosign, "attested", lambda *_: Attested(({},)))
    monkeypatch.setattr(provenance, "read", lambda _: claim)
    server.answer = lambda handler: reply(handler, 200, body)
    name = server.url.removeprefix("http://")
    who = Verifier(Path("/bin/false"), 2, "key")
    with pytest.raises(ForkError), reader.opened(private_settings, f"{name}/x:v1") as found:
        verify.run(private_settings, found, who)
    with connect.connect(private_settings, reference_module.parse(f"{name}/x:v1"), pause=0) as registry:
        assert registry.tags() == ()


@pytest.mark.parametrize("header", ["\u00b2", "soon", "-1", "1" * 400, "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_an_odd_retry_after_is_no_reason_to_fail(server: Server, header: str) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if len(server.requests) == 1:
            handler.send_response_only(503)
            handler.wfile.write(b"")
            handler.send_header("Retry-After", header.encode().decode("latin-1"))
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        else:
            reply(handler, 404)

    server.answer = answer
    with Registry(server.url, "x", pause=0) as registry:
        assert registry.manifest("v1") is None


@pytest.mark.parametrize("location", ["", "http://[x", "//"])
def test_an_upload_without_a_place_is_an_error_in_words(server: Server, location: str) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if location:
            reply(handler, 202, Location=location)
        else:
            reply(handler, 202)

    server.answer = answer
    with Registry(server.url, "x", pause=0) as registry, pytest.raises(RegistryError):
        registry.put_blob(Blob("x", b"data"))


def test_what_a_registry_says_can_not_paint_on_the_terminal(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 400, b'{"errors": [{"code": "\\u001b[2J", "message": "Verified."}]}')
    with Registry(server.url, "x", pause=0) as registry, pytest.raises(RegistryError) as caught:
        registry.manifest("v1")
    assert "\x1b" not in str(caught.value)
