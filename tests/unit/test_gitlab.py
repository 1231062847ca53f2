"""The GitLab file is one that GitLab takes: no runner of it is here, so what its linter refuses is looked for."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml

from webui_fork.core.settings import CHECKOUT

FILE: dict[str, dict[str, Any]] = yaml.safe_load((CHECKOUT / "docs/ci/gitlab-ci.yml").read_text())
JOBS = {name: job for name, job in FILE.items() if name not in ("default", "variables") and name[0] != "."}
CLONE = FILE[".own-clone"]


def lines(job: dict[str, Any], key: str) -> list[Any]:
    value = job.get(key, [])
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("name", FILE)
@pytest.mark.parametrize("key", ["before_script", "script"])
def test_a_script_is_lines_of_text_that_a_shell_reads(name: str, key: str) -> None:
    """A colon and a space make a table of a line that is not in quotes; GitLab refuses the whole file then."""
    script = lines(FILE[name], key)
    assert all(isinstance(line, str) for line in script), script
    subprocess.run(["bash", "-n"], input="\n".join(script), text=True, check=True)


def test_a_job_needs_jobs_that_there_are_and_the_one_with_a_token_runs_nothing_of_upstream() -> None:
    for job in JOBS.values():
        assert job["script"]
        assert set(job.get("needs", ())) <= JOBS.keys()
    assert not [line for line in JOBS["propose"]["script"] if "nox" in line or "python" in line]
    # a script that is called is there
    called = re.findall(
        r"\.github/scripts/\S+", "\n".join(line for job in JOBS.values() for line in lines(job, "script"))
    )
    assert len(called) == 2
    assert all((CHECKOUT / path).is_file() for path in called)


def test_what_takes_another_job_s_artifacts_runs_a_clone_of_its_own() -> None:
    """GitLab unpacks them where the job starts; the first thing that a job does is to leave that place."""
    assert [name for name, job in JOBS.items() if job.get("extends")] == [
        name for name, job in JOBS.items() if job.get("needs")
    ]
    for job in JOBS.values():
        if job.get("needs"):
            assert job["extends"] == ".own-clone"
            assert "before_script" not in job
            assert "GIT_STRATEGY" not in job.get("variables", {})
    assert CLONE["variables"]["GIT_STRATEGY"] == "empty"
    *before, leave = CLONE["before_script"]
    assert all(line.startswith(("export ", "artifact=")) for line in before)
    assert leave.startswith('cd "$(mktemp -d)" && git clone ')
