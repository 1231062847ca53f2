"""The benches of list and chats run, and compare two images that differ: a short round, whose figures say nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import shared
from bench import bench
from helpers import Talk
from webui_fork.core import git
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.image import inputs as image_inputs
from webui_fork.series import apply, patch
from webui_fork.sources import release

pytestmark = pytest.mark.minutes(1)


def run(real: Settings, name: str, *arguments: str) -> list[str]:
    paths = ":".join(str(CHECKOUT / name) for name in ("build", "tests", "tests/support"))
    env = {**real.environ, "PYTHONPATH": paths, "WEBUI_FORK_ROOT": str(real.root)}
    if name == "bump":  # the two releases start alike: the run has a server for one of them alone
        env.pop(shared.RUN, None)
    argv = [sys.executable, f"tests/bench/{name}.py", *(arguments or ("--short",))]
    done = subprocess.run(argv, cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=600)
    assert not done.returncode, done.stderr
    return done.stdout.splitlines()


def test_the_bench_of_the_build_edits_a_patch_that_goes_on(real: Settings) -> None:
    """Its cold builds take too long for a test."""
    inputs = image_inputs.read_inputs(real, Talk(), locked=False)
    name, data = bench.edited_patch(real, 42)
    assert b"+EDITED = 42" in data
    patches = tuple(patch.parse(name, data) if one.name == name else one for one in inputs.patches)
    repo, source = git.repository(real), release.obtain(real, inputs.lock, Talk())
    paths = {
        change.path for change in apply.changes(repo, apply.apply(repo, source.commit, patches, inputs.lock.epoch))
    }
    assert paths == {path for one in inputs.patches for path in one.paths}


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


def test_the_images_of_two_releases_are_held_against_each_other(real: Settings) -> None:
    """0.12 brought boto3 to slim, and three.js to the front end."""
    (line,) = run(real, "bump", "0.11", "--line", "--flavour", "slim", "--rounds", "1")
    rows = {(kind, name): (before, after) for kind, name, before, after in json.loads(line)}
    assert rows["licence", "wheel boto3"] == ("", "Apache-2.0")
    assert rows["licence", "npm package three"] == ("", "MIT")
    assert ("licence", "wheel fastapi") not in rows
    measures = {name: values for (kind, name), values in rows.items() if kind == "measure"}
    # a figure that is the same of both is no difference
    assert {"slim, compressed"} < measures.keys()
    assert measures.keys() <= {"first start, s", "list, p50, ms", "memory at rest, MiB", "slim, compressed"}
    assert all(float(value.split()[0]) > 0.1 for values in measures.values() for value in values)
