"""What became of each patch, as a row of the report; the report's files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from helpers import RELEASE, Talk, make_patch, release_repo
from webui_fork.config.upstream_lock import Lock, PinnedFile
from webui_fork.core.settings import Settings
from webui_fork.merge.three_way import Method
from webui_fork.rebase import results
from webui_fork.rebase.cherry_pick import Carried, Outcome
from webui_fork.rebase.releases import Ends
from webui_fork.rebase.results import Job
from webui_fork.rebase.state import State
from webui_fork.series import apply
from webui_fork.series import patch as series_patch

FILE = PinnedFile(name="x.tar.gz", size=1, sha256="0" * 64)
OLD = Lock("1.2.3", datetime(2026, 1, 2, tzinfo=UTC), FILE, FILE, None, ())
NEW = Lock("1.3.0", datetime(2026, 1, 9, tzinfo=UTC), FILE, FILE, None, ())
NAMES = ("moved", "decided", "dropped", "waits", "later")


def test_each_patch_has_a_row_and_what_a_person_should_look_at(
    tmp_path: Path, talk: Talk, private_settings: Settings
) -> None:
    repo, release = release_repo(tmp_path / "repo", RELEASE)
    data, commit = make_patch(repo, release, {"backend/open_webui/new.py": b"x = 1\n"})
    patches = tuple(series_patch.parse(f"{name}.patch", data) for name in NAMES)
    ends = Ends(repo, release, release, 0, "1.3.0")
    state = State("a" * 40, "", gate=False, skipped=("dropped.patch",))
    job = Job(state, OLD, NEW, ends, patches, apply.PatchedTree(release, (commit,) * 5))
    moved, decided, dropped, waits, _ = patches
    carried = [
        Carried(moved.name, Outcome.RELOCATED, Method.PERSON, moved, commit, ()),
        Carried(decided.name, Outcome.CONFLICT, Method.PERSON, decided, commit, ()),
        Carried(dropped.name, Outcome.CONFLICT, Method.PERSON, None, None, (), "a person dropped it"),
        Carried(waits.name, Outcome.CONFLICT, Method.PERSON, None, None, (), "both changed it"),
    ]
    report = results.report(job, carried, "conflict", talk)
    assert [(row.outcome, row.after, row.review or row.why) for row in report.rows] == [
        ("relocated", (1, 0), "please review: its place is new"),
        ("conflict", (1, 0), "resolved by a person"),
        ("skipped", None, "a person dropped it"),
        ("conflict", None, "both changed it"),
        ("not tried", (1, 0), ""),
    ]
    results.write(private_settings, report)
    folder = private_settings.out / "rebase"
    assert json.loads((folder / "report.json").read_text())["verdict"] == "conflict"
    assert "not tried" in (folder / "report.md").read_text()
    assert "</html>" in (folder / "report.html").read_text()


def test_a_patch_for_upstream_is_overdue_after_a_month(tmp_path: Path, talk: Talk) -> None:
    repo, release = release_repo(tmp_path / "repo", RELEASE)
    data, commit = make_patch(repo, release, {"backend/open_webui/new.py": b"x = 1\n"})
    date = next(line for line in data.splitlines() if line.startswith(b"Date: "))
    forwards = ["no", "no", "no, they refused it", "not-needed", "https://example.org/1", "no"]
    dates = [b"9", b"10", b"9", b"9", b"9", b"1"]  # of December; the release is of January 9
    patches = []
    for number, (forwarded, day) in enumerate(zip(forwards, dates, strict=True)):
        text = data.replace(date, b"Date: Tue, %s Dec 2025 23:00:00 -0100" % day)
        text = text.replace(b"Forwarded: no\n", f"Forwarded: {forwarded}\n".encode())
        patches.append(series_patch.parse(f"p{number}.patch", text))
    ends = Ends(repo, release, release, 0, "1.3.0")
    tree = apply.PatchedTree(release, (commit,) * len(patches))
    job = Job(State("a" * 40, "", gate=False), OLD, NEW, ends, tuple(patches), tree)
    gone = Carried("p5.patch", Outcome.UPSTREAMED, Method.NONE, None, None, ())
    assert results.report(job, [gone], "ready", talk).overdue == (("p0.patch", 30),)
