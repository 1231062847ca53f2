"""Every patch earns its place: its proof is red without it and green with it."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
    proof, host = PATCHES[number].field("Proof"), docker_engine.host
    images = [image_with(number), image_with(number + 1)]
    with ThreadPoolExecutor(2) as pool:  # each has servers of its own, and mostly waits for them
        runs = [pool.submit(run_proof, proof, image, host, tmp_path / f"{n}.xml") for n, image in enumerate(images)]
        (ran, failed, said), (ran_with, failed_with, said_with) = (run.result() for run in runs)
    assert ran, said
    assert failed == ran, f"green without its patch, so the patch is no longer needed:\n{said}"
    assert ran_with == ran, said_with
    assert failed_with == 0, said_with
