"""The scripts that put a result into a pull request, on a repository of their own; `gh` only says what it was asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from webui_fork.core.settings import CHECKOUT

SCRIPTS = CHECKOUT / ".github/scripts"
GH = """#!/bin/sh
echo "$*" >> "$GH_LOG"
[ "$1 $2" != "pr list" ] || echo "$GH_OPEN"
"""


@dataclass
class Runner:
    """A machine of the workflow: a clone, an origin, and a `gh` that writes down its arguments."""

    clone: Path
    origin: Path
    log: Path
    env: dict[str, str]

    def run(self, *words: str, **env: str) -> int:
        return subprocess.run(
            words, cwd=self.clone, env={**self.env, **env}, check=False, capture_output=True
        ).returncode

    def git(self, *words: str) -> str:
        done = subprocess.run(["git", *words], cwd=self.clone, env=self.env, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def report(self, name: str, verdict: str, title: str) -> None:
        folder = self.clone / "out" / name
        folder.mkdir(parents=True)
        (folder / "report.json").write_text(json.dumps({"verdict": verdict, "title": title}))
        (folder / "report.md").write_text("# words\n")

    def commit(self, text: str, name: str = "images/open-webui/debian.lock") -> str:
        (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
        (self.clone / name).write_text(text)
        self.git("add", name)
        self.git("commit", "--quiet", "-m", text)
        return self.git("rev-parse", "HEAD")

    def branches(self) -> dict[str, str]:
        rows = self.git("ls-remote", "--heads", str(self.origin)).splitlines()
        return {row.split("refs/heads/")[1]: row.split()[0] for row in rows}

    def propose(self, name: str, number: str = "") -> int:
        return self.run(str(SCRIPTS / "propose.sh"), "result", name, "main", GH_OPEN=number)

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "gh").write_text(GH)
    (programs / "gh").chmod(0o755)
    env = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), "GH_LOG": str(tmp_path / "log")}
    env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    runner = Runner(tmp_path / "clone", tmp_path / "origin", tmp_path / "log", env)
    runner.clone.mkdir()
    subprocess.run(["git", "init", "--quiet", "--bare", str(runner.origin)], env=env, check=True)
    runner.git("init", "--quiet", "--initial-branch", "main")
    runner.git("config", "user.name", "webui_fork")
    runner.git("config", "user.email", "webui_fork@fork.invalid")
    runner.git("remote", "add", "origin", str(runner.origin))
    runner.commit("first")
    runner.git("push", "--quiet", "origin", "main")
    return runner


def pack(runner: Runner, name: str, code: int) -> int:
    shutil.rmtree(runner.clone / "result", ignore_errors=True)
    return runner.run(str(SCRIPTS / "pack.sh"), name, str(code))


def is_refused(runner: Runner) -> None:
    """Have what is committed proposed as a refresh, and hold that nothing comes of it."""
    runner.report("refresh", "ready", "Title")
    assert pack(runner, "refresh", 0) == 0
    runner.git("reset", "--quiet", "--hard", "origin/main")
    before = runner.branches()
    assert runner.propose("refresh") == 1
    assert (runner.branches(), runner.calls) == (before, [])


def test_a_refresh_becomes_a_pull_request_whose_tests_start(runner: Runner) -> None:
    main = runner.branches()["main"]
    commit = runner.commit("locks")
    runner.report("refresh", "ready", "Fix vulnerabilities of curl")
    assert pack(runner, "refresh", 0) == 0
    runner.git("reset", "--quiet", "--hard", "origin/main")
    assert runner.propose("refresh") == 0
    assert runner.branches() == {"main": main, "refresh/next": commit}
    create, start = runner.calls[-2:]
    assert create.startswith(
        "pr create --head refresh/next --base main --title Fix vulnerabilities of curl --body-file"
    )
    assert "--draft" not in create
    assert start == "workflow run ci.yml --ref refresh/next"


def test_an_open_pull_request_follows(runner: Runner) -> None:
    for text in ("one", "two"):
        runner.git("reset", "--quiet", "--hard", "origin/main")
        commit = runner.commit(text)
        shutil.rmtree(runner.clone / "out", ignore_errors=True)
        runner.report("refresh", "ready", f"Title {text}")
        assert pack(runner, "refresh", 0) == 0
        runner.git("reset", "--quiet", "--hard", "origin/main")
        assert runner.propose("refresh", "" if text == "one" else "7") == 0
        assert runner.branches()["refresh/next"] == commit
    assert "pr edit 7 --title Title two --body-file result/report.md" in runner.calls
    assert "pr ready 7" in runner.calls


def test_a_person_s_work_is_never_overwritten(runner: Runner) -> None:
    runner.git("config", "user.email", "me@example.org")
    theirs = runner.commit("by hand")
    runner.git("push", "--quiet", "origin", "HEAD:refs/heads/refresh/next")
    runner.git("reset", "--quiet", "--hard", "origin/main")
    runner.git("config", "user.email", "webui_fork@fork.invalid")
    runner.commit("locks")
    runner.report("refresh", "ready", "Title")
    assert pack(runner, "refresh", 0) == 0
    runner.git("reset", "--quiet", "--hard", "origin/main")
    assert runner.propose("refresh", "7") == 0
    assert runner.branches()["refresh/next"] == theirs
    assert runner.calls[-1].startswith("pr comment 7 --edit-last")


@pytest.mark.parametrize("verdict", ["conflict", "blocked"])
def test_a_conflict_is_a_draft_and_a_red_run(runner: Runner, verdict: str) -> None:
    main = runner.branches()["main"]
    runner.report("rebase", verdict, "Open WebUI 9")
    assert pack(runner, "rebase", 18) == 0
    assert runner.propose("rebase") == 1
    branches = runner.branches()
    assert branches.keys() == {"main", "rebase/next"}
    assert branches["main"] == main
    assert runner.git("rev-parse", f"{branches['rebase/next']}^{{tree}}") == runner.git("rev-parse", "HEAD^{tree}")
    assert runner.calls[-1].startswith("pr create --head rebase/next")
    assert runner.calls[-1].endswith("--draft")


@pytest.mark.parametrize("code", [0, 4])
def test_what_brought_nothing_proposes_nothing_and_keeps_its_exit_code(runner: Runner, code: int) -> None:
    before = runner.branches()
    assert pack(runner, "refresh", code) == code
    assert runner.propose("refresh") == 0
    assert (runner.branches(), runner.calls) == (before, [])


def test_what_broke_half_way_is_not_proposed(runner: Runner) -> None:
    runner.report("rebase", "not proved", "Open WebUI 9")
    assert pack(runner, "rebase", 1) == 1


LOCKS = ("images/*/*.lock", "lines/*/upstream.lock", "lines/*/images/*/*.lock")


def test_a_refresh_moves_locks_of_every_flavour_architecture_and_line(runner: Runner) -> None:
    for lock in sorted(path for form in LOCKS for path in CHECKOUT.glob(form)):
        commit = runner.commit(f"locks {lock.name}", lock.relative_to(CHECKOUT).as_posix())
        runner.git("reset", "--quiet", "--soft", "origin/main")
        commit = runner.commit("locks", lock.relative_to(CHECKOUT).as_posix())
    runner.report("refresh", "ready", "Title")
    assert pack(runner, "refresh", 0) == 0
    runner.git("reset", "--quiet", "--hard", "origin/main")
    assert runner.propose("refresh") == 0
    assert runner.branches()["refresh/next"] == commit


@pytest.mark.parametrize("name", ["title", "report.md", "commits.bundle", "more"])
@pytest.mark.parametrize("verb", ["refresh", "rebase"])
def test_a_result_of_links_is_not_read(runner: Runner, tmp_path: Path, name: str, verb: str) -> None:
    """They would put a file of the machine that has the token into the pull request."""
    runner.commit("locks", "upstream.lock")
    runner.report(verb, "ready", "Title")
    assert pack(runner, verb, 0) == 0
    (tmp_path / "secret").write_text("secret")
    (runner.clone / "result" / name).unlink(missing_ok=True)
    (runner.clone / "result" / name).symlink_to(tmp_path / "secret")
    before = runner.branches()
    assert runner.propose(verb) == 1
    assert (runner.branches(), runner.calls) == (before, [])


@pytest.mark.parametrize(
    ("name", "passes"),
    [
        ("patches/say-why.patch", True),
        ("patches/series", True),
        ("tests/proofs/test_say_why.py", True),
        (".github/workflows/ci.yml", False),
        (".ci/run", False),
        ("build/x.py", False),
        ("tests/conftest.py", False),
        ("patches/x.sh", False),
        ("deploy/.env.example", False),
    ],
)
def test_a_rebase_changes_the_series_and_locks_alone(runner: Runner, name: str, passes: bool) -> None:
    runner.commit("Bump", "upstream.lock")
    runner.commit("Carry", name)
    runner.report("rebase", "ready", "Title")
    assert pack(runner, "rebase", 0) == 0
    runner.git("reset", "--quiet", "--hard", "origin/main")
    assert (runner.propose("rebase") == 0) is passes


@pytest.mark.parametrize("words", ["rm --quiet {evil}", "checkout --quiet --orphan other", "merge --quiet other"])
def test_what_a_rebase_s_commits_bring_does_not_stay_in_the_history(runner: Runner, words: str) -> None:
    evil = ".github/workflows/evil.yml"
    if words.startswith("merge"):
        runner.git("checkout", "--quiet", "-b", "other")
        runner.commit("beside", "upstream.lock")
        runner.git("checkout", "--quiet", "main")
        runner.commit("one", "images/open-webui/requirements.lock")
    elif words.startswith("rm"):
        runner.commit("for one commit", evil)
    runner.git(*words.format(evil=evil).split())
    if not words.startswith("merge"):
        (runner.clone / "upstream.lock").write_text("carried\n")
        runner.git("add", "--all", "upstream.lock")
        runner.git("commit", "--quiet", "-m", "carry")
    runner.report("rebase", "ready", "Title")
    assert pack(runner, "rebase", 0) == 0
    runner.git("checkout", "--quiet", "--force", "-B", "main", "origin/main")
    before = runner.branches()
    assert runner.propose("rebase") == 1
    assert (runner.branches(), runner.calls) == (before, [])


def test_a_title_is_a_line(runner: Runner) -> None:
    """The job that wrote it ran upstream's code; a second line could be a command to the workflow."""
    runner.commit("locks", "upstream.lock")
    runner.report("refresh", "ready", "Title\n::set-output::x")
    assert pack(runner, "refresh", 0) == 0
    runner.git("reset", "--quiet", "--hard", "origin/main")
    assert runner.propose("refresh") == 0
    assert not [call for call in runner.calls if "set-output" in call]


@pytest.mark.parametrize("verdict", ["ready\n::set-output::x", "fine", ""])
def test_a_verdict_is_one_of_a_few_words(runner: Runner, verdict: str) -> None:
    runner.commit("locks", "upstream.lock")
    runner.report("refresh", "ready", "Title")
    assert pack(runner, "refresh", 0) == 0
    (runner.clone / "result/verdict").write_text(verdict)
    before = runner.branches()
    assert runner.propose("refresh") == 1
    assert (runner.branches(), runner.calls) == (before, [])


@pytest.mark.parametrize(
    "name",
    [
        ".ci/run",
        "build/x.py",
        "docs/hooks.py",
        "images/a/b/c.lock",
        "images/a/image.toml",
        "a/README.md",
        "lines/0.11/images/a/image.toml",
        "lines/0.11/requirements/a.lock",
        "lines/a/upstream.lock",
        "lines/0.11/0.12/upstream.lock",
    ],
)
def test_a_refresh_that_changes_more_than_locks_is_not_proposed(runner: Runner, name: str) -> None:
    runner.commit("evil", name)
    is_refused(runner)


@pytest.mark.parametrize(
    "words",
    [
        "git mv build/x.py x.md",
        "ln -sf /etc/passwd upstream.lock",
        "chmod +x upstream.lock",
        "git rm --quiet upstream.lock",
        "git mv upstream.lock requirements/other.lock",
        "git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),requirements/tool.lock",
    ],
)
def test_nor_is_one_that_takes_a_file_away_or_makes_it_something_else(runner: Runner, words: str) -> None:
    for name in ("build/x.py", "upstream.lock"):
        runner.commit("what is there", name)
    (runner.clone / "requirements").mkdir()
    runner.git("push", "--quiet", "origin", "main")
    assert runner.run("sh", "-c", f"{words} && git add upstream.lock 2> /dev/null; git commit --quiet -m evil") == 0
    is_refused(runner)


def test_nor_is_one_that_brings_a_history(runner: Runner) -> None:
    main = runner.git("rev-parse", "HEAD")
    side = runner.commit("side", "upstream.lock")
    tree = runner.git("rev-parse", "HEAD^{tree}")
    runner.git("reset", "--quiet", "--hard", runner.git("commit-tree", "-p", main, "-p", side, "-m", "x", tree))
    is_refused(runner)


def test_nor_is_one_whose_list_of_files_is_long(runner: Runner) -> None:
    """A reader that ends at the first stranger ends git by a signal, which looks as if there was none."""
    for number in range(2000):
        (runner.clone / f"{number:090}").write_text("")
    runner.git("add", "--all", ":!out")
    runner.commit("evil", ".ci/run")
    is_refused(runner)


def test_a_refresh_is_one_commit_on_the_branch_that_it_goes_to(runner: Runner) -> None:
    runner.commit("evil", "build/x.py")
    runner.commit("not any more", "upstream.lock")
    is_refused(runner)
