from __future__ import annotations

from pathlib import Path

import pytest

from helpers import RELEASE, make_patch, release_repo
from webui_fork.cli.mutants import KNOWN, Run, check_unchanged, judge, known_survivors
from webui_fork.core.errors import ProofError, UsageError
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.core.settings import load as load_settings
from webui_fork.series import mutants
from webui_fork.series import patch as series_patch

MODELS = "backend/open_webui/utils/models.py"
CODE = "first = f(default=False)\nsecond = f(default=False)\n"
SURVIVOR = """
[[survivor]]
patch = "one"
path = "a.py"
line = "first = f(default=False)"
mutant = "changed constant: False -> True"
why = "nobody can tell"
"""
FAULTS = [fault for fault in mutants.mutants(CODE, frozenset({1, 2})) if fault.kind == "changed constant"]


def runs(killed: int, *survivors: mutants.Mutant) -> list[Run]:
    """So many runs that the proof noticed, and some that it did not."""
    return [Run("one", "a.py", FAULTS[0], killed=True)] * killed + [
        Run("one", "a.py", fault, killed=False) for fault in survivors
    ]


@pytest.fixture
def excusing(private_settings: Settings) -> Settings:
    file = private_settings.root / KNOWN
    file.parent.mkdir(parents=True)
    file.write_text(SURVIVOR)
    return private_settings


def test_a_known_survivor_is_no_failure(excusing: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    judge(excusing, runs(9, FAULTS[0]), whole=True)
    told = capsys.readouterr().out
    assert "9 of 10" in told
    assert "nobody can tell" in told
    assert "nobody can tell" in (excusing.out / "mutants.md").read_text()


def test_the_same_fault_in_another_line_is_another_survivor(excusing: Settings) -> None:
    assert FAULTS[0].name == FAULTS[1].name
    with pytest.raises(ProofError, match="1 survivors have no recorded reason; patches below 90%: none"):
        judge(excusing, runs(99, FAULTS[1]), whole=True)


def test_too_few_are_noticed_even_if_all_are_known(excusing: Settings) -> None:
    with pytest.raises(ProofError, match="0 survivors have no recorded reason; patches below 90%: one"):
        judge(excusing, runs(8, FAULTS[0]), whole=True)


def test_nothing_follows_from_a_sample(excusing: Settings) -> None:
    judge(excusing, runs(0, FAULTS[1]), whole=False)


@pytest.mark.parametrize("left_out", ["patch", "path", "line", "mutant", "why"])
def test_a_known_survivor_says_all_of_it(excusing: Settings, left_out: str) -> None:
    text = "\n".join(row for row in SURVIVOR.splitlines() if not row.startswith(left_out))
    (excusing.root / KNOWN).write_text(text)
    with pytest.raises(UsageError, match="can't be read"):
        known_survivors(excusing)


def test_the_known_survivors_are_faults_in_lines_of_the_series() -> None:
    rows = known_survivors(load_settings(root=CHECKOUT))
    assert rows
    for patch, path, line, _ in rows:
        text = (CHECKOUT / f"patches/{patch}.patch").read_text()
        added = text.split(f"\n+++ b/backend/{path}\n")[1].split("\ndiff --git ")[0].splitlines()
        assert line in {row[1:].strip() for row in added if row.startswith("+")}, (patch, line)


@pytest.mark.parametrize(("body", "holds"), [("pass", True), ("assert False", False), ("1 / 0", False), ("", False)])
def test_a_proof_has_to_hold_without_a_fault(
    private_settings: Settings, tmp_path: Path, body: str, holds: bool
) -> None:
    repo, release = release_repo(tmp_path)
    data, _ = make_patch(repo, release, {MODELS: RELEASE[MODELS] + b"x = 1\n"}, "First")
    patch = series_patch.parse("first.patch", data)
    proof = private_settings.root / patch.field("Proof")
    proof.parent.mkdir(parents=True)
    option = "def pytest_addoption(parser):\n    parser.addoption('--tree')\n"
    (proof.parent / "conftest.py").write_text(option)
    proof.write_text(f"def test_it():\n    {body}\n" if body else "")
    if holds:
        check_unchanged(private_settings, tmp_path, patch)
        return
    with pytest.raises(ProofError, match=r"The proof of first\.patch fails without a fault"):
        check_unchanged(private_settings, tmp_path, patch)
