from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler

import pytest

from helpers import Server, reply
from webui_fork.core.digest import Digest
from webui_fork.core.errors import RegistryError
from webui_fork.core.settings import Secret
from webui_fork.oci.auth import Credentials
from webui_fork.oci.model import Blob
from webui_fork.oci.registry import Registry

ME = Credentials("me", Secret("pw"))

BASIC = 'Basic realm="x"'


def test_credentials_go_to_the_registry_and_nowhere_else(server: Server) -> None:
    with Server() as other:

        def asks_for_a_password(handler: BaseHTTPRequestHandler) -> None:
            handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
            reply(handler, 401, WWW_Authenticate=BASIC)

        other.answer = asks_for_a_password

        def answer(handler: BaseHTTPRequestHandler) -> None:
            if not handler.headers.get("Authorization"):
                reply(handler, 401, WWW_Authenticate=BASIC)
            elif handler.path.endswith("/tags/list"):
                reply(handler, 200, b'{"tags": ["a"]}', Link=f'<{other.url}/v2/x/tags/list>; rel="next"')
            elif handler.command == "POST":
                reply(handler, 202, Location=f"{other.url}/upload")
            else:
                reply(handler, 307, Location=f"{other.url}/elsewhere")

        server.answer = answer
        with Registry(server.url, "x", pause=0, credentials=ME) as registry:
            with pytest.raises(RegistryError, match="lead elsewhere"):
                registry.tags()
            with pytest.raises(RegistryError):
                registry.put_blob(Blob("x", b"data"))
            with pytest.raises(RegistryError):
                registry.manifest("v1")
            with pytest.raises(RegistryError):
                b"".join(registry.blob(Digest.of_hex("0" * 64)))
        assert len(other.requests) >= 3
        assert not [headers for _, _, headers in other.requests if "Authorization" in headers]


@pytest.mark.parametrize(
    ("url", "own"),
    [("https://reg.example/x", True), ("https://REG.example:443/x", True), ("http://reg.example/x", False),
     ("https://reg.example:444/x", False), ("https://reg.example.evil/x", False), ("https://u@evil/x", False)],
)  # fmt: skip
def test_the_registry_s_own_address_has_several_forms(url: str, own: bool) -> None:
    with Registry("https://Reg.example", "x") as registry:
        assert registry.session.own(url) is own


def test_a_token_may_come_in_pieces_and_for_several_scopes(server: Server) -> None:
    token = "t" * 9000

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.startswith("/token"):
            body = json.dumps({"token": token}).encode()
            handler.send_response(200)
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            for part in (body[:100], body[100:], b""):
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        elif handler.headers.get("Authorization") == f"Bearer {token}":
            reply(handler, 404)
        else:
            challenge = f'Bearer realm="{server.url}/token",scope="repository:a:pull repository:b:pull,push"'
            reply(handler, 401, WWW_Authenticate=challenge)

    server.answer = answer
    with Registry(server.url, "x", pause=0, credentials=ME) as registry:
        assert registry.manifest("v1") is None
    (asked,) = [path for _, path, _ in server.requests if path.startswith("/token")]
    assert asked.count("scope=") == 2


def test_no_cookie_is_kept(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 404, Set_Cookie="sid=1")
    with Registry(server.url, "x", pause=0) as registry:
        assert registry.manifest("a") is registry.manifest("b") is None
    assert not [headers for _, _, headers in server.requests if "Cookie" in headers]


def test_a_token_server_that_redirects_gets_nobody_s_secret_carried_on(server: Server) -> None:
    with Server() as other:
        other.answer = lambda handler: reply(handler, 200, b'{"token": "t"}')

        def answer(handler: BaseHTTPRequestHandler) -> None:
            if handler.path.startswith("/token"):
                reply(handler, 307, Location=f"{other.url}/token")
            else:
                reply(handler, 401, WWW_Authenticate=f'Bearer realm="{server.url}/token"')

        server.answer = answer
        known = Credentials("", Secret(""), Secret("identity"))
        with Registry(server.url, "x", pause=0, credentials=known) as registry, pytest.raises(RegistryError):
            registry.manifest("v1")
        assert other.requests == []
