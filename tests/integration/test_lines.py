"""The lines of older releases: each backport is red on its release, and green on the image of its line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import processes
import shared
from shared import OTHERS
from webui_fork.core.files import temp_folder
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
from webui_fork.oci import unpack
from webui_fork.series import apply, proofs
from webui_fork.series.patch import Patch

LINES = sorted(file.parent.name for file in (CHECKOUT / "lines").glob("*/upstream.lock"))
PATCHES = [(name, patch) for name in LINES for patch in apply.read_series(CHECKOUT / "lines" / name / "patches")[1]]
Trees = Callable[[str, bool], Path]

pytestmark = pytest.mark.minutes(3)


@pytest.fixture(scope="module")
def trees(real: Settings, request: pytest.FixtureRequest) -> Iterator[Trees]:
    """Lay a line out, without its patches or with all of them; what is published of it is the image with all."""
    with temp_folder(real.cache / "trees", "lines-") as work:

        def laid_out(name: str, patched: bool) -> Path:
            folder = work / f"{name}-{patched}"
            if not folder.exists():
                own = real.on_line(name)
                inputs = image_inputs.read_inputs(own, Terminal(), locked=True)
                inputs = inputs if patched else replace(inputs, patches=())
                built = pipeline.build(own, inputs, Terminal(), locked=False)  # the mirror may have newer packages
                unpack.tree(built.image, real.cache, folder)
                shared.once(f"forks-{name}", lambda: processes.serve_forks(folder))
                if patched and not built.drift:
                    digest = str(built.image.digest)
                    request.config.stash.setdefault(OTHERS, []).append((digest, request.node.nodeid))
            return folder

        yield laid_out


@pytest.mark.parametrize(("name", "patch"), PATCHES, ids=[f"{name}-{patch.name}" for name, patch in PATCHES])
def test_a_backport_is_red_on_its_release_and_green_on_its_line(
    real: Settings, trees: Trees, name: str, patch: Patch
) -> None:
    red = proofs.run(CHECKOUT, patch.field("Proof"), trees(name, False), real.environ, "-x")
    assert not red.errors, red.output
    assert red.failed, red.output
    green = proofs.run(CHECKOUT, patch.field("Proof"), trees(name, True), real.environ)
    assert green.green, green.output
