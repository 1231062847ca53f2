"""GitHub's nightly workflow from its first step to its last; the weekly one is in test_refresh.py.

The steps that propose a result are in tests/unit/test_scripts.py, too; ci.yml is `.ci/run`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import runner
from users import User
from webui_fork.config import upstream_lock
from webui_fork.core.settings import Settings

pytestmark = [pytest.mark.minutes(1), runner.AS_ROOT]


def test_the_nightly_rebase_runs_from_its_first_step_to_its_last(real: Settings, tmp_path: Path) -> None:
    """The release is the pinned one: nothing new, whatever the index has."""
    user = User(tmp_path / "user", real, tools_only=True)
    user.commit()
    pinned = upstream_lock.read(user.root / "upstream.lock").version
    run = runner.run(user, real, "rebase.yml", tmp_path, "--input", f"release={pinned}")
    assert run.code == 0, run.output[-8000:]
    assert [job for job, step in run.passed if step.startswith(("Carry", "Open"))] == ["carry", "propose"]
    assert (run.artifacts / "rebase/result/verdict").read_text() == "nothing\n"
    assert not run.asked_of_gh
