"""Real registries of the tests' own, with a lock on the door or without, and a proxy in front that misbehaves."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import bcrypt
import jwt
import requests
import trustme
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from helpers import Server, reply
from webui_fork.core.process import bound, stop
from webui_fork.oci import layout, model
from webui_fork.oci.model import Image
from webui_fork.rootfs import layers

USER, PASSWORD = "robot", "correct-horse"


@dataclass(frozen=True)
class Door:
    """How a registry lets people in: extra configuration, and the CA that its clients must trust."""

    config: str = ""
    ca: Path | None = None
    scheme: str = "http"
    http: str = ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def registry(program: Path, folder: Path, door: Door = Door()) -> Iterator[str]:
    """Run a registry; yields host:port."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = folder / "config.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'store'}}}, delete: {{enabled: true}}}}\n"
        f'http: {{addr: "127.0.0.1:{port}", secret: x{door.http}}}\n{door.config}'
    )
    log = folder / "log"
    env = {"PATH": "/usr/bin:/bin", "OTEL_TRACES_EXPORTER": "none"}
    with log.open("wb") as sink:
        child = subprocess.Popen(bound([program, "serve", config]), stdout=sink, stderr=sink, env=env)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                requests.get(
                    f"{door.scheme}://127.0.0.1:{port}/v2/", timeout=2, verify=str(door.ca) if door.ca else True
                )
                break
            except requests.RequestException:
                assert child.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.02)
        yield f"127.0.0.1:{port}"
    finally:
        stop(child)


def with_password(folder: Path) -> Door:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "htpasswd"
    file.write_bytes(f"{USER}:".encode() + bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)) + b"\n")
    return Door(f"auth: {{htpasswd: {{realm: test, path: {file}}}}}\n")


def with_tls(folder: Path) -> Door:
    """A certificate of a CA that nobody knows."""
    folder.mkdir(parents=True, exist_ok=True)
    ca = trustme.CA()
    own = ca.issue_cert("127.0.0.1")
    ca.cert_pem.write_to_path(folder / "ca.pem")
    own.private_key_pem.write_to_path(folder / "key.pem")
    for blob in own.cert_chain_pems:
        blob.write_to_path(folder / "cert.pem", append=True)
    tls = f", tls: {{certificate: {folder / 'cert.pem'}, key: {folder / 'key.pem'}}}"
    return Door(ca=folder / "ca.pem", scheme="https", http=tls)


def with_tokens(folder: Path, server: Server) -> Door:
    """Tokens as the distribution project describes them: signed by a key that the registry knows, for one scope."""
    folder.mkdir(parents=True, exist_ok=True)
    issuer = trustme.CA()
    cert = issuer.issue_cert("127.0.0.1")
    issuer.cert_pem.write_to_path(folder / "root.pem")
    key = load_pem_private_key(cert.private_key_pem.bytes(), None)
    chain = [base64.b64encode(ssl.PEM_cert_to_DER_cert(pem.bytes().decode())).decode() for pem in cert.cert_chain_pems]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        given = handler.headers.get("Authorization", "").removeprefix("Basic ")
        if base64.b64decode(given) != f"{USER}:{PASSWORD}".encode():
            return reply(handler, 401, b"{}")
        scopes = parse_qs(urlsplit(handler.path).query).get("scope", [])
        access = [
            dict(zip(("type", "name", "actions"), (*scope.split(":")[:2], scope.split(":")[2].split(",")), strict=True))
            for scope in scopes
        ]
        now = int(time.time())
        claims = {
            "iss": "test",
            "sub": USER,
            "aud": "registry",
            "exp": now + 300,
            "nbf": now - 5,
            "iat": now,
            "jti": "1",
        }
        token = jwt.encode({**claims, "access": access}, key, algorithm="ES256", headers={"x5c": chain})  # type: ignore[arg-type]
        return reply(handler, 200, json.dumps({"token": token}).encode())

    server.answer = answer
    config = f"realm: {server.url}/token, service: registry, issuer: test, rootcertbundle: {folder / 'root.pem'}"
    return Door(f"auth: {{token: {{{config}}}}}\n")


def docker_login(folder: Path, host: str, user: str = USER, password: str = PASSWORD) -> Path:
    """Write what `docker login` writes; returns the folder for DOCKER_CONFIG."""
    folder.mkdir(parents=True, exist_ok=True)
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return folder


Fault = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Proxy:
    """Passes requests on to a registry, but for the ones that a test fails, or whose answer it changes."""

    server: Server
    upstream: str
    fail: Callable[[int, BaseHTTPRequestHandler], bool] = lambda number, handler: False
    change: Callable[[str, bytes], bytes] = lambda path, body: body
    count: int = 0
    seen: list[str] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.server.answer = self.answer

    @property
    def host(self) -> str:
        return self.server.url.removeprefix("http://")

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        with self.guard:
            self.count += 1
            number = self.count
            self.seen.append(f"{handler.command} {handler.path}")
        if self.fail(number, handler):
            return
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {
            k: v for k, v in handler.headers.items() if k.lower() not in ("host", "content-length", "accept-encoding")
        }
        headers["Accept-Encoding"] = "identity"
        with requests.Session() as http:
            http.trust_env = False
            done = http.request(handler.command, self.upstream + handler.path, data=body, headers=headers, timeout=60)
        content = self.change(handler.path, done.content)
        handler.send_response(done.status_code)
        for key, value in done.headers.items():
            if key.lower() not in ("content-length", "transfer-encoding", "connection"):
                handler.send_header(key, value.replace(self.upstream, self.server.url))
        length = done.headers.get("Content-Length", "0") if handler.command == "HEAD" else str(len(content))
        handler.send_header("Content-Length", length)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(content)


def answers_500(handler: BaseHTTPRequestHandler) -> None:
    # what was sent stays unread: on one connection it would be taken for the next request
    handler.close_connection = True
    reply(handler, 500, b"broken", Connection="close")


def image_of(cache: Path, *texts: bytes, **annotations: str) -> Image:
    """Make a small image whose layers' blobs are in a cache."""
    named = []
    (cache / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        layer = layers.write([layers.file_entry(f"f{number}", text)], cache / "l", 1)
        (cache / "l").rename(layout.blob_path(cache, layer.digest))
        named.append(model.NamedLayer(f"layer {number}", layer))
    created = "2026-01-01T00:00:00Z"
    return model.image(named, platform=("linux", "amd64"), created=created, run={}, annotations=annotations)


def noise(size: int) -> bytes:
    """Return bytes that do not compress, the same every time."""
    return hashlib.shake_256(b"noise").digest(size)


def tags_of(host: str, name: str) -> dict[str, str]:
    """Ask a registry by hand what its tags name: tag to digest."""
    base = f"http://{host}/v2/{name}"
    listed: Any = requests.get(f"{base}/tags/list", timeout=10).json().get("tags") or []
    accept = {"Accept": f"{model.MANIFEST}, {model.INDEX}"}
    return {
        tag: requests.head(f"{base}/manifests/{tag}", headers=accept, timeout=10).headers["Docker-Content-Digest"]
        for tag in listed
    }
