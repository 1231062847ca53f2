from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers import Talk, interrupted
from remote_fix import CODE, FIXED, GRANTS, LATER, OLDER, World
from webui_fork.backport import fix, lines, run
from webui_fork.backport.fix import Part
from webui_fork.backport.run import Order
from webui_fork.config import image_toml, upstream_lock
from webui_fork.core.errors import ConflictError, ForkError, GateError, ProofError, SeriesError, UsageError
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
from webui_fork.rebase.cherry_pick import Outcome
from webui_fork.series import apply, proofs, worktree
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
    assert f"{CODE} imports newlib, a package that 1.2.3 does not have" in caught.value.why
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
    two = FIXED.replace("ROLE = 1\n", "ROLE = 1\nLIMIT = 7\n")
    words = _fixed(world, two)
    blocks = run.listed(world.settings, Talk(), words, ())
    assert [block.function for block in blocks] == ["", "delete_user"]
    patch = _rehearsed(world, _order(words, blocks=(2,))).carried.patch
    assert patch
    assert b"LIMIT" not in patch.data
    with pytest.raises(UsageError, match="no block 3"):
        _rehearsed(world, _order(words, blocks=(3,)))
    patch = _rehearsed(world, _order(words, parts=(Part(CODE, ("delete_user",)),))).carried.patch
    assert patch
    assert b"LIMIT" not in patch.data


def test_a_subject_that_is_no_order_is_refused_first(world: World) -> None:
    with pytest.raises(SeriesError, match="subject"):
        _rehearsed(world, _order("nonsense", subject="Fixed it"))


class Proofs:
    """What the proofs say, without and with the patch, and what was asked of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, without: ProofRun, with_patch: ProofRun) -> None:
        self.laid_out: list[tuple[str, ...]] = []
        self.ran: list[tuple[Path, str]] = []
        self.linted: list[str] = []
        outcomes = {0: without, 1: with_patch}

        @contextmanager
        def laid_out(_line: object, _ui: object, patches: Sequence[Patch]) -> Iterator[Path]:
            self.laid_out.append(tuple(patch.name for patch in patches))
            yield Path("tree")

        def ran(root: Path, proof: str, *_: object) -> ProofRun:
            self.ran.append((root, proof))
            return outcomes[len(self.laid_out) - 1]

        monkeypatch.setattr(pipeline, "laid_out", laid_out)
        monkeypatch.setattr(proofs, "run", ran)
        monkeypatch.setattr(image_toml, "read", lambda _: None)
        monkeypatch.setattr(image_inputs, "check_series", lambda *_: self.linted.append("linted"))


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


def test_ctrl_c_while_it_is_added_leaves_no_half(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(monkeypatch, worktree, "write_order")
    with pytest.raises(KeyboardInterrupt):
        _proved(world, monkeypatch, RED, GREEN)
    line = world.settings.on_line("1.2")
    assert [patch.name for patch in apply.read_series(line.patches)[1]] == ["keep-administrators.patch"]
    assert upstream_lock.read(line.lock_file).tag == "v1.2.3-p2"


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


def test_a_second_fix_stands_on_the_first_and_leaves_its_proof_green(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _proved(world, monkeypatch, RED, GREEN)
    world.put(GRANTS, "class Grants:\n    limit = 1\n")
    second = world.fix("limit")
    other = "tests/proofs/test_limit_grants.py"
    (world.settings.root / other).write_text("# a proof\n")
    seen = Proofs(monkeypatch, RED, GREEN)
    done = run.carry(world.settings, Talk(), _order(second, subject="Limit grants", proof=other), proved=True)
    first, limit = "keep-administrators.patch", "limit-grants.patch"
    assert seen.laid_out == [(first,), (first, limit)]
    assert seen.ran == [(world.settings.root, other), (world.settings.root, PROOF), (world.settings.root, other)]
    assert seen.linted
    assert (done.red, done.green) == (1, 3)
    _, patches = apply.read_series(world.settings.on_line("1.2").patches)
    assert [patch.name for patch in patches] == [first, limit]
    third = _order(_fixed(world, f"{FIXED}\n\ndef more():\n    return 1\n"), subject="Add more")
    patch = _rehearsed(world, third).carried.patch
    assert patch
    assert sum(file.added for file in patch.files) == 4  # on the first fix, not beside it
    with pytest.raises(ConflictError, match="with its patches has all"):
        _rehearsed(world, _order(second, subject="Limit grants again"))


@pytest.mark.parametrize("proof", ["../x.py", "/x/tests/proofs/test_x.py", "build/x.py", "tests/proofs/x.py",
                                   "tests/proofs/test_x.py\n", "tests/proofs/../test_x.py"])  # fmt: skip
def test_a_proof_has_its_place(world: World, proof: str) -> None:
    with pytest.raises(UsageError, match="no place for a proof"):
        _rehearsed(world, _order("x", proof=proof))


@pytest.mark.parametrize(
    "changes",
    [
        {"description": "a\rAdvisory: CVE-2020-12345"},
        {"description": "a\u2028b"},
        {"description": "\udcff"},
        {"bug": "x"},
    ],
)
def test_a_header_that_lint_would_refuse_is_refused_first(world: World, changes: dict[str, str]) -> None:
    with pytest.raises(SeriesError, match="breaks 1 rule"):
        _rehearsed(world, _order(_fixed(world), **changes))


def test_a_line_that_is_not_older_needs_no_fix(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    obtained = fix.obtain
    monkeypatch.setattr(fix, "obtain", lambda *a: replace(obtained(*a), release="1.2.3"))
    with pytest.raises(UsageError, match=r"is not older than 1\.2\.3"):
        _rehearsed(world, _order(_fixed(world), parts=(Part(CODE),)))
    monkeypatch.setattr(fix, "obtain", lambda *a: replace(obtained(*a), release="1.2.4"))
    patch = _rehearsed(world, _order(_fixed(world, f"{FIXED}# more\n"), parts=(Part(CODE),))).carried.patch
    assert patch
    assert patch.field("Applies-To") == ">=1.2.3,<1.2.4"


def test_a_name_that_no_patch_can_have_is_refused(world: World) -> None:
    world.put("backend/open_webui/\u00e9.py", "x = 1\n")
    with pytest.raises(SeriesError, match="can't be part of a patch"):
        _rehearsed(world, _order(_fixed(world)))


def test_an_argument_that_another_block_brings_is_missed(world: World) -> None:
    helper = "def helper(user):\n    return user\n\n\n"
    with_helper = LATER.replace("async def delete_user", f"{helper}async def delete_user")
    world.put(CODE, with_helper)
    world.fix("helper")
    strict = with_helper.replace("def helper(user)", "def helper(user, strict=False)")
    world.put(CODE, strict.replace("    success", "    helper(user, strict=True)\n    success"))
    both = world.fix("fix")
    with pytest.raises(ConflictError):
        _rehearsed(world, _order(both, parts=(Part(CODE, ("delete_user",)),)))


def test_an_executable_stays_one(world: World) -> None:
    tool = "backend/open_webui/tool.py"
    world.put(tool, "print(1)\n")
    (world.remote / tool).chmod(0o755)
    patch = _rehearsed(world, _order(world.fix("tool"))).carried.patch
    assert patch
    assert b"new file mode 100755" in patch.data


def test_a_line_begins_where_there_is_none_but_not_for_a_dry_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[str] = []
    monkeypatch.setattr(lines, "begin", lambda *a: began.append(a[3]))
    words = _fixed(world)
    for proved in (False, True):
        with pytest.raises(ForkError):  # as far as the index, which has no such release
            run.carry(world.settings, Talk(), _order(words, onto="1.1.0"), proved=proved)
    assert began == ["1.1.0"]


def test_without_a_proof_one_is_begun(world: World) -> None:
    with pytest.raises(ProofError, match="no proof yet"):
        run.carry(world.settings, Talk(), _order(_fixed(world)), proved=True)
    assert "pytest.fail" in (world.settings.root / PROOF).read_text()
