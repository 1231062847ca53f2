"""What a run of all tests leaves for `nox -s publish`: a small tree of tests, run as nox runs the real one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from webui_fork.core.settings import CHECKOUT
from webui_fork.series import proofs

DIGEST = f"sha256:{'1' * 64}"
TESTS = f"""
import pytest
import shared

@pytest.fixture(scope="session")
def built(request):
    request.config.stash[shared.BUILT] = ("{DIGEST}", "of-this-test")
    request.config.stash[shared.OTHERS] = [("sha256:" + "2" * 64, "tests/unit/test_it.py")]

def test_one(built):
    pass

def test_two():
    assert EXPECTED
"""
NOX = ("-n", "2", "--durations=30", "--durations-min=20")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tests/unit").mkdir(parents=True)
    (tmp_path / "tests/integration").mkdir()
    for name in ("pyproject.toml", "tests/conftest.py"):
        shutil.copyfile(CHECKOUT / name, tmp_path / name)
    return tmp_path


def run(tree: Path, *options: str, expected: bool = True) -> int:
    (tree / "tests/unit/test_it.py").write_text(TESTS.replace("EXPECTED", str(expected)))
    env = {**proofs.environment(CHECKOUT, {"PATH": "/usr/bin:/bin"}), "WEBUI_FORK_ROOT": str(tree)}
    argv = [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", *NOX, *options]
    return subprocess.run(argv, cwd=tree, env=env, capture_output=True, check=False).returncode


def test_a_whole_run_is_recorded_and_one_that_fails_takes_that_back(tree: Path) -> None:
    assert run(tree) == 0
    record = json.loads((tree / "out/tested.json").read_text())
    assert DIGEST in record.values()
    assert json.loads((tree / "out/tests.json").read_text())["tests/unit/test_it.py"]["passed"] == 2
    assert run(tree, expected=False) == 1
    assert not (tree / "out/tested.json").exists()


@pytest.mark.parametrize("options", [("-k", "one"), ("tests/unit",), ("-o", "xfail_strict=false"), ("--ignore=x",)])
def test_what_is_no_whole_run_is_not_recorded(tree: Path, options: tuple[str, ...]) -> None:
    assert run(tree, *options) == 0
    assert (tree / "out/tests.json").exists()
    assert not (tree / "out/tested.json").exists()
