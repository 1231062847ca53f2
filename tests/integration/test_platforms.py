"""The image for every architecture: the index that is published, and arm64 started for real, emulated."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
import requests
from docker import DockerClient
from docker.models.containers import Container

import containers
import drift
import emulation
import shared
import throwaway
from containers import BYTECODE, GOOD, UNASKED, quick
from sites import Session
from webui_fork.config import image_toml
from webui_fork.core.settings import Settings
from webui_fork.image import pipeline
from webui_fork.oci import engine

pytestmark = pytest.mark.minutes(6)

START = 1200.0  # seconds; an emulated start takes a hundred and more of CPU


@pytest.fixture(scope="module")
def arm64(real: Settings, client: DockerClient, assembly: pipeline.Assembly, patched: str) -> Iterator[Container]:
    """Open WebUI for arm64 in a container, beside a provider that is not emulated."""
    (image,) = (one for one in assembly.image.images if one.platform == ("linux", "arm64"))
    name = shared.image_name("arm64")
    engine.load(client, image, real.cache, name)
    with (
        emulation.arm64(real),
        throwaway.network(client) as network,
        containers.provider(client, patched, network),
        containers.webui(client, patched, network),  # compiles what the other then has: byte code has no architecture
        throwaway.container(
            client,
            name,
            network=network,
            environment={"OPENAI_API_BASE_URL": GOOD, "OPENAI_API_KEY": "key", "WEBUI_AUTH": "False", **BYTECODE},
            volumes=quick(patched),
            ports={"8080/tcp": ("127.0.0.1", None)},
            healthcheck=UNASKED,
        ) as running,
    ):
        yield running


def healthy(running: Container) -> str:
    """Wait until it answers /health; return its URL."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        url = containers.url_of(running)
        assert running.status == "running", running.logs(tail=40).decode(errors="replace")
        with suppress(requests.RequestException):
            if requests.get(f"{url}/health", timeout=30).json() == {"status": True}:
                return url
        time.sleep(1)
    raise AssertionError(running.logs(tail=40).decode(errors="replace"))


def test_arm64_starts_and_lists_models(arm64: Container) -> None:
    url = healthy(arm64)
    token = requests.post(f"{url}/api/v1/auths/signin", json={"email": "", "password": ""}, timeout=120).json()["token"]
    session = Session(url, token)
    answer = session.call("GET", "/api/models?refresh=true", timeout=120)
    assert answer.status_code == 200, answer.text
    assert "beside" in [model["id"] for model in answer.json()["data"]]
    machine = arm64.exec_run(["python3", "-c", "import platform; print(platform.machine())"], user="webui")
    assert machine.output == b"aarch64\n"


def test_what_architectures_share_is_one_layer(assembly: pipeline.Assembly) -> None:
    """The application and the series have no architecture: whoever pulls both has them once, and reviews them once."""
    first, *others = ({item.name: item.layer.digest for item in image.layers} for image in assembly.image.images)
    assert others
    for other in others:
        shared = {name for name, digest in first.items() if other[name] == digest}
        assert shared == {"application", "frontend", "patches"}


def test_the_engine_gets_the_image_of_its_machine(
    real: Settings, client: DockerClient, assembly: pipeline.Assembly
) -> None:
    name = shared.image_name("index")
    engine.load(client, assembly.image, real.cache, name)
    assert client.images.get(name).attrs["Architecture"] == image_toml.architecture_of(platform.machine())


def test_deploy_names_the_index_until_one_is_published(assembly: pipeline.Assembly) -> None:
    """The placeholder's digest is the one that this checkout builds for all architectures, at its own tag."""
    if digest := drift.digest_of_elsewhere(assembly.inputs.tag, shared.folder()):
        assert digest == assembly.image.digest
