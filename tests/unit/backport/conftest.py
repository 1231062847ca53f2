from __future__ import annotations

from pathlib import Path

import pytest

import remote_fix
from remote_fix import World
from webui_fork.core.settings import Settings


@pytest.fixture
def world(private_settings: Settings, tmp_path: Path) -> World:
    return remote_fix.make(private_settings, tmp_path)
