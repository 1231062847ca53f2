"""GitLab's sample, run from its file by `gitlab-ci-local` on a shell: the nightly job, and what becomes of a result."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import runner
import tools
from users import User
from webui_fork.config import image_toml, upstream_lock
from webui_fork.core import process
from webui_fork.core.files import exclusive
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.core.terminal import Terminal
from webui_fork.frontend import node
from webui_fork.rebase.candidate import AUTHOR

pytestmark = [pytest.mark.minutes(1), runner.AS_ROOT]

BOT = [word for key, value in zip(("name", "email"), AUTHOR, strict=True) for word in ("-c", f"user.{key}={value}")]


@pytest.fixture(scope="module")
def gitlab(real: Settings, tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    """The program, as npm has it, on the Node.js of the image's description."""
    spec = image_toml.read(real.root / "images/open-webui").frontend
    assert spec
    programs = node.obtain(real, spec, Terminal())
    folder = tmp_path_factory.mktemp("gitlab-ci-local")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(CHECKOUT / "tests/assets/gitlab-ci-local" / name, folder)
    argv: list[str | Path] = [programs.program, programs.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    process.run(argv, env=process.plain(real.environ), cwd=folder, doing="install gitlab-ci-local")
    tools.find(real, "rsync", Terminal())
    return [programs.program, folder / "node_modules/gitlab-ci-local/dist/index.js"]


class Project:
    """A project of GitLab's: a bare repository by its URL, and a checkout of a runner's."""

    def __init__(self, folder: Path, real: Settings, gitlab: list[str | Path]) -> None:
        self.folder, self.gitlab = folder, gitlab
        self.user = User(folder / "user", real, tools_only=True)
        sample = (self.user.root / "docs/ci/gitlab-ci.yml").read_text()
        without_image = re.sub(r"^  image: .*\n", "", sample, count=1, flags=re.MULTILINE)  # on a shell there is none
        (self.user.root / ".gitlab-ci.yml").write_text(without_image)
        self.user.commit()
        self.user.git("branch", "--move", "main")
        (self.user.root / ".git/info/exclude").write_text(".gitlab-ci-local/\n")
        subprocess.run(["git", "clone", "--quiet", "--bare", self.user.root, folder / "me/fork.git"], check=True)
        subprocess.run(
            ["git", "-C", folder / "me/fork.git", "config", "receive.advertisePushOptions", "true"], check=True
        )
        self.user.git("remote", "add", "origin", str(folder / "me/fork.git"))

    def run(self, *jobs: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run jobs of a schedule."""
        env, given = self.user.on_a_runner(self.folder / "home")
        given |= {"CI_PIPELINE_SOURCE": "schedule", "CI_DEFAULT_BRANCH": "main", **variables}
        given |= {"CI_SERVER_URL": f"file://{self.folder}", "CI_PROJECT_PATH": "me/fork"}
        words = [word for name, value in given.items() for word in ("--variable", f"{name}={value}")]
        argv = [*self.gitlab, *jobs, *words]
        return subprocess.run(argv, cwd=self.user.root, env=env, capture_output=True, text=True, check=False)

    def result(self, text: str) -> str:
        """Leave a result of a refresh, as pack.sh does; return its commit."""
        root, folder = self.user.root, self.user.root / "result"
        (root / "upstream.lock").write_text(text)
        subprocess.run(["git", "-C", root, *BOT, "commit", "--quiet", "--all", "--message", "locks"], check=True)
        commit = self.user.git_output("rev-parse", "HEAD")
        self.user.git("branch", "--force", "proposal")
        folder.mkdir(exist_ok=True)
        self.user.git("bundle", "create", "--quiet", "result/commits.bundle", "proposal")
        (folder / "verdict").write_text("ready\n")
        self.user.git("reset", "--quiet", "--hard", "HEAD~1")
        return commit

    @property
    def branches(self) -> dict[str, str]:
        """What the project has, by name."""
        rows = self.user.git_output("ls-remote", "--heads", "origin").splitlines()
        return {row.split("refs/heads/")[1]: row.split()[0] for row in rows}


@pytest.fixture
def project(tmp_path: Path, real: Settings, gitlab: list[str | Path]) -> Project:
    return Project(tmp_path, real, gitlab)


def test_the_nightly_rebase_runs_from_its_first_step_to_its_last(real: Settings, project: Project) -> None:
    """The release is the pinned one: nothing new, whatever the index has."""
    before = project.branches
    pinned = upstream_lock.read(project.user.root / "upstream.lock").version
    with exclusive(real.cache / ".apt.lock", "apt", print):  # another test may install something, too
        done = project.run("carry", "propose", RELEASE=pinned)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert re.findall(r"^ ?PASS\s+(\w+)", re.sub(r"\x1b\[[0-9;]*m", "", done.stdout), re.MULTILINE) == [
        "carry",
        "propose",
    ]
    assert (project.user.root / "result/verdict").read_text() == "nothing\n"
    assert project.branches == before


def test_a_refresh_is_pushed_to_its_branch_and_nobody_s_work_is_lost(project: Project) -> None:
    first = project.result("one")
    done = project.run("propose", VERB="refresh")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert project.branches["refresh/next"] == first
    second = project.result("two")
    assert project.run("propose", VERB="refresh").returncode == 0
    assert project.branches["refresh/next"] == second
    project.user.git("push", "--quiet", "--force", "origin", "main:refs/heads/refresh/next")  # by somebody else
    theirs = project.branches["refresh/next"]
    assert project.run("propose", VERB="refresh").returncode != 0
    assert project.branches["refresh/next"] == theirs


def test_what_else_an_artifact_has_does_not_run_beside_the_token(project: Project, tmp_path: Path) -> None:
    """The job that ran upstream's code can upload any archive; it is unpacked where the next job starts."""
    commit = project.result("one")
    root, harm = project.user.root, f"#!/bin/sh\ntouch {tmp_path}/ran\necho {commit}\n"
    for place in (".github/scripts/unpack.sh", ".git/hooks/pre-push", ".git/hooks/reference-transaction"):
        (root / place).write_text(harm)
        (root / place).chmod(0o755)
    done = project.run("propose", VERB="refresh")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert project.branches["refresh/next"] == commit
    assert not (tmp_path / "ran").exists()
