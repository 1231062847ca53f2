"""What a rebase says at its end, and what a dry run says of it before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from helpers import Talk
from webui_fork.core.errors import GateError
from webui_fork.core.settings import Settings
from webui_fork.merge.three_way import File, Method
from webui_fork.rebase import candidate, gate, results, run
from webui_fork.rebase.cherry_pick import Carried, Outcome
from webui_fork.rebase.report import Check, PatchRow, RebaseReport
from webui_fork.rebase.state import State
from webui_fork.sources.interface import Difference

SETTING, OLD, NEW = (Difference(*row, "1", "2") for row in (("setting", "A"), ("measure", "old"), ("measure", "new")))
FILE = File("x.py", Method.LINES, "text")
REPORT = RebaseReport("1.2.3", "1.3.0", "not proved", 1, (), (), (), (), differences=(SETTING, OLD))


@pytest.mark.parametrize("passed", [True, False])
def test_images_are_held_against_each_other_once_the_gate_has_passed(
    private_settings: Settings, monkeypatch: pytest.MonkeyPatch, passed: bool
) -> None:
    """A gate before, which passed and did not land, left its measures in the report."""
    written: list[RebaseReport] = []
    for module, name in ((candidate, "prepare"), (candidate, "land"), (run, "_close")):
        monkeypatch.setattr(module, name, lambda *_: None)
    monkeypatch.setattr(gate, "run", lambda *_: ((Check("lint", passed, 1.0),), ""))
    monkeypatch.setattr(gate, "differences", lambda *_: (NEW,))
    monkeypatch.setattr(results, "write", lambda _settings, report: written.append(report))
    state = State("a" * 40, "", gate=True, candidate="b" * 40)
    if passed:
        run._finish(private_settings, Talk(), state, REPORT)
    else:
        with pytest.raises(GateError, match="lint failed"):
            run._finish(private_settings, Talk(), state, REPORT)
    (report,) = written
    assert report.differences == ((SETTING, NEW) if passed else (SETTING,))


def test_a_dry_run_says_what_only_a_proof_decides(private_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = {
        "a": Carried("a", Outcome.RELOCATED, Method.TRANSPLANT, None, None, (FILE,), needs_proof=True),
        "b": Carried("b", Outcome.UPSTREAMED, Method.LINES, None, None, (FILE,)),
        "c": Carried("c", Outcome.CONFLICT, Method.PERSON, None, None, (FILE,)),
        "d": Carried("d", Outcome.MERGED, Method.LINES, None, None, (FILE,)),
    }
    rows = tuple(PatchRow(name, row.outcome, "", (1, 0), None) for name, row in outcomes.items())
    for name, value in (
        ("_begun", State("a" * 40, "", gate=False)), ("_job", None), ("_refuse_blocked", None),
        ("_carry", list(outcomes.values())),
    ):  # fmt: skip
        monkeypatch.setattr(run, name, lambda *_, _value=value, **_options: _value)
    monkeypatch.setattr(results, "report", lambda *_: replace(REPORT, rows=rows))
    report = run.rehearse(private_settings, Talk(), None)
    assert report
    assert [row.review for row in report.rows] == [
        "its proof would decide", "its proof would decide", "a conflict if its proof is red without it", "",
    ]  # fmt: skip
