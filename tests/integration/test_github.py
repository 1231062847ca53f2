"""GitHub's nightly workflow, run from its file by `act` on a shell: each step with its own `env`, `if` and `needs`.

Three actions are GitHub's own programs and stand in as few lines of shell; the checkout is act's. `gh` writes down what
it is asked. The steps that propose a result are in tests/unit/test_scripts.py; ci.yml is `.ci/run`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from users import User
from webui_fork.config import upstream_lock
from webui_fork.core.files import exclusive
from webui_fork.core.settings import Settings

pytestmark = pytest.mark.minutes(1)

UP = 'to="$ARTIFACTS/${{ inputs.name }}"; mkdir -p "$to" && cp -a ${{ inputs.path }} "$to"'
DOWN = 'mkdir -p ${{ inputs.path }} && cp -a "$ARTIFACTS/${{ inputs.name }}"/*/. ${{ inputs.path }}'
ACTIONS = {
    "actions/setup-python": ("python-version", "python3 --version"),
    "actions/upload-artifact": ("name, path, retention-days", UP),
    "actions/download-artifact": ("name, path", DOWN),
}
PROGRAMS = {
    "sudo": '#!/bin/sh\ncase $1 in --preserve-env=*) shift ;; esac\nexec "$@"\n',
    "gh": '#!/bin/sh\necho "$*" >> "$ARTIFACTS/gh"\n',
}


def stand_ins(folder: Path, workflow: str) -> list[str]:
    """Write what stands in for the actions that a workflow uses; return act's arguments for them."""
    arguments: list[str] = []
    for name, version in sorted(set(re.findall(r"uses: (\S+)@([0-9a-f]{40})", workflow))):
        if name == "actions/checkout":
            continue
        names, script = ACTIONS[name]
        inputs = "\n".join(f"  {item}: {{required: false}}" for item in names.split(", "))
        steps = f"  steps:\n  - shell: bash\n    run: |\n      {script}\n"
        action = folder / name / "action.yml"
        action.parent.mkdir(parents=True)
        action.write_text(f"name: stand-in\ninputs:\n{inputs}\nruns:\n  using: composite\n{steps}")
        arguments += ["--local-repository", f"{name}@{version}={action.parent}"]
    return arguments


@pytest.mark.skipif(os.geteuid() != 0, reason="its steps install Debian packages, as root")
def test_the_nightly_rebase_runs_from_its_first_step_to_its_last(real: Settings, tmp_path: Path) -> None:
    """The release is the pinned one: nothing new, whatever the index has."""
    user = User(tmp_path / "user", real, tools_only=True)
    user.commit()
    subprocess.run(["git", "clone", "--quiet", "--bare", str(user.root), str(tmp_path / "origin")], check=True)
    user.git("remote", "add", "origin", str(tmp_path / "origin"))
    for name, text in PROGRAMS.items():
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    env, given = user.on_a_runner(tmp_path / "home")
    env["PATH"] = f"{tmp_path}/bin:{env['PATH']}"
    given["ARTIFACTS"] = str(tmp_path / "artifacts")
    workflow = user.root / ".github/workflows/rebase.yml"
    pinned = upstream_lock.read(user.root / "upstream.lock").version
    words = [str(Path(sys.executable).with_name("act")), "workflow_dispatch", "--input", f"release={pinned}"]
    words += ["--workflows", str(workflow), "--platform", "ubuntu-24.04=-self-hosted", "--defaultbranch", "main"]
    words += stand_ins(tmp_path / "actions", workflow.read_text())
    words += [word for name, value in given.items() for word in ("--env", f"{name}={value}")]
    with exclusive(real.cache / ".apt.lock", "apt", print):  # another test may install something, too
        done = subprocess.run(words, cwd=user.root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
    passed = re.findall(r"^\[rebase/(\w+)\].*Success - Main (.+?) \[", done.stdout, re.MULTILINE)
    assert [job for job, step in passed if step.startswith(("Carry", "Open"))] == ["carry", "propose"]
    assert (tmp_path / "artifacts/rebase/result/verdict").read_text() == "nothing\n"
    assert not (tmp_path / "artifacts/gh").exists()
