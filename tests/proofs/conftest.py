"""A proof runs against the image it is given, and fails on one without its patch.

`tests/integration/test_proofs.py` runs each proof against both; by hand:
`pytest tests/proofs --image IMAGE` (an image the Docker engine has).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from docker import DockerClient

from containers import Site, site
from webui_fork import engine, settings
from webui_fork.engine import Engine
from webui_fork.terminal import Terminal


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--image", required=True, help="the image to run the proofs against")


@pytest.fixture(scope="session")
def image(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--image"))


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[Engine]:
    with engine.connect(settings.load(), Terminal()) as running:
        yield running


@pytest.fixture(scope="session")
def client(docker_engine: Engine) -> DockerClient:
    return docker_engine.client


@pytest.fixture(scope="module")
def webui(client: DockerClient, image: str) -> Iterator[Site]:
    """Open WebUI beside the provider of every fault; a proof sets the connections."""
    with site(client, image) as running:
        yield running
