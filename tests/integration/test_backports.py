"""How far fixes go back, and what stops one; and that the releases which have a fix need no patch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from webui_fork.backport import run as backport_run
from webui_fork.backport.fix import Part
from webui_fork.backport.run import Order
from webui_fork.core.errors import ConflictError
from webui_fork.core.files import temp_folder
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
from webui_fork.oci import unpack
from webui_fork.series import apply, proofs

OWN = {patch.field("Proof") for patch in apply.read_series(CHECKOUT / "patches")[1]}
OTHERS = sorted(f"tests/proofs/{file.name}" for file in (CHECKOUT / "tests/proofs").glob("test_*.py"))
OTHERS = [proof for proof in OTHERS if proof not in OWN]
P = "backend/open_webui"
KEYS = Part(f"{P}/utils/auth.py", ("get_current_user_by_api_key",))
FILES = Part(f"{P}/utils/access_control/files.py", ("has_access_to_file",))
EVENTS = Part(f"{P}/tools/builtin.py", ("update_calendar_event",))

pytestmark = pytest.mark.minutes(2)


@pytest.fixture(scope="module")
def newest(real: Settings, inputs: image_inputs.Inputs, forks: str) -> Iterator[Path]:
    """Lay the release out that the checkout pins, as upstream has it."""
    built = pipeline.build(real, replace(inputs, patches=()), Terminal(), locked=True)
    with temp_folder(real.cache / "trees", "lines-") as work:
        yield unpack.tree(built.image, real.cache, work / "tree")


@pytest.mark.parametrize("proof", OTHERS)
def test_the_proof_of_a_backport_is_green_on_the_release_that_has_the_fix(
    real: Settings, newest: Path, proof: str
) -> None:
    done = proofs.run(CHECKOUT, proof, newest, real.environ)
    assert done.green, done.output


def _order(fix: str, onto: str, part: Part, *blocks: int) -> Order:
    return Order(fix, onto, "Mend it", "It was broken.", "none", (), (part,), blocks, "")


@pytest.mark.parametrize("onto", ["0.8.12", "0.8.0", "0.6.43"])
def test_cve_2026_45339_goes_back_over_many_releases(real: Settings, onto: str) -> None:
    done = backport_run.carry(real, Terminal(), _order("0.8.12..0.9.0", onto, KEYS, 4), proved=False)
    assert done.carried.patch
    (file,) = done.carried.patch.files
    assert (file.added, file.removed) == (15, 0)
    assert b"ENABLE_API_KEYS_ENDPOINT_RESTRICTIONS" in done.carried.patch.data


CANNOT = [
    # in 0.6.30 the function does not know the request
    ("0.8.12..0.9.0", "0.6.30", KEYS, 4, "Undefined name `request`"),
    # CVE-2026-45671: what it asks came with the same release, and with a migration
    ("0.8.12..0.9.0", "0.8.12", FILES, 8, "get_shared_chat_ids_by_file_id() is not in 0.8.12"),
    # groups that inherit are another part of 0.12.0
    ("0.11.4..0.12.0", "0.11.4", EVENTS, 1, "get_groups_by_member_id() takes other arguments"),
]


@pytest.mark.parametrize(("fix", "onto", "part", "block", "words"), CANNOT, ids=[row[-1] for row in CANNOT])
def test_what_an_older_release_has_not_is_named(
    real: Settings, fix: str, onto: str, part: Part, block: int, words: str
) -> None:
    with pytest.raises(ConflictError) as caught:
        backport_run.carry(real, Terminal(), _order(fix, onto, part, block), proved=False)
    assert words in caught.value.why
