from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from helpers import Talk, make_patch, release_repo
from registries import image_of
from webui_fork.core.settings import CHECKOUT, Secret, Settings
from webui_fork.image import pipeline
from webui_fork.merge.three_way import File, Method
from webui_fork.oci import layout
from webui_fork.rebase import gate
from webui_fork.rebase.cherry_pick import Carried, Outcome
from webui_fork.rebase.gate import Step
from webui_fork.series import patch as series_patch
from webui_fork.series.patch import Patch
from webui_fork.series.proofs import ProofRun
from webui_fork.sources.interface import Difference

FINE, FAILS = ("-c", "print('fine')"), ("-c", "raise SystemExit('no')")


def test_what_comes_after_a_failure_is_not_run(private_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "STEPS", (Step("lint", FINE), Step("style", FAILS), Step("build", FINE)))
    checks, digest = gate.run(private_settings, Talk())
    assert [(check.name, check.passed) for check in checks] == [("lint", True), ("style", False), ("build", None)]
    assert checks[0].detail == "fine"
    assert "no" in checks[1].detail
    assert digest == ""


def test_a_build_that_dies_half_way_is_a_failed_check(
    private_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (private_settings.out / "image/blobs").mkdir(parents=True)
    monkeypatch.setattr(gate, "STEPS", (Step("build", FAILS),))
    checks, digest = gate.run(private_settings, Talk())
    assert [check.passed for check in checks] == [False]
    assert digest == ""


def test_the_build_alone_has_what_signs(private_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other steps run upstream's code, and that of every dependency."""
    tells = ("-c", "import os; print(*[key for key in ('COSIGN_PASSWORD', 'GITHUB_TOKEN') if key in os.environ], '-')")
    monkeypatch.setattr(gate, "STEPS", tuple(Step(name, tells) for name in ("lint", "build", "proofs", "integration")))
    environ = {**private_settings.environ, "GITHUB_TOKEN": "t"}
    own = replace(private_settings, environ=environ, cosign_password=Secret("word"))
    image = image_of(own.cache, b"x")
    layout.write_layout(own.out / "image", "v1", image, own.cache)
    checks, digest = gate.run(own, Talk())
    assert digest == image.digest
    assert [check.detail for check in checks] == ["-", "COSIGN_PASSWORD GITHUB_TOKEN -", "-", "-"]


@pytest.mark.parametrize(("series", "names"), [("a.patch", ["lint"]), ("b.patch", ["lint", gate.FRONT_END])])
def test_upstream_s_front_end_is_built_where_the_series_changes_it(
    private_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, series: str, names: list[str]
) -> None:
    repo, release = release_repo(tmp_path)
    changed = {"a.patch": {"backend/open_webui/new.py": b"x = 1\n"}, "b.patch": {"src/app.html": b"<p></p>\n"}}
    (private_settings.patches).mkdir()
    (private_settings.patches / series).write_bytes(make_patch(repo, release, changed[series], "Do a thing")[0])
    (private_settings.patches / "series").write_text(f"{series}\n")
    shutil.copytree(CHECKOUT / "images/open-webui", private_settings.root / "images/open-webui")
    monkeypatch.setattr(gate, "STEPS", (Step("lint", FINE), Step(gate.FRONT_END, FINE)))
    checks, _ = gate.run(private_settings, Talk())
    assert [check.name for check in checks] == names


@pytest.mark.parametrize(
    ("code", "row"),
    [
        (
            "import json, sys\nprint(json.dumps([['measure', 'list', '1', sys.argv[1]]]))",
            Difference("measure", "list", "1", "/old"),
        ),
        (
            "import os\nraise SystemExit('no mirror ' + os.environ.get('GITHUB_TOKEN', '-'))",
            Difference("measure", "old and new images", "not compared", "no mirror -"),
        ),
        (
            "print('odd')",
            Difference("measure", "old and new images", "not compared", "Expecting value: line 1 column 1 (char 0)"),
        ),
    ],
)
def test_the_new_images_are_held_against_the_old(private_settings: Settings, code: str, row: Difference) -> None:
    script = private_settings.root / "tests/bench/bump.py"
    script.parent.mkdir(parents=True)
    script.write_text(code)
    old = replace(private_settings, root=Path("/old"))
    own = replace(private_settings, environ={**private_settings.environ, "GITHUB_TOKEN": "t"})
    assert gate.differences(old, own, Talk()) == (row,)


@dataclass
class Bench:
    """Patches that are carried, and proofs whose verdict a test sets; `trees` are what each was run on."""

    settings: Settings
    patches: dict[str, Patch]
    verdicts: dict[str, ProofRun] = field(default_factory=dict)
    trees: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def row(self, name: str, outcome: Outcome, *, needs_proof: bool = False) -> Carried:
        file = File("x.py", Method.LINES, "text", needs_proof=needs_proof)
        patch = None if outcome is Outcome.UPSTREAMED else self.patches[name]
        return Carried(name, outcome, Method.LINES, patch, "commit", (file,), "", needs_proof)

    def proved(
        self, *rows: Carried, unclear: tuple[str, ...] = (), before: tuple[str, ...] = ()
    ) -> tuple[list[tuple[str, Outcome, str]], tuple[str, ...]]:
        self.trees.clear()
        why = dict.fromkeys(unclear, (gate.UNCLEAR, "its proof does not run"))
        carried, seen = gate.proved(self.settings, Talk(), rows, self.patches, why, before)
        return [(row.name, row.outcome, row.why) for row in carried], seen


@pytest.fixture
def bench(private_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    repo, release = release_repo(tmp_path)
    patches = {}
    for name in ("a.patch", "b.patch", "c.patch"):
        data, _ = make_patch(repo, release, {f"backend/open_webui/{name[0]}.py": b"x = 1\n"}, f"Do {name[0]}")
        patches[name] = series_patch.parse(name, data)
    own = Bench(private_settings, patches)

    @contextmanager
    def laid_out(_candidate: Settings, _ui: object, stack: Sequence[Patch]) -> Iterator[tuple[str, ...]]:
        yield tuple(patch.name for patch in stack)

    def run(_candidate: Settings, patch: Patch, tree: tuple[str, ...]) -> ProofRun:
        own.trees.append((patch.name, tree))
        return own.verdicts.get(patch.name, ProofRun(1, 0, 0, 0.0, ""))

    monkeypatch.setattr(pipeline, "laid_out", laid_out)
    monkeypatch.setattr(gate, "_run", run)
    return own


RED = ProofRun(2, 1, 0, 0.0, "...\n1 failed in 2 s\n")


def test_what_only_the_tree_could_place_is_proved_with_all_before_it(bench: Bench) -> None:
    rows = [bench.row("a.patch", Outcome.MERGED), bench.row("b.patch", Outcome.RELOCATED, needs_proof=True)]
    proved, seen = bench.proved(*rows, bench.row("c.patch", Outcome.OFFSET))
    assert [row[1] for row in proved] == [Outcome.MERGED, Outcome.RELOCATED, Outcome.OFFSET]
    assert bench.trees == [("b.patch", ("a.patch", "b.patch"))]
    assert bench.proved(*rows, before=seen)[0] == proved[:2]
    assert bench.trees == []  # it was proved before
    bench.verdicts["b.patch"] = RED
    proved, seen = bench.proved(*rows, bench.row("c.patch", Outcome.OFFSET))
    assert proved[1:] == [("b.patch", Outcome.CONFLICT, "its proof fails with it: 1 failed in 2 s")]
    assert seen == ()
    (*_, last), _ = bench.proved(*rows, unclear=("b.patch",))
    assert last[1:] == (Outcome.CONFLICT, "only its proof could say whether it is right, and its proof does not run")


def test_what_the_release_seems_to_have_is_proved_without_it(bench: Bench) -> None:
    """Its text may be there and its effect not: the patch, and its proof, would be gone for good."""
    rows = [bench.row("a.patch", Outcome.MERGED), bench.row("b.patch", Outcome.UPSTREAMED)]
    proved, seen = bench.proved(*rows)
    assert proved[1] == (
        "b.patch", Outcome.UPSTREAMED, "; its proof is green without it, with the patches before it",
    )  # fmt: skip
    assert bench.trees == [("b.patch", ("a.patch",))]
    assert bench.proved(*rows, before=seen)[0] == proved
    assert bench.trees == []
    bench.verdicts["b.patch"] = RED
    proved, _ = bench.proved(*rows)
    assert proved[1] == ("b.patch", Outcome.CONFLICT, "its proof fails without it: 1 failed in 2 s")
    assert bench.proved(*rows, unclear=("b.patch",))[0][1][1] is Outcome.CONFLICT
    by_proof = replace(rows[1], files=())  # its proof was green on the pristine release
    assert bench.proved(by_proof)[0][0][1] is Outcome.UPSTREAMED


def test_what_the_pristine_release_seems_to_have_was_red_there(bench: Bench) -> None:
    proved, _ = bench.proved(bench.row("a.patch", Outcome.UPSTREAMED))
    assert proved == [("a.patch", Outcome.CONFLICT, "the release has its text, and its proof fails there")]
    assert bench.trees == []


def test_what_is_refused_stays_as_a_proposal(bench: Bench) -> None:
    """Of what is not the release's own."""
    (file,) = gate.refused(bench.row("a.patch", Outcome.RELOCATED, needs_proof=True), "no").files
    assert (file.text, file.proposal, file.why) == (None, "text", "no")
    (file,) = gate.refused(bench.row("a.patch", Outcome.UPSTREAMED), "no").files
    assert (file.text, file.proposal, file.why) == (None, None, "no")
    (file,) = gate.refused(bench.row("a.patch", Outcome.RELOCATED), "no").files
    assert file.text == "text"  # another file of it needs the proof
