"""Fixtures for every test."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from git import Repo

from helpers import Server, Talk
from webui_fork.core import settings as settings_module
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.publish import tested


@pytest.fixture(autouse=True)
def _git_processes_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """End what git keeps waiting for questions, test by test: a process left over is a warning, and an error here."""
    opened: list[Repo] = []
    original = Repo.__init__

    def init(self: Repo, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        opened.append(self)

    monkeypatch.setattr(Repo, "__init__", init)
    yield
    for repo in opened:
        repo.close()


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


BUILT = pytest.StashKey[tuple[str, str]]()

CHOSEN = pytest.StashKey[bool]()


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Remember that a run was not a whole one (-k, -m, --deselect and the like)."""
    if items:
        items[0].config.stash[CHOSEN] = True


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Record the image that passed a whole run, for `nox -s publish`; any failure takes the record back."""
    config = session.config
    if config.getoption("image", None):  # a proof, run by another run
        return
    own = settings_module.load()
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.stash.get(CHOSEN, False)
    ignored = any(config.getoption(name) for name in ("ignore", "ignore_glob", "collectonly"))
    if exitstatus:
        tested.forget(own)
    elif whole and not ignored and (built := config.stash.get(BUILT, None)):
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        passed = len(reporter.stats.get("passed", ())) if reporter else 0
        tested.write(own, tested.Proven(*built, passed))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Keep the results: out/tests.json for programs, out/tests.md for people."""
    if config.getoption("image", None):  # a proof, run by another run
        return
    rows: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed", "error", "skipped", ""):  # "": setting up and taking down
        for report in terminalreporter.stats.get(outcome, ()):
            row = rows.setdefault(report.nodeid.partition("::")[0], Counter())
            row[outcome] += bool(outcome)
            row["seconds"] += getattr(report, "duration", 0)
    out = CHECKOUT / "out"
    out.mkdir(exist_ok=True)
    (out / "tests.json").write_text(json.dumps(rows, indent=1) + "\n")
    head = ["passed", "failed", "error", "skipped"]
    lines = [f"| file | {' | '.join(head)} | seconds |", "|---" * 6 + "|"]
    lines += [
        f"| {file} | {' | '.join(str(row[key]) for key in head)} | {row['seconds']:.1f} |"
        for file, row in sorted(rows.items())
    ]
    (out / "tests.md").write_text("\n".join(lines) + "\n")
