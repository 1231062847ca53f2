from __future__ import annotations

import base64
import json
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from helpers import Server, reply
from webui_fork.core.errors import RegistryError
from webui_fork.core.settings import Secret, Settings
from webui_fork.oci import auth
from webui_fork.oci.auth import Credentials
from webui_fork.oci.registry import Registry


def configured(settings: Settings, tmp_path: Path, config: object, path: str = "") -> Settings:
    folder = tmp_path / "docker"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    environ = {**settings.environ, "DOCKER_CONFIG": str(folder)}
    if path:
        environ["PATH"] = path
    return replace(settings, environ=environ)


def pair(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_nobody_is_nobody(private_settings: Settings, tmp_path: Path) -> None:
    assert auth.of(private_settings, "ghcr.io") is None
    assert auth.of(configured(private_settings, tmp_path, {"auths": {}}), "ghcr.io") is None


def test_what_docker_login_wrote_is_read_for_its_registry_only(private_settings: Settings, tmp_path: Path) -> None:
    own = configured(private_settings, tmp_path, {"auths": {"ghcr.io": {"auth": pair("me:pass:word")}}})
    credentials = auth.of(own, "ghcr.io")
    assert credentials
    assert (credentials.user, credentials.secret.reveal()) == ("me", "pass:word")
    assert "pass" not in repr(credentials)
    assert auth.of(own, "ghcr.io.example.org") is None


def test_docker_hub_s_are_under_its_old_name(private_settings: Settings, tmp_path: Path) -> None:
    own = configured(private_settings, tmp_path, {"auths": {"https://index.docker.io/v1/": {"auth": pair("a:b")}}})
    found = auth.of(own, "docker.io")
    assert found
    assert found.user == "a"


def test_a_credential_helper_is_asked(
    private_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = tmp_path / "docker-credential-mine"
    helper.write_text('#!/bin/sh\nread host\necho "{\\"Username\\": \\"<token>\\", \\"Secret\\": \\"for $host\\"}"\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    own = configured(private_settings, tmp_path, {"credHelpers": {"ghcr.io": "mine"}})
    credentials = auth.of(own, "ghcr.io")
    assert credentials
    assert credentials.token
    assert credentials.token.reveal() == "for ghcr.io"


def test_a_helper_that_is_missing_is_said(
    private_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    own = configured(private_settings, tmp_path, {"credsStore": "nowhere"})
    with pytest.raises(RegistryError, match=r"credentials for ghcr\.io can't be read") as caught:
        auth.of(own, "ghcr.io")
    assert "docker login" in caught.value.remedy


ME = Credentials("me", Secret("pw"))


def guarded(server: Server, challenge: str, good: str, token: bytes = b"{}") -> list[str]:
    """Have a registry that answers 401 with a challenge until a header is right; returns what its token server saw."""
    urls: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.startswith("/token"):
            body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0)).decode()
            urls.append(f"{handler.path} {handler.headers.get('Authorization')} {body}")
            reply(handler, 200, token)
        elif handler.headers.get("Authorization") == good:
            reply(handler, 404)
        else:
            reply(handler, 401, WWW_Authenticate=challenge)

    server.answer = answer
    return urls


def test_basic(server: Server) -> None:
    guarded(server, 'Basic realm="x"', "Basic " + pair("me:pw"))
    with Registry(server.url, "x", pause=0, credentials=ME) as registry:
        assert registry.manifest("v1") is None
        assert registry.manifest("v1") is None
    assert len(server.requests) == 3  # the first answer is kept


def test_a_token_is_fetched_for_the_scope_that_is_asked_for(server: Server) -> None:
    challenge = f'Bearer realm="{server.url}/token",service="registry",scope="repository:x:pull"'
    urls = guarded(server, challenge, "Bearer T", b'{"access_token": "T"}')
    with Registry(server.url, "x", pause=0, credentials=ME) as registry:
        assert registry.manifest("v1") is None
    assert urls == [f"/token?service=registry&scope=repository%3Ax%3Apull Basic {pair('me:pw')} "]


def test_an_identity_token_is_exchanged_and_stays_out_of_the_url(server: Server) -> None:
    challenge = f'Bearer realm="{server.url}/token",service="registry"'
    urls = guarded(server, challenge, "Bearer T", b'{"token": "T"}')
    known = Credentials("", Secret(""), Secret("identity"))
    with Registry(server.url, "x", pause=0, credentials=known) as registry:
        assert registry.manifest("v1") is None
    assert "refresh_token=identity" in urls[0]
    assert "identity" not in urls[0].split()[0]


def test_nobody_is_told_to_log_in(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 401, WWW_Authenticate='Basic realm="x"')
    with (
        Registry(server.url, "x", pause=0) as registry,
        pytest.raises(RegistryError, match="denied access") as caught,
    ):
        registry.manifest("v1")
    assert "docker login" in caught.value.remedy
    assert len(server.requests) == 1


def test_wrong_credentials_are_not_tried_again(server: Server) -> None:
    guarded(server, 'Basic realm="x"', "Basic other")
    with Registry(server.url, "x", pause=0, credentials=ME) as registry, pytest.raises(RegistryError) as caught:
        registry.manifest("v1")
    assert len(server.requests) == 2
    assert "pw" not in str(caught.value)


def test_credentials_never_go_to_a_token_server_in_the_clear(server: Server) -> None:
    guarded(server, 'Bearer realm="http://tokens.example.org/token"', "Bearer T")
    with (
        Registry(server.url, "x", pause=0, credentials=ME) as registry,
        pytest.raises(RegistryError, match="does not use https"),
    ):
        registry.manifest("v1")
