"""Open WebUI from a given image beside a model server, on a network of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from docker import DockerClient
from docker.models.containers import Container

from webui_fork import engine

PROVIDER = Path(__file__).parent / "assets/provider.py"
START = 120.0


@dataclass(frozen=True)
class Listing:
    """What a listing answered: status, model ids, seconds."""

    status: int
    ids: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Site:
    """A running Open WebUI, signed in as its admin."""

    container: Container
    url: str
    token: str

    def models(self) -> Listing:
        start = time.monotonic()
        headers = {"Authorization": f"Bearer {self.token}"}
        response = requests.get(f"{self.url}/api/models?refresh=true", headers=headers, timeout=30)
        seconds = time.monotonic() - start
        ids = tuple(model["id"] for model in response.json()["data"]) if response.ok else ()
        return Listing(response.status_code, ids, seconds)


@contextmanager
def site(client: DockerClient, image: str, *, openai: list[int], ollama: list[int] | None = None) -> Iterator[Site]:
    """Run Open WebUI with OpenAI and Ollama connections to these ports of the model server."""
    environment = {
        "WEBUI_AUTH": "False",
        "ENABLE_OPENAI_API": "True",
        "OPENAI_API_BASE_URLS": ";".join(f"http://provider:{port}/v1" for port in openai),
        "OPENAI_API_KEYS": ";".join("key" for _ in openai),
        "ENABLE_OLLAMA_API": str(bool(ollama)),
        "OLLAMA_BASE_URLS": ";".join(f"http://provider:{port}" for port in ollama or []),
    }
    with (
        engine.network(client) as network,
        engine.container(
            client,
            image,
            entrypoint=["python3", "/provider.py"],
            files={"/provider.py": PROVIDER.read_bytes()},
            network=network,
            networking_config={network: client.api.create_endpoint_config(aliases=["provider"])},
            stop_signal="SIGKILL",
        ),
        engine.container(
            client, image, network=network, environment=environment, ports={"8080/tcp": ("127.0.0.1", None)}
        ) as running,
    ):
        running.reload()
        port = running.attrs["NetworkSettings"]["Ports"]["8080/tcp"][0]["HostPort"]
        url = f"http://127.0.0.1:{port}"
        wait_for(url, running)
        signed_in = requests.post(f"{url}/api/v1/auths/signin", json={"email": "", "password": ""}, timeout=30)
        yield Site(running, url, signed_in.json()["token"])


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
