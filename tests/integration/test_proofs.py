"""Every patch earns its place: its proof is red without it, and green with it, in a process and on the whole series.

Without it means the release with all other patches. A patch that others stand on (`Stands-On` in their headers) can't
be left out alone: for it, it means the series up to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from webui_fork.core import git
from webui_fork.core.files import temp_folder
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
from webui_fork.oci import unpack
from webui_fork.rebase import cherry_pick
from webui_fork.rebase.releases import Ends
from webui_fork.series import apply, proofs
from webui_fork.series.patch import Patch
from webui_fork.sources import release

_, PATCHES = apply.read_series(CHECKOUT / "patches")
NEEDED = {name for patch in PATCHES for name in patch.field("Stands-On").replace(",", " ").split()}
Tree = Callable[[tuple[Patch, ...]], Path]

pytestmark = [pytest.mark.alone, pytest.mark.minutes(3)]


@pytest.fixture(scope="module")
def tree(real: Settings, inputs: image_inputs.Inputs, forks: str) -> Iterator[Tree]:
    """Lay out the release with some patches."""
    with temp_folder(real.cache / "trees", "proofs-") as work:

        def made(patches: tuple[Patch, ...]) -> Path:
            built = pipeline.build(real, replace(inputs, patches=patches), Terminal(), locked=True)
            folder = work / built.image.digest.removeprefix("sha256:")
            return folder if folder.exists() else unpack.tree(built.image, real.cache, folder)

        yield made


def without(real: Settings, inputs: image_inputs.Inputs, number: int) -> tuple[Patch, ...]:
    """Return the series without a patch, those after it carried as a rebase would."""
    repo = git.repository(real)
    commit = release.release_commit(real, inputs.lock, Terminal())
    whole = apply.apply(repo, commit, PATCHES, inputs.lock.epoch)
    parent = whole.commits[number - 1] if number else commit
    rest = list(PATCHES[:number])
    ends = Ends(repo, commit, commit, inputs.lock.epoch, inputs.lock.version)
    merge = cherry_pick.merger(repo, commit, real.environ)
    for later in range(number + 1, len(PATCHES)):
        before, after = whole.commits[later - 1], whole.commits[later]
        row = cherry_pick.carry_patch(ends, PATCHES[later], before, after, parent, merge)
        assert row.patch, f"{row.name} stands on {PATCHES[number].name}, and its header does not say so: {row.why}"
        assert row.commit
        rest.append(row.patch)
        parent = row.commit
    return tuple(rest)


@pytest.mark.parametrize("number", range(len(PATCHES)), ids=[patch.name for patch in PATCHES])
def test_a_proof_is_red_without_its_patch(real: Settings, inputs: image_inputs.Inputs, tree: Tree, number: int) -> None:
    patch = PATCHES[number]
    needed = patch.name.removesuffix(".patch") in NEEDED
    patches = PATCHES[:number] if needed else without(real, inputs, number)
    red = proofs.run(CHECKOUT, patch.field("Proof"), tree(patches), real.environ, "-x")  # one failure will do
    assert not red.errors, red.output  # a proof that can't run proves nothing
    assert red.failed, f"green without its patch, so it is no longer needed:\n{red.output}"


@pytest.mark.parametrize("patch", PATCHES, ids=[patch.name for patch in PATCHES])
def test_a_proof_is_green_on_the_whole_series(real: Settings, tree: Tree, patch: Patch) -> None:
    done = proofs.run(CHECKOUT, patch.field("Proof"), tree(PATCHES), real.environ)
    assert done.green, done.output


def test_what_a_patch_stands_on_is_in_the_series() -> None:
    names = [patch.name.removesuffix(".patch") for patch in PATCHES]
    assert set(names) >= NEEDED
    for number, patch in enumerate(PATCHES):
        before = names[:number]
        assert all(name in before for name in patch.field("Stands-On").replace(",", " ").split()), patch.name
