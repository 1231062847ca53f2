from __future__ import annotations

import pytest

from helpers import Talk
from webui_fork.core.settings import Settings
from webui_fork.rebase import gate
from webui_fork.rebase.gate import Step

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
