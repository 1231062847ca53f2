from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers import Talk
from remote_fix import CODE, FIXED, GRANTS, LATER, OLDER, World
from webui_fork.backport import run
from webui_fork.backport.fix import Part
from webui_fork.backport.run import Order
from webui_fork.config import image_toml, upstream_lock
from webui_fork.core.errors import ConflictError, GateError, ProofError, SeriesError, UsageError
from webui_fork.image import inputs as image_inputs
from webui_fork.rebase import gate
from webui_fork.rebase.cherry_pick import Outcome
from webui_fork.series import apply, proofs
from webui_fork.series.patch import Patch
from webui_fork.series.proofs import ProofRun

PROOF = "tests/proofs/test_keep_administrators.py"


def _order(fix: str, **changes: Any) -> Order:
    plain = Order(fix, "1.2.3", "Keep administrators", "They went.", "none", ("CVE-2026-12345",), (), (), "")
    return replace(plain, **changes)


def _fixed(world: World, text: str = FIXED) -> str:
    world.put(CODE, text)
    return world.fix("fix")


def _rehearsed(world: World, order: Order) -> run.Backport:
    return run.carry(world.settings, Talk(), order, proved=False)


def test_a_fix_goes_among_other_lines_of_the_older_release(world: World) -> None:
    done = _rehearsed(world, _order(_fixed(world)))
    assert done.carried.patch
    assert done.carried.outcome is not Outcome.CONFLICT
    added = [line.value for file in done.carried.patch.files for hunk in file for line in hunk if line.is_added]
    assert added == ["    if user.role == ROLE:\n", "        raise HTTPException(403)\n", "\n"]
    assert dict(done.carried.patch.fields) == {
        "Description": "They went.",
        "Origin": f"backport, file://{world.remote}/commit/{world.git('rev-parse', 'HEAD')}",
        "Forwarded": "not-needed",
        "Bug": "none",
        "Advisory": "CVE-2026-12345",
        "Applies-To": ">=1.2.3",
        "Proof": PROOF,
    }
    assert not list((world.settings.root / "lines/1.2/patches").glob("*.patch"))


def test_a_release_that_has_the_fix_says_so(world: World) -> None:
    world.put(CODE, OLDER.replace("    if not user:\n        raise HTTPException(404)\n\n", ""))
    world.fix("without")
    with pytest.raises(ConflictError, match="has all of it already"):
        _rehearsed(world, _order(_fixed(world, OLDER)))


def test_what_the_older_release_has_not_is_named(world: World) -> None:
    needy = FIXED.replace("raise HTTPException(403)", "raise Forbidden(user)").replace(
        "import HTTPException", "import HTTPException\nfrom open_webui.errors import Forbidden"
    )
    with pytest.raises(ConflictError) as caught:
        _rehearsed(world, _order(_fixed(world, needy)))
    assert "imports Forbidden from open_webui.errors, which is gone" in caught.value.why
    assert (world.settings.out / "backport/keep-administrators.patch").exists()


def test_a_package_that_the_older_release_has_not_is_named(world: World) -> None:
    needy = FIXED.replace("import logging", "import logging\nimport secrets\nimport newlib").replace(
        "HTTPException(403)", "HTTPException(newlib.code(secrets))"
    )
    with pytest.raises(ConflictError) as caught:
        _rehearsed(world, _order(_fixed(world, needy)))
    assert f"{CODE} imports newlib, a package that nothing of 1.2.3 has" in caught.value.why
    assert "secrets" not in caught.value.why


def test_what_another_part_of_the_fix_brings_is_named(world: World) -> None:
    world.put(GRANTS, "class Grants:\n    def new(self):\n        return self\n")
    world.put(CODE, LATER.replace("    success", "    Grants.new()\n    success"))
    both = world.fix("fix")
    with pytest.raises(ConflictError) as caught:
        _rehearsed(world, _order(both, parts=(Part(CODE),)))
    assert caught.value.why == "new() is not in 1.2.3"
    assert _rehearsed(world, _order(both, parts=(Part(CODE), Part(GRANTS)))).carried.patch


def test_blocks_are_taken_by_number(world: World) -> None:
    two = FIXED.replace("import logging\n\n", "import logging\n\nLIMIT = 7\n")
    fix = _fixed(world, two)
    blocks = run.listed(world.settings, Talk(), fix, ())
    assert [block.function for block in blocks] == ["", "delete_user"]
    patch = _rehearsed(world, _order(fix, blocks=(2,))).carried.patch
    assert patch
    assert b"LIMIT" not in patch.data
    with pytest.raises(UsageError, match="no block 3"):
        _rehearsed(world, _order(fix, blocks=(3,)))
    patch = _rehearsed(world, _order(fix, parts=(Part(CODE, ("delete_user",)),))).carried.patch
    assert patch
    assert b"LIMIT" not in patch.data


def test_a_subject_that_is_no_order_is_refused_first(world: World) -> None:
    with pytest.raises(SeriesError, match="subject"):
        _rehearsed(world, _order("nonsense", subject="Fixed it"))


class Proofs:
    """What the proof says, without and with the patch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, without: ProofRun, with_patch: ProofRun) -> None:
        self.laid_out: list[tuple[str, ...]] = []
        outcomes = {0: without, 1: with_patch}

        @contextmanager
        def laid_out(_line: object, _ui: object, patches: Sequence[Patch]) -> Iterator[Path]:
            self.laid_out.append(tuple(patch.name for patch in patches))
            yield Path("tree")

        monkeypatch.setattr(gate, "laid_out", laid_out)
        monkeypatch.setattr(proofs, "run", lambda *_: outcomes[len(self.laid_out) - 1])
        monkeypatch.setattr(image_toml, "read", lambda _: None)
        monkeypatch.setattr(image_inputs, "check_series", lambda *_: None)


RED, GREEN, BROKEN = ProofRun(3, 1, 0, 1.0, ""), ProofRun(3, 0, 0, 1.0, "3 passed"), ProofRun(3, 0, 1, 1.0, "broke")


def _proved(world: World, monkeypatch: pytest.MonkeyPatch, without: ProofRun, with_patch: ProofRun) -> run.Backport:
    proof = world.settings.root / PROOF
    proof.parent.mkdir(parents=True)
    proof.write_text("# a proof\n")
    Proofs(monkeypatch, without, with_patch)
    return run.carry(world.settings, Talk(), _order(_fixed(world)), proved=True)


def test_a_proved_fix_is_the_last_patch_of_its_line(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    done = _proved(world, monkeypatch, RED, GREEN)
    line = world.settings.on_line("1.2")
    _, patches = apply.read_series(line.patches)
    assert [patch.name for patch in patches] == ["keep-administrators.patch"]
    assert (done.red, done.green, done.tag) == (1, 3, upstream_lock.read(line.lock_file).tag)
    assert done.tag == "v1.2.3-p2"
    with pytest.raises(UsageError, match="exists"):
        run.carry(
            world.settings, Talk(), _order(f"file://{world.remote}#{world.git('rev-parse', 'HEAD')}"), proved=True
        )


@pytest.mark.parametrize(
    ("without", "with_patch", "words"),
    [
        (GREEN, GREEN, "does not fail"),
        (BROKEN, GREEN, "does not fail"),
        (RED, RED, "fails with"),
        (RED, BROKEN, "fails with"),
    ],
)
def test_what_the_proof_does_not_show_leaves_the_line_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, without: ProofRun, with_patch: ProofRun, words: str
) -> None:
    before = world.settings.on_line("1.2").lock_file.read_bytes()
    with pytest.raises(GateError, match=words):
        _proved(world, monkeypatch, without, with_patch)
    assert world.settings.on_line("1.2").lock_file.read_bytes() == before
    assert not list((world.settings.root / "lines/1.2/patches").glob("*.patch"))


def test_without_a_proof_one_is_begun(world: World) -> None:
    with pytest.raises(ProofError, match="no proof yet"):
        run.carry(world.settings, Talk(), _order(_fixed(world)), proved=True)
    assert "pytest.fail" in (world.settings.root / PROOF).read_text()
