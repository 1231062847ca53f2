"""The bench of the list runs, and compares two images that differ: one short round, whose figures say nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from webui_fork.core.settings import CHECKOUT, Settings

pytestmark = pytest.mark.minutes(1)


@pytest.mark.usefixtures("forks")  # its servers start in half of the CPU
def test_the_bench_of_the_list_runs(real: Settings) -> None:
    paths = ":".join(str(CHECKOUT / name) for name in ("build", "tests", "tests/support"))
    env = {**real.environ, "PYTHONPATH": paths, "WEBUI_FORK_ROOT": str(real.root)}
    argv = [sys.executable, "tests/bench/listing.py", "--short"]
    done = subprocess.run(argv, cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=600)
    assert not done.returncode, done.stderr
    rows = done.stdout.splitlines()
    assert len(rows) == 2 + 5 + 1
    nonsense = next(row for row in rows if "answers nonsense" in row)
    assert "| 500," in nonsense  # stock is stock
    assert "| 200," in nonsense
