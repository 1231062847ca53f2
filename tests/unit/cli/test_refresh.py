from __future__ import annotations

import pytest

from helpers import Talk
from webui_fork.cli import lock, main, refresh
from webui_fork.core.errors import UsageError
from webui_fork.core.settings import Settings
from webui_fork.publish import refresh as publish_refresh
from webui_fork.publish.refresh_report import ImageSummary, Moved, NotMoved, RefreshReport

REPORT = RefreshReport(
    (Moved("a.lock", "curl", "1", "2", ("DSA-1", "DSA-2")), Moved("a.lock", "new", "", "3", ())),
    (NotMoved("b.lock", "stuck", "1", ("GHSA-1",), ("2",)),),
    ImageSummary("v1-p1"),
    ImageSummary("v1-p2", "sha256:bb", 5),
)


@pytest.mark.parametrize("report", [REPORT, None])
def test_it_says_what_moved_and_why(
    private_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    report: RefreshReport | None,
) -> None:
    monkeypatch.setattr(publish_refresh, "run", lambda _s, _ui, url, dry_run: report if url == "http://osv" else 1)
    refresh.run(private_settings, Talk(), main.parser("refresh").parse_args(["refresh", "--osv-url", "http://osv"]))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    if report is None:
        assert lines == ["Nothing changed: the locks already match the mirrors and the index."]
        return
    assert lines[:2] == ["a.lock curl 1 2 DSA-1 DSA-2", "a.lock new new 3"]
    assert "digest sha256:bb" in lines
    assert "Not moved: stuck 1 of b.lock: GHSA-1, fixed in 2" in lines
    assert lines[-1] == "Committed. Next: nox -s tests"
    refresh.run(
        private_settings, Talk(), main.parser("refresh").parse_args(["refresh", "--dry-run", "--osv-url", "http://osv"])
    )
    assert capsys.readouterr().out.endswith("Dry run: nothing was committed.\n")


def test_only_the_tools_packages_are_taken_at_once(private_settings: Settings) -> None:
    with pytest.raises(UsageError, match="for the tools' own packages"):
        lock.run(private_settings, Talk(), main.parser("lock").parse_args(["lock", "--at-once", "x"]))
