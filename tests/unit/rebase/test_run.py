"""The end of a rebase: what its report has of the images."""

from __future__ import annotations

import pytest

from helpers import Talk
from webui_fork.core.errors import GateError
from webui_fork.core.settings import Settings
from webui_fork.rebase import candidate, gate, results, run
from webui_fork.rebase.report import Check, RebaseReport
from webui_fork.rebase.state import State
from webui_fork.sources.interface import Difference

SETTING, OLD, NEW = (Difference(*row, "1", "2") for row in (("setting", "A"), ("measure", "old"), ("measure", "new")))
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
