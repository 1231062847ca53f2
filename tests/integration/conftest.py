"""Fixtures of the integration tests: the real cache, the real release, a real engine, a real vLLM."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests
from docker import DockerClient
from docker.models.containers import Container
from playwright.sync_api import Page

import browsing
import drift
import processes
import shared
import small
import throwaway
from containers import BYTECODE, GOOD, UNASKED, Site, address, compiled, provider, wait_for_model, webui
from registries import registry
from sites import Connection
from small import Shop
from webui_fork.config import image_toml
from webui_fork.core import settings
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline, standalone
from webui_fork.oci import engine, unpack
from webui_fork.oci.engine import Engine
from webui_fork.publish import promote
from webui_fork.sources import programs

VLLM = "http://vllm:8000/v1"
# its start is mostly imports: one process less, and what another finds out of the model's class is kept
QUICK_VLLM = {**BYTECODE, "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CACHE_ROOT": "/bytecode/vllm"}
OTHER: Connection = (GOOD, {"prefix_id": "other"})
LOADING = 300.0  # seconds: an image of one's own may load real weights


@pytest.fixture(scope="session")
def real() -> Settings:
    """The settings of whoever runs the tests; the checkout is one whose packages can be had today."""
    if drift.rows(shared.folder()):
        os.environ["WEBUI_FORK_ROOT"] = str(shared.folder() / "checkout")  # for the commands that tests type, too
    return settings.load()


@pytest.fixture(scope="session")
def cosign(real: Settings) -> Path:
    return programs.find(real, "cosign", Terminal())


@pytest.fixture(scope="session")
def program(real: Settings) -> Path:
    """The program that serves a registry."""
    return programs.find(real, "registry", Terminal())


@pytest.fixture
def shop(real: Settings, cosign: Path, program: Path, tmp_path: Path) -> Iterator[Shop]:
    """A registry, and somebody with a key, a checkout and a cache of their own who publishes there."""
    with registry(program, tmp_path / "registry") as host:
        yield small.shop(real, tmp_path / "shop", host, cosign)


@pytest.fixture
def published(shop: Shop) -> promote.Published:
    """A small image that was published."""
    return shop.publish(small.candidate(shop.settings))


@pytest.fixture(scope="session")
def inputs(real: Settings) -> image_inputs.Inputs:
    return image_inputs.read_inputs(real, Terminal(), locked=True)


@pytest.fixture(scope="session")
def built(real: Settings, inputs: image_inputs.Inputs, request: pytest.FixtureRequest) -> pipeline.Built:
    made = pipeline.build(real, inputs, Terminal(), locked=True)
    request.config.stash[shared.BUILT] = (str(made.image.digest), made.tree.head)
    return made


@pytest.fixture(scope="session")
def assembly(real: Settings) -> pipeline.Assembly:
    """What is published of the default flavour: the index of an image for each architecture."""
    built_for = image_toml.architectures(real.root / "images" / image_inputs.IMAGE)
    every = image_inputs.read_every(real, Terminal(), built_for, locked=True)
    return pipeline.build_all(real, every, Terminal(), locked=True)


@pytest.fixture(scope="session")
def forks(real: Settings, inputs: image_inputs.Inputs) -> str:
    """A server from which the Open WebUI of any series is forked: processes of this run start by it."""

    def start() -> str:
        built = pipeline.build(real, replace(inputs, patches=()), Terminal(), locked=True)
        tree = unpack.tree(built.image, real.cache, shared.folder() / "tree")
        return processes.serve_forks(tree)

    return shared.once("forks", start)


@pytest.fixture(scope="session")
def docker_engine(real: Settings) -> Iterator[Engine]:
    with engine.connect(shared.seeing(real), Terminal()) as running:
        yield running


@pytest.fixture(scope="session")
def client(docker_engine: Engine) -> DockerClient:
    return docker_engine.client


@pytest.fixture(scope="session")
def image_with(real: Settings, inputs: image_inputs.Inputs, client: DockerClient) -> Callable[[int], str]:
    """Load the image with the first N patches of the series into the engine; returns its name."""

    def load(count: int) -> str:
        some = replace(inputs, patches=inputs.patches[:count])

        def build() -> str:
            image = pipeline.build(real, some, Terminal(), locked=True).image
            name = shared.image_name(f"{some.tag}-{count}-patches")
            engine.load(client, image, real.cache, name)
            return name

        return shared.once(f"image-{count}", build)

    return load


@pytest.fixture(scope="session")
def patched(image_with: Callable[[int], str], inputs: image_inputs.Inputs) -> str:
    """The image with the whole series."""
    return image_with(len(inputs.patches))


@pytest.fixture(scope="session")
def stock(image_with: Callable[[int], str]) -> str:
    """The image without a patch, for control."""
    return image_with(0)


@pytest.fixture(scope="session")
def vllm_image(real: Settings, client: DockerClient) -> str:
    """VLLM_IMAGE, or the one that is built of images/vllm-cpu/."""
    if named := os.environ.get("VLLM_IMAGE"):
        return named

    def build() -> str:
        variant = standalone.build(real, "vllm-cpu", Terminal(), locked=True)
        name = shared.image_name(f"vllm-{variant.tag}")
        engine.load(client, variant.image, real.cache, name)
        return name

    return shared.once("vllm-image", build)


def vllm_options(image: str) -> dict[str, Any]:
    """Return what a container of a vLLM needs."""
    return {"shm_size": "256m", "environment": QUICK_VLLM, "volumes": compiled(image), "healthcheck": UNASKED}


@pytest.fixture(scope="session")
def vllm(client: DockerClient, vllm_image: str) -> Container:
    """A vLLM for the whole run: no test may stop it."""

    def start() -> str:
        running = client.containers.create(vllm_image, labels=shared.labels(), **vllm_options(vllm_image))
        running.start()
        wait_for_model(running, LOADING)
        version = requests.get(f"http://{address(running)}:8000/version", timeout=30).json()["version"]
        shared.once("vllm-version", lambda: version)
        return str(running.id)

    return client.containers.get(shared.once("vllm", start))


@dataclass(frozen=True)
class Street:
    """A network with a vLLM (`vllm:8000`) and the provider of every fault (`provider:8000`)."""

    network: str
    vllm: Container
    model: str
    faults: Container


@contextmanager
def beside(client: DockerClient, vllm: Container, image: str) -> Iterator[Street]:
    """Have a network with this vLLM, and a provider of the network's own, from an image with python3."""
    with throwaway.network(client) as network:
        client.networks.get(network).connect(vllm, aliases=["vllm"])
        try:
            with provider(client, image, network) as faults:
                yield Street(network, vllm, served_model(client, image, network), faults)
        finally:
            client.networks.get(network).disconnect(vllm, force=True)


@pytest.fixture(scope="session")
def street(client: DockerClient, vllm: Container, patched: str) -> Iterator[Street]:
    with beside(client, vllm, patched) as running:
        yield running


def served_model(client: DockerClient, image: str, network: str) -> str:
    """Ask the vLLM for the name of its model."""
    code = (
        "import json, urllib.request as r; print(json.load(r.urlopen('http://vllm:8000/v1/models'))['data'][0]['id'])"
    )
    said = client.containers.run(image, entrypoint=["python3", "-c", code], network=network, remove=True)
    assert isinstance(said, bytes)
    return said.decode().strip()


@pytest.fixture(scope="session")
def ours(client: DockerClient, patched: str, street: Street) -> Iterator[Site]:
    """The patched Open WebUI beside the vLLM; a test sets the connections."""
    with webui(client, patched, street.network) as running:
        yield running


@pytest.fixture(scope="session")
def admin(client: DockerClient, patched: str, street: Street) -> Iterator[Site]:
    """A site with accounts, and its admin, who shares the vLLM's model with everybody."""
    with webui(client, patched, street.network, auth=True) as site:
        site.connect([VLLM, OTHER])
        assert {street.model, "other.beside"} <= set(site.models().ids)
        grant = {"principal_type": "user", "principal_id": "*", "permission": "read"}
        form = {"id": street.model, "name": "Shared", "meta": {}, "params": {}, "access_grants": [grant]}
        site.call("POST", "/api/v1/models/create", json=form).raise_for_status()
        yield site


@pytest.fixture
def page(real: Settings) -> Iterator[Page]:
    with browsing.browser(real) as page:
        yield page
