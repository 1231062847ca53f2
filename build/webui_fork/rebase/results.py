"""A rebase at work, and what it did so far as a report: out/rebase/report.md, report.html and report.json."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from webui_fork.config.upstream_lock import Lock
from webui_fork.core.files import write_atomic
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.rebase import report as rebase_report
from webui_fork.rebase.cherry_pick import Carried, Outcome
from webui_fork.rebase.releases import Ends
from webui_fork.rebase.report import PatchRow, RebaseReport
from webui_fork.rebase.state import State
from webui_fork.series import apply
from webui_fork.series.patch import Patch
from webui_fork.sources import changelog, interface

_OVERDUE = 30  # days


@dataclass(frozen=True, slots=True)
class Job:
    """A rebase at work: both locks, both ends in the local repository, the series before, and what is decided."""

    state: State
    old: Lock
    new: Lock
    ends: Ends
    patches: tuple[Patch, ...]
    tree: apply.PatchedTree


def report(job: Job, carried: Iterable[Carried], verdict: str, ui: Terminal) -> RebaseReport:
    """Return the report of a rebase.

    Args:
        job: what it is. carried: what became of the patches that were tried. verdict: as the report has it.
        ui: which knows how long each step took.
    """
    newer = job.ends.new if job.new.time >= job.old.time else job.ends.old
    text = (job.ends.repo.read_file(newer, "CHANGELOG.md") or b"").decode("utf-8", errors="replace")
    rows = {row.name: row for row in carried}
    carried_on = [patch for patch in job.patches if patch.name not in rows or rows[patch.name].patch]
    return RebaseReport(
        old=job.old.version,
        new=job.new.version,
        verdict=verdict,
        between=len(changelog.between(text, job.old.version, job.new.version)),
        rows=tuple(_row(patch, rows.get(patch.name), job.state) for patch in job.patches),
        notes=changelog.notes(text, job.old.version, job.new.version),
        checks=(),
        times=tuple(ui.times.items()),
        differences=interface.differences(*(_interface(job, commit) for commit in (job.ends.old, job.ends.new))),
        overdue=tuple((patch.name, days) for patch in carried_on if (days := _days_unsent(patch, job.new)) >= _OVERDUE),
    )


def _days_unsent(patch: Patch, new: Lock) -> int:
    """Return how old a patch that is for upstream was when a release came out; 0 for one that is not, or was sent."""
    if patch.field("Forwarded") != "no":
        return 0
    return (new.time - parsedate_to_datetime(patch.date).astimezone(UTC)).days


def _interface(job: Job, commit: str) -> dict[str, bytes]:
    return {file.path: file.read() for file in job.ends.repo.walk(commit, interface.selects)}


def _row(patch: Patch, row: Carried | None, state: State) -> PatchRow:
    before = _size(patch)
    if row is None:
        return PatchRow(patch.name, "not tried", "–", before, before)
    if patch.name in state.skipped:
        return PatchRow(patch.name, "skipped", "a person", before, None, why=row.why)
    after = _size(row.patch) if row.patch else None
    between = rebase_report.interdiff(patch.data, row.patch.data) if row.patch else ""
    review = "please review: its place is new" if row.outcome is Outcome.RELOCATED else ""
    if row.outcome is Outcome.CONFLICT and row.patch:
        review = "resolved by a person"
    return PatchRow(patch.name, row.outcome, row.method.word, before, after, between, row.why, review)


def _size(patch: Patch) -> tuple[int, int]:
    return sum(file.added for file in patch.files), sum(file.removed for file in patch.files)


def write(settings: Settings, report: RebaseReport, name: str = "report") -> None:
    """Write the report, in each of its forms.

    Args:
        name: of the files; a dry run's does not take the place of the report of a rebase.

    Raises:
        CacheError: it can't be written.
    """
    folder = settings.out / "rebase"
    write_atomic(folder / f"{name}.md", rebase_report.markdown(report))
    write_atomic(folder / f"{name}.html", rebase_report.page(report))
    write_atomic(folder / f"{name}.json", rebase_report.to_json(report))
