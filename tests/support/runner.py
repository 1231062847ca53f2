"""GitHub's workflows, run from their files by `act` on a shell: each step with its own `env`, `if` and `needs`.

Three actions are GitHub's own programs and stand in as few lines of shell; the checkout is act's. `gh` writes down what
it is asked.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from users import User
from webui_fork.core.settings import Settings

UP = 'to="$ARTIFACTS/${{ inputs.name }}"; mkdir -p "$to" && cp -a ${{ inputs.path }} "$to"'
DOWN = 'mkdir -p ${{ inputs.path }} && cp -a "$ARTIFACTS/${{ inputs.name }}"/*/. ${{ inputs.path }}'
ACTIONS = {
    "actions/setup-python": ("python-version", "python3 --version"),
    "actions/upload-artifact": ("name, path, retention-days", UP),
    "actions/download-artifact": ("name, path", DOWN),
}
SUDO = """#!/bin/sh
case $1 in --preserve-env=*) shift ;; esac
[ "$1" != apt-get ] || set -- flock "$APT_LOCK" "$@" # another test may install something, too
exec "$@"
"""
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="its steps install Debian packages, as root")
PROGRAMS = {"sudo": SUDO, "gh": '#!/bin/sh\necho "$*" >> "$ARTIFACTS/gh"\n'}


@dataclass(frozen=True)
class Run:
    """What a run of a workflow printed, and the folder with its artifacts and what it asked `gh`."""

    code: int
    output: str
    artifacts: Path

    @property
    def passed(self) -> list[tuple[str, str]]:
        """The steps that succeeded, in order: each its job and its name."""
        return re.findall(r"^\[\w+/(\w+)\].*Success - Main (.+?) \[", self.output, re.MULTILINE)

    @property
    def asked_of_gh(self) -> list[str]:
        log = self.artifacts / "gh"
        return log.read_text().splitlines() if log.exists() else []


def _stand_ins(folder: Path, workflow: str) -> list[str]:
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


def run(user: User, real: Settings, workflow: str, folder: Path, *options: str) -> Run:
    """Run a workflow of a user's checkout, whose `origin` is a bare repository.

    Args:
        user: with everything committed.
        real: settings of the tests; its cache has the lock of apt.
        workflow: a file's name in `.github/workflows`.
        folder: of this run alone.
        options: of act.
    """
    origin = folder / "origin"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(user.root), str(origin)], check=True)
    user.git("remote", "add", "origin", str(origin))
    for name, text in PROGRAMS.items():
        (folder / "bin").mkdir(exist_ok=True)
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    env, given = user.on_a_runner(folder / "home")
    env["PATH"] = f"{folder}/bin:{env['PATH']}"
    given |= {"ARTIFACTS": str(folder / "artifacts"), "APT_LOCK": str(real.cache / ".apt.lock")}
    file = user.root / ".github/workflows" / workflow
    words = [str(Path(sys.executable).with_name("act")), "workflow_dispatch", "--workflows", str(file), *options]
    words += ["--platform", "ubuntu-24.04=-self-hosted", "--defaultbranch", "main"]
    words += _stand_ins(folder / "actions", file.read_text())
    words += [word for name, value in given.items() for word in ("--env", f"{name}={value}")]
    done = subprocess.run(words, cwd=user.root, env=env, capture_output=True, text=True, check=False)
    return Run(done.returncode, done.stdout + done.stderr, folder / "artifacts")
