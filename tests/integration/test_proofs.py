"""Every patch earns its place: its proof is red without it and green with it."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from webui_fork import stack
from webui_fork.engine import Engine
from webui_fork.settings import CHECKOUT

_, PATCHES = stack.read_series(CHECKOUT / "patches")


def run_proof(proof: str, image: str, host: str, report: Path) -> tuple[int, int, str]:
    """Run a proof in a process of its own; return how many tests ran, how many failed, and what it said."""
    argv = [sys.executable, "-m", "pytest", proof, "--image", image, f"--junitxml={report}", "-q", "--no-header"]
    env = {**os.environ, "DOCKER_HOST": host}
    done = subprocess.run(argv, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=False)
    suite = next(ET.parse(report).getroot().iter("testsuite"))
    assert suite.get("errors") == "0", done.stdout  # a proof that can't run proves nothing
    return int(suite.get("tests", 0)), int(suite.get("failures", 0)), done.stdout


@pytest.mark.parametrize("number", range(len(PATCHES)), ids=[patch.name for patch in PATCHES])
def test_a_proof_is_red_without_its_patch_and_green_with_it(
    number: int, image_with: Callable[[int], str], docker_engine: Engine, tmp_path: Path
) -> None:
    proof = PATCHES[number].field("Proof")
    ran, failed, said = run_proof(proof, image_with(number), docker_engine.host, tmp_path / "without.xml")
    assert ran, said
    assert failed == ran, f"green without its patch, so the patch is no longer needed:\n{said}"
    ran, failed, said = run_proof(proof, image_with(number + 1), docker_engine.host, tmp_path / "with.xml")
    assert ran, said
    assert failed == 0, said
