"""The benches of list and chats run, and compare two images that differ: a short round, whose figures say nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from webui_fork.core.settings import CHECKOUT, Settings

pytestmark = pytest.mark.minutes(1)


def run(real: Settings, name: str) -> list[str]:
    paths = ":".join(str(CHECKOUT / name) for name in ("build", "tests", "tests/support"))
    env = {**real.environ, "PYTHONPATH": paths, "WEBUI_FORK_ROOT": str(real.root)}
    argv = [sys.executable, f"tests/bench/{name}.py", "--short"]
    done = subprocess.run(argv, cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=600)
    assert not done.returncode, done.stderr
    return done.stdout.splitlines()


@pytest.mark.usefixtures("forks")  # its servers start in half of the CPU
def test_the_bench_of_the_list_runs(real: Settings) -> None:
    rows = run(real, "listing")
    assert len(rows) == 2 + 5 + 1
    nonsense = next(row for row in rows if "answers nonsense" in row)
    assert "| 500," in nonsense  # stock is stock
    assert "| 200," in nonsense


@pytest.mark.usefixtures("forks")
def test_the_bench_of_chats_runs(real: Settings) -> None:
    rows = run(real, "chatting")
    assert len(rows) == 2 * 2
    assert all(float(row.split("|")[-2]) > 0.1 for row in rows)


@pytest.mark.usefixtures("forks")
def test_the_bench_of_pages_runs(real: Settings) -> None:
    *_, ready, scripts = run(real, "pages")
    assert float(ready.split("|")[-2]) > 0.1
    assert 1 < float(scripts.split("|")[-2]) < 1.01  # ours has something more, and hardly anything
