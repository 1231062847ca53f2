"""A proof runs the Open WebUI of the tree that it is given, as a process, and fails on one without its patch.

`tests/integration/test_proofs.py` runs each proof against both; by hand: `pytest tests/proofs --tree FOLDER`
(a folder that `nox -s patches -- tree FOLDER` writes).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import processes
from processes import Provider, Site


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tree", required=True, help="the folder with the Open WebUI to run the proofs against")


@pytest.fixture(scope="session")
def tree(request: pytest.FixtureRequest) -> Path:
    return Path(str(request.config.getoption("--tree")))


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    with processes.provider() as running:
        yield running


@pytest.fixture(scope="module")
def webui(tree: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """Open WebUI, with the settings of the module's `ENV`; a proof sets the connections."""
    with processes.webui(tree, env=getattr(request.module, "ENV", {})) as running:
        yield running
