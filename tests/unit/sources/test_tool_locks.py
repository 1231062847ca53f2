from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import wheels_index
from helpers import Server
from webui_fork.config import requirements_lock
from webui_fork.core.errors import ToolError
from webui_fork.core.settings import Settings
from webui_fork.sources import tool_locks

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
PROJECT = """[project]
name = "x"
version = "0"
dependencies = ["thing"]
[dependency-groups]
dev = ["other"]
docs = []
"""


def days(count: float) -> datetime:
    return NOW - timedelta(days=count)


UPLOADS = {
    ("thing", "1.0"): days(30),
    ("thing", "1.1"): days(7.1),
    ("thing", "1.2"): days(6.9),
    ("thing", "1.3"): days(1),
}


@pytest.fixture
def own(private_settings: Settings, server: Server) -> Settings:
    url = wheels_index.serve(server, {**UPLOADS, ("other", "1"): days(400)})
    (private_settings.root / "pyproject.toml").write_text(PROJECT)
    (private_settings.root / "requirements").mkdir()
    return replace(private_settings, environ={**private_settings.environ, "UV_DEFAULT_INDEX": url})


def planned(own: Settings, at_once: Sequence[str] = ()) -> dict[str, dict[str, str]]:
    plan = tool_locks.plan(own, at_once, NOW)
    assert tuple(plan) == tool_locks.files(own)
    return {file.stem: requirements_lock.versions(text) for file, text in plan.items()}


def test_a_version_waits_until_it_is_a_week_old(own: Settings) -> None:
    assert planned(own) == {"tool": {"thing": "1.1"}, "dev": {"other": "1", "thing": "1.1"}, "docs": {"thing": "1.1"}}


def test_what_fixes_something_does_not_wait(own: Settings) -> None:
    assert planned(own, ["Thing"])["tool"] == {"thing": "1.3"}


def test_what_was_taken_before_its_time_does_not_go_back(own: Settings) -> None:
    (own.root / "requirements/tool.lock").write_text("thing==1.2 \\\n    --hash=sha256:00\n")
    assert {name: pins["thing"] for name, pins in planned(own).items()} == {"tool": "1.2", "dev": "1.1", "docs": "1.1"}


def test_what_has_no_version_that_is_old_enough_is_an_error(own: Settings, server: Server) -> None:
    wheels_index.serve(server, {("thing", "1.0"): days(1), ("other", "1"): days(400)})
    with pytest.raises(ToolError, match="lock the tools' own packages") as caught:
        tool_locks.plan(own, (), NOW)
    assert "thing" in caught.value.why


@pytest.mark.parametrize(
    "locked", ["thing==1.2.5", "thing==1.2 ; python_version < '3' \\\n    --hash=sha256:0\nthing==1.2.5"]
)
def test_what_was_taken_off_the_index_goes_back(own: Settings, locked: str) -> None:
    (own.root / "requirements/tool.lock").write_text(f"{locked} \\\n    --hash=sha256:00\n")
    assert planned(own)["tool"] == {"thing": "1.2"}  # the newest of those that are no newer: not 1.3 of yesterday


def test_what_the_project_no_longer_wants_goes_back(own: Settings) -> None:
    (own.root / "requirements/tool.lock").write_text("thing==1.2 \\\n    --hash=sha256:00\n")
    (own.root / "pyproject.toml").write_text(PROJECT.replace('"thing"', '"thing<1.1"'))
    assert planned(own)["tool"] == {"thing": "1.0"}
