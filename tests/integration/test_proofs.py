"""Every patch earns its place: its proof is red without it and green with it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from webui_fork import proofs, stack
from webui_fork.engine import Engine
from webui_fork.settings import CHECKOUT, Settings

_, PATCHES = stack.read_series(CHECKOUT / "patches")


@pytest.mark.parametrize("number", range(len(PATCHES)), ids=[patch.name for patch in PATCHES])
def test_a_proof_is_red_without_its_patch_and_green_with_it(
    number: int, image_with: Callable[[int], str], docker_engine: Engine, real: Settings
) -> None:
    proof, host = PATCHES[number].field("Proof"), docker_engine.host
    images = [image_with(number), image_with(number + 1)]
    with ThreadPoolExecutor(2) as pool:  # each has servers of its own, and mostly waits for them
        runs = [pool.submit(proofs.run, CHECKOUT, proof, image, host, real.environ) for image in images]
        without, with_it = (run.result() for run in runs)
    assert not without.errors, without.said  # a proof that can't run proves nothing
    assert without.failed == without.ran, f"green without its patch, so it is no longer needed:\n{without.said}"
    assert with_it.ran == without.ran, with_it.said
    assert with_it.green, with_it.said
