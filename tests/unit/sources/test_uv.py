from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import wheels_index
from helpers import Server
from webui_fork.core.errors import ToolError
from webui_fork.core.settings import Settings
from webui_fork.sources import uv

OLD = datetime(2020, 1, 1, tzinfo=UTC)


def test_a_lock_names_no_index_and_keeps_what_stands_in_it(
    private_settings: Settings, server: Server, tmp_path: Path
) -> None:
    url = wheels_index.serve(server, {("thing", "1.0"): OLD, ("thing", "1.1"): OLD})
    own = replace(private_settings, environ={**private_settings.environ, "UV_DEFAULT_INDEX": url})
    (tmp_path / "in.txt").write_text("thing\n")
    out = tmp_path / "out.lock"
    assert uv.resolve(own, [tmp_path / "in.txt"], out, doing="lock") == "thing==1.1\n"
    out.write_text("thing==1.0\n")
    assert uv.resolve(own, [tmp_path / "in.txt"], out, doing="lock") == "thing==1.0\n"
    (tmp_path / "in.txt").write_text("other\n")
    with pytest.raises(ToolError, match="lock"):
        uv.resolve(own, [tmp_path / "in.txt"], out, doing="lock")


def test_the_index_is_in_the_environment_where_no_process_list_shows_it(private_settings: Settings) -> None:
    environment = uv.environment(private_settings, {"UV_DEFAULT_INDEX": "https://me:pw@host/"})
    assert environment["UV_DEFAULT_INDEX"] == "https://me:pw@host/"
    assert environment["UV_CACHE_DIR"].startswith(str(private_settings.cache))
    assert uv.version()
