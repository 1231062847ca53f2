"""Fixtures for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import Server, Talk
from webui_fork import settings as settings_module
from webui_fork.settings import Settings


@pytest.fixture
def talk() -> Talk:
    """A terminal that remembers what it was told."""
    return Talk()


@pytest.fixture
def private_settings(tmp_path: Path) -> Settings:
    """Settings with everything below a temporary folder, and no index but what a test names."""
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "WEBUI_FORK_CACHE": str(tmp_path / "cache")}
    root = tmp_path / "checkout"
    root.mkdir()
    return settings_module.load(env, root=root)


@pytest.fixture
def server() -> Iterator[Server]:
    """A programmable HTTP server on loopback."""
    with Server() as running:
        yield running
