"""Open WebUI and the provider of every fault as processes on loopback: an image's own files, without a container.

A start takes about five seconds. What the image has beside Python (its entry point, its users, its health check)
is not there: the tests of the image run it as a container.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

import forked
import shared
from sites import Connections, Session, fault
from webui_fork.core import process
from webui_fork.oci import unpack

PROVIDER = Path(__file__).parents[1] / "assets/provider.py"
START = 240.0  # seconds
PACKAGES = "usr/local/lib/python3.11/dist-packages"
# upstream's own of a container, and nothing that reaches out
_ENV = {
    "ANONYMIZED_TELEMETRY": "false",
    "DO_NOT_TRACK": "true",
    "ENABLE_OLLAMA_API": "False",
    "ENV": "prod",
    "HF_HUB_OFFLINE": "1",
    "OFFLINE_MODE": "true",
    "OPENAI_API_BASE_URL": "",
    "PYTHONUNBUFFERED": "1",
    "SCARF_NO_ANALYTICS": "true",
    "USE_SLIM_DOCKER": "true",
    "WEBUI_SECRET_KEY": "of-these-tests-alone",
}


@dataclass(frozen=True)
class Provider:
    """The provider of every fault, at a loopback port."""

    host: str

    @property
    def good(self) -> str:
        """The base URL of one that does all right."""
        return self.fault("fine")

    def fault(self, name: str, slot: str = "openai") -> str:
        """Return the base URL of a fault."""
        return fault(name, slot, self.host)

    def script(self, name: str, slot: str = "openai", **script: Any) -> str:
        """Have it answer in a way of the test's own; return the base URL.

        Args:
            name: a name of the test's, in place of a fault's.
            slot: of which kind the URL is.
            script: `body` (any JSON), `status` ("500 Internal Server Error"), `headers`, `wait` (seconds), `hang_up`,
                `pad` (so many letters in place of @pad@), `only` (what a path has that is not a 404).
        """
        told = base64.urlsafe_b64encode(json.dumps(script).encode()).decode()
        requests.get(f"http://{self.host}/set/{name}/{told}", timeout=10).raise_for_status()
        return self.fault(name, slot)

    def asked(self) -> list[str]:
        """Return the requests it had, as they came."""
        answer = requests.get(f"http://{self.host}/requests", timeout=10).json()
        return [str(request) for request in answer]

    def lists(self, name: str) -> int:
        """Return how often the models of a fault were asked for."""
        ends = (f"/f/{name}/v1/models ", f"/f/{name}/api/tags ")
        return sum(any(end in request for end in ends) for request in self.asked())


@dataclass(frozen=True, kw_only=True)
class Site(Session):
    """One that is a process of this machine."""

    child: subprocess.Popen[bytes]
    data: Path

    def sql(self, statement: str, *values: Any) -> None:
        """Change the database behind the server's back."""
        with closing(sqlite3.connect(self.data / "webui.db", timeout=20)) as db, db:
            db.execute(statement, values)

    def memory(self) -> float:
        """Return its resident memory in MiB."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def log(self) -> str:
        """Return what it wrote so far."""
        return (self.data / "log").read_text(errors="replace")


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def python(tree: Path, *arguments: str | Path, env: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Run the image's own Python and packages, for a minute at most; return its output and its errors."""
    argv = [*unpack.python((tree / "root").resolve()), *arguments]
    own = {"PYTHONHOME": str(tree / "root/usr"), "PYTHONPATH": str(tree / "root" / PACKAGES), **(env or {})}
    done = subprocess.run(argv, env=own, capture_output=True, text=True, timeout=60)
    assert not done.returncode, done.stderr
    return done.stdout, done.stderr


def _environment(tree: Path, data: Path, env: Mapping[str, str]) -> dict[str, str]:
    root = tree / "root"
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(data),
        **_ENV,
        "DATA_DIR": str(data),
        "PYTHONHOME": str(root / "usr"),
        "PYTHONPATH": f"{tree / 'backend'}:{root / PACKAGES}",
        "STATIC_DIR": str(data / "static"),
        "TIKTOKEN_CACHE_DIR": str(data / "tiktoken"),
        "WEBUI_AUTH": "False",
        **env,
    }


def serve_forks(tree: Path) -> str:
    """Have a server from which trees with the packages of this one are forked while the run lasts; return its address.

    Args:
        tree: what to learn from what there is to import.
    """
    root = (tree / "root").resolve()
    environment = {**_environment(tree, shared.folder(), {}), "PYTHONPATH": str(root / PACKAGES)}
    return forked.start(unpack.python(root), environment, tree)


def _launch(tree: Path, data: Path, env: Mapping[str, str], port: int, before: Path | None) -> subprocess.Popen[bytes]:
    (data / "static").mkdir(parents=True, exist_ok=True)
    environment = _environment(tree, data, env)
    words = ["open_webui.main:app", "--host", "127.0.0.1", "--port", str(port)]
    if forked.available(tree) and not before and not forked.READ_EARLY & env.keys():
        child = forked.launch(tree, environment, words, data)
    else:
        if before:
            environment["PYTHONPATH"] = f"{before}:{environment['PYTHONPATH']}"
        argv = [*unpack.python((tree / "root").resolve()), "-m", "uvicorn", *words]
        with (data / "log").open("ab") as log:
            child = subprocess.Popen(process.bound(argv), cwd=tree / "backend", env=environment, stdout=log, stderr=log)
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and child.poll() is None:
        try:
            if requests.get(f"http://127.0.0.1:{port}/health", timeout=5).ok:
                return child
        except requests.RequestException:
            time.sleep(0.1)
    process.stop(child, grace=1)
    raise AssertionError((data / "log").read_text(errors="replace")[-4000:])


@contextmanager
def webui(
    tree: Path,
    *,
    env: Mapping[str, str] | None = None,
    auth: bool = False,
    signed: bool = True,
    data: Path | None = None,
    before: Path | None = None,
) -> Iterator[Site]:
    """Run the Open WebUI of a tree; its connections are set by `Site.connect`.

    Args:
        tree: a folder of :func:`webui_fork.oci.unpack.tree`.
        env: settings beyond those of every test.
        auth: with accounts, of which the first is made.
        signed: False leaves signing in to the caller.
        data: its data folder, which stays; without one it has a new one.
        before: a folder of modules that Python finds first, such as a `sitecustomize.py`.
    """
    with ExitStack() as stack:
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="webui-fork-data-")))
        env = {**(env or {}), "WEBUI_AUTH": str(auth)}
        port = free_port()
        child = _launch(tree, folder, env, port, before)
        stack.callback(process.stop, child, grace=5)
        site = Site(url=f"http://127.0.0.1:{port}", token="", child=child, data=folder)
        yield site.signed_in(auth=auth) if signed else site


@contextmanager
def provider(port: int | None = None) -> Iterator[Provider]:
    """Run the provider of every fault."""
    port = port or free_port()
    argv = [sys.executable, str(PROVIDER), str(port)]
    child = subprocess.Popen(process.bound(argv), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert child.stdout
    try:
        assert b"ready" in child.stdout.readline()
        yield Provider(f"127.0.0.1:{port}")
    finally:
        process.stop(child, grace=1)
        child.stdout.close()


@contextmanager
def site(tree: Path, *, openai: Connections = (), ollama: Connections = (), **options: Any) -> Iterator[Site]:
    """Run Open WebUI with connections; `options` are those of :func:`webui`."""
    with webui(tree, **options) as running:
        running.connect(openai, ollama)
        yield running


def age(file: Path, seconds: float) -> None:
    """Have a file look so much older."""
    at = time.time() - seconds
    os.utime(file, (at, at))
