"""Open WebUI from a given image beside model servers, on a network of their own."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from docker import DockerClient
from docker.models.containers import Container

import shared
import throwaway
from seconds import until
from sites import Connections, Session

PROVIDER = Path(__file__).parents[1] / "assets/provider.py"
CHROMA = PROVIDER.with_name("chroma.py")  # documents of the standard image
START = 240.0  # seconds
UNASKED = {"test": ["NONE"]}  # each check of each container is a process
GOOD = "http://provider:8000/f/fine/v1"


@dataclass(frozen=True, kw_only=True)
class Site(Session):
    """One in a container."""

    container: Container

    def shell(self, command: str, user: str = "") -> str:
        done = self.container.exec_run(["sh", "-c", command], user=user)
        assert isinstance(done.output, bytes)
        assert done.exit_code == 0, done.output.decode(errors="replace")
        return done.output.decode().strip()

    def python(self, code: str) -> str:
        """Run Python beside the server, as its user."""
        done = self.container.exec_run(["python3", "-c", code], user="webui")
        assert isinstance(done.output, bytes)
        assert done.exit_code == 0, done.output.decode(errors="replace")
        return done.output.decode().strip()

    def sql(self, statement: str, *values: Any) -> None:
        """Change the database behind the server's back."""
        self.python(
            "import json, sqlite3\n"
            "with sqlite3.connect('/app/backend/data/webui.db', timeout=20) as db:\n"
            f"    db.execute({statement!r}, json.loads({json.dumps(values)!r}))"
        )

    def restart(self) -> Site:
        """Stop it, start it, and sign in again."""
        self.container.restart(timeout=10)
        return _signed_in(self.container)


def url_of(running: Container) -> str:
    """Return where this machine reaches port 8080 of a container."""
    running.reload()
    return f"http://127.0.0.1:{running.attrs['NetworkSettings']['Ports']['8080/tcp'][0]['HostPort']}"


def _up(running: Container) -> str:
    """Wait until it serves; return its URL."""
    url = url_of(running)
    wait_for(url, running)
    return url


def _signed_in(running: Container, *, auth: bool = False) -> Site:
    return Site(container=running, url=_up(running), token="").signed_in(auth=auth)


@contextmanager
def provider(client: DockerClient, image: str, network: str, alias: str = "provider") -> Iterator[Container]:
    """Run the provider of every fault; any image with python3 will do."""
    with throwaway.container(
        client,
        image,
        entrypoint=["python3", "/provider.py"],
        command=["8000", "names"],
        user="0",
        files={"/provider.py": PROVIDER.read_bytes()},
        network=network,
        networking_config={network: client.api.create_endpoint_config(aliases=[alias])},
        stop_signal="SIGKILL",
        healthcheck=UNASKED,
    ) as running:
        wait_for_log(running, "ready")
        running.reload()
        yield running


BYTECODE = {"PYTHONPYCACHEPREFIX": "/bytecode"}


def compiled(image: str) -> dict[str, dict[str, str]]:
    """Return the mount for modules that are compiled once a run; `BYTECODE` belongs to it.

    An image has a folder of its own: the files of two can have one size and time.
    """
    bytecode = shared.folder() / "bytecode" / re.sub(r"\W", "-", image)
    bytecode.mkdir(parents=True, exist_ok=True)
    bytecode.chmod(0o777)  # whoever the container runs as
    return {str(bytecode): {"bind": "/bytecode", "mode": "rw"}}


def quick(image: str) -> dict[str, dict[str, str]]:
    """Return mounts that leave out half of the ten seconds of CPU that a start of Open WebUI takes.

    Beside compiling, that is the changelog, which each start renders.
    """
    changelog = shared.folder() / "CHANGELOG.md"
    changelog.write_text("# Changelog\n")
    return {**compiled(image), str(changelog): {"bind": "/app/CHANGELOG.md", "mode": "ro"}}


@contextmanager
def slow_names(client: DockerClient, image: str, network: str, target: str) -> Iterator[str]:
    """Run a name server that takes two seconds for each answer; yields its address."""
    files = {"/slow_dns.py": (PROVIDER.parent / "slow_dns.py").read_bytes()}
    with throwaway.container(
        client, image, entrypoint=["python3", "/slow_dns.py"], command=[target, "2"], user="0", files=files,
        network=network,
    ) as running:  # fmt: skip
        wait_for_log(running, "ready")
        running.reload()
        yield address(running)


@contextmanager
def webui(
    client: DockerClient,
    image: str,
    network: str,
    *,
    env: Mapping[str, str] | None = None,
    auth: bool = False,
    signed: bool = True,
    **options: Any,
) -> Iterator[Site]:
    """Run Open WebUI on a network, with `quick` mounts; its connections are set by `Site.connect`.

    Args:
        auth: with accounts, of which the first is made. signed: False leaves signing in to the caller.
    """
    # the engine's user may have a proxy set for containers: a site has the one its test gives it
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"), "")
    environment = {**proxies, "WEBUI_AUTH": str(auth), "ENABLE_OLLAMA_API": "False", **BYTECODE, **(env or {})}
    options = {"healthcheck": UNASKED, **options}
    options["volumes"] = {**options.get("volumes", {}), **quick(image)}
    with throwaway.container(
        client, image, network=network, environment=environment, ports={"8080/tcp": ("127.0.0.1", None)}, **options
    ) as running:
        yield _signed_in(running, auth=auth) if signed else Site(container=running, url=_up(running), token="")


@contextmanager
def site(
    client: DockerClient,
    image: str,
    *,
    openai: Connections = (),
    ollama: Connections = (),
    dead_dns: bool = False,
    **options: Any,
) -> Iterator[Site]:
    """Run Open WebUI beside the provider of every fault, with connections.

    Args:
        dead_dns: its name server swallows what the engine itself can't answer.
        options: of :func:`webui`.
    """
    with ExitStack() as stack:
        network = stack.enter_context(throwaway.network(client))
        faults = stack.enter_context(provider(client, image, network))
        if dead_dns:
            options["dns"] = [address(faults)]
        running = stack.enter_context(webui(client, image, network, **options))
        running.connect(openai, ollama)
        yield running


def address(running: Container, network: str = "") -> str:
    """Return a container's address on a network, or on the only one it has."""
    running.reload()
    networks = running.attrs["NetworkSettings"]["Networks"]
    (only,) = [networks[network]] if network else networks.values()
    return str(only["IPAddress"])


def wait_for(url: str, running: Container) -> None:
    """Wait until Open WebUI answers its health endpoint."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        try:
            if requests.get(f"{url}/health", timeout=5).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise AssertionError(running.logs(tail=40).decode(errors="replace"))


def wait_for_model(running: Container, seconds: float) -> None:
    """Wait until a vLLM has loaded its model; its own healthcheck, a process every two seconds, is switched off."""
    url = f"http://{address(running)}:8000/health"

    def is_well() -> bool:
        running.reload()
        assert running.status == "running", running.logs(tail=25).decode(errors="replace")
        with suppress(requests.RequestException):
            return requests.get(url, timeout=5).ok
        return False

    until(is_well, seconds)


def wait_for_log(running: Container, word: str) -> None:
    """Wait until a container has said something."""
    deadline = time.monotonic() + START
    while word.encode() not in running.logs():
        running.reload()
        if running.status == "exited" or time.monotonic() > deadline:
            raise AssertionError(running.logs().decode(errors="replace"))
        time.sleep(0.1)
