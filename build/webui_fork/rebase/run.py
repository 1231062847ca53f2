"""Move the checkout to another release: find it, carry the series, prove the result, leave commits.

Everything happens beside the checkout: in the local repository, and in a candidate (a git worktree of the checkout
under out/). The checkout itself changes in one step at the end, a fast-forward. What is interrupted is made again
from the state (`rebase.state`); carrying takes seconds, so nothing else needs to be kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace

from webui_fork.config import upstream_lock
from webui_fork.core import git
from webui_fork.core.errors import ConflictError, GateError, LockError, SourceError, UsageError
from webui_fork.core.files import write_atomic
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import locked_packages
from webui_fork.rebase import candidate as rebase_candidate
from webui_fork.rebase import cherry_pick, gate, results, target
from webui_fork.rebase import conflict as rebase_conflict
from webui_fork.rebase import report as rebase_report
from webui_fork.rebase import state as rebase_state
from webui_fork.rebase.cherry_pick import Carried, Outcome
from webui_fork.rebase.releases import Ends, Release
from webui_fork.rebase.report import RebaseReport
from webui_fork.rebase.results import Job
from webui_fork.rebase.state import State
from webui_fork.series import apply
from webui_fork.sources import interface, package_index, release

_MANY = 12  # releases in between that are fetched to find the one that brought a conflict


def start(settings: Settings, ui: Terminal, version: str | None, *, gated: bool) -> RebaseReport | None:
    """Begin a rebase; None when there is nothing new.

    Args:
        version: the release to go to; None: the newest. gated: run proofs and checks.

    Raises:
        UsageError: the checkout is dirty. ConflictError: another rebase is under way, or a patch needs a person.
        GateError: a check failed. SourceError: no release can be had. ToolError: git fails.
    """
    state = _begun(settings, ui, version, gated=gated)
    return proceed(settings, ui, state) if state else None


def rehearse(settings: Settings, ui: Terminal, version: str | None) -> RebaseReport | None:
    """Return what carrying the series would do; None when there is nothing new.

    Nothing is proved, and the checkout stays as it is; out/rebase/dry-run.md, .html and .json say the same. It stops at
    the first patch that needs a person.

    Args:
        version: the release to go to; None: the newest.

    Raises:
        ForkError: as for :func:`start`.
    """
    state = _begun(settings, ui, version, gated=False)
    if state is None:
        return None
    job = _job(settings, ui, state)
    _refuse_blocked(settings, ui, job, name="dry-run")
    carried = _carry(settings, job, ui)
    reviews = {row.name: "its proof would decide" for row in carried if row.needs_proof or row.has_text}
    # a patch whose proof is green on the new release is dropped before anybody tries to carry it
    reviews |= {
        row.name: "a conflict if its proof is red without it" for row in carried if row.outcome is Outcome.CONFLICT
    }
    report = results.report(job, carried, "rehearsed", ui)
    rows = (replace(row, review=reviews.get(row.name, row.review)) for row in report.rows)
    report = replace(report, rows=tuple(rows))
    results.write(settings, report, "dry-run")
    return report


def _begun(settings: Settings, ui: Terminal, version: str | None, *, gated: bool) -> State | None:
    """Return the state of a rebase that begins, nothing of it written yet; None when there is nothing new."""
    if under_way := rebase_state.read(settings):
        raise ConflictError(
            f"A rebase to {under_way.lock.version} is under way"
            + (f"; it waits for a person at patches/{under_way.conflict}." if under_way.conflict else "."),
            remedy="Go on with `nox -s rebase -- --continue`, or take it back with `nox -s rebase -- --abort`.",
        )
    head = git.require_clean(settings)
    new = target.target(settings, upstream_lock.read(settings.lock_file), version, ui)
    return State(head, upstream_lock.dump(new), gated) if new else None


def resume(settings: Settings, ui: Terminal, *, skip: bool, earlier: bool, accept: bool) -> RebaseReport:
    """Go on with the rebase under way, with what a person decided.

    Raises:
        ConflictError: there is none, or it is not resolved. GateError, ForkError: as for :func:`start`.
    """
    state = _under_way(settings)
    if not state.conflict and (skip or earlier or accept):
        raise ConflictError("No patch waits for a decision.", remedy="`nox -s rebase -- --continue`, or `--abort`.")
    saved = settings.out / "rebase" / "report.json"
    if state.candidate and saved.exists():
        report = rebase_report.from_json(saved.read_text())
        if rebase_candidate.landed(settings, state.candidate):  # interrupted after its last step
            return _close(settings, report)
        if git.require_clean(settings) != state.head:
            raise _moved()
        return _finish(settings, ui, state, report)
    state = replace(state, candidate="")
    if state.conflict:
        state = _decided(settings, ui, state, skip=skip, earlier=earlier, accept=accept)
        rebase_state.write(settings, state)
    return proceed(settings, ui, state)


def _under_way(settings: Settings) -> State:
    state = rebase_state.read(settings)
    if state is None:
        raise ConflictError("No rebase is under way.", remedy="`nox -s rebase` begins one.")
    return state


def _decided(settings: Settings, ui: Terminal, state: State, *, skip: bool, earlier: bool, accept: bool) -> State:
    """Take a person's decision on the patch that waits."""
    clean = replace(state, conflict="", parent="")
    if skip:
        return replace(clean, skipped=(*state.skipped, state.conflict))
    job = _job(settings, ui, state)
    number = [patch.name for patch in job.patches].index(state.conflict)
    patch, before = job.patches[number], (job.tree.release, *job.tree.commits)[number]
    if earlier:
        rebase_conflict.take_earlier(settings, state.parent)
    accept = accept or earlier  # it was a person's decision once
    resolution = rebase_conflict.resolution(settings, job.ends.repo, patch, state.parent, job.new.epoch, accept=accept)
    cherry_pick.by_hand(job.ends, patch, resolution.data, state.parent)  # what can't go on is not remembered either
    name = rebase_conflict.key(job.ends.repo, patch, before, job.tree.commits[number], state.parent)
    write_atomic(rebase_conflict.remembered(settings, name), resolution.data)
    return replace(clean, resolved=(*state.resolved, (patch.name, resolution.data.decode())))


def abort(settings: Settings) -> str:
    """Take the rebase under way back; return its target. The checkout was never touched.

    Raises:
        ConflictError: there is none.
    """
    version = _under_way_version(settings)
    state = _readable(settings)
    if state and state.candidate and rebase_candidate.landed(settings, state.candidate):
        rebase_candidate.remove(settings)
        rebase_state.clear(settings)
        raise ConflictError(
            f"The rebase to {version} has already ended: its commits are on the branch.",
            remedy=f"`git reset --hard {state.head[:12]}` takes them back, if that is what you want.",
        )
    repo = git.repository(settings)
    rebase_conflict.remove_tree(settings, repo)
    rebase_candidate.remove(settings)
    shutil.rmtree(rebase_conflict.folder(settings), ignore_errors=True)
    rebase_state.clear(settings)
    return version


def _readable(settings: Settings) -> State | None:
    try:
        return rebase_state.read(settings)
    except ConflictError:  # a damaged state is what --abort is for
        return None


def _under_way_version(settings: Settings) -> str:
    path = rebase_state.file(settings)
    if not path.exists():
        raise ConflictError("No rebase is under way.", remedy="`nox -s rebase` begins one.")
    try:
        return _under_way(settings).lock.version
    except (ConflictError, LockError):  # a damaged state is what --abort is for
        return "another release"


def _job(settings: Settings, ui: Terminal, state: State) -> Job:
    """Have everything at hand that a rebase starts from.

    Raises:
        UsageError: the checkout is not where it was. ApplyError: the series is not one of the locked release.
    """
    if git.require_clean(settings) != state.head:
        raise _moved()
    old, new = upstream_lock.read(settings.lock_file), state.lock
    _, patches = apply.read_series(settings.patches)
    first, last = (release.release_commit(settings, pinned, ui) for pinned in (old, new))
    repo = git.repository(settings)
    with ui.step("series"):
        tree = apply.apply(repo, first, patches, old.epoch)
    return Job(state, old, new, Ends(repo, first, last, new.epoch, new.version), patches, tree)


def proceed(settings: Settings, ui: Terminal, state: State) -> RebaseReport:
    """Carry, prove, land. Raises as :func:`start`."""
    job = _job(settings, ui, state)
    _refuse_blocked(settings, ui, job)
    rebase_state.write(settings, state)  # only a rebase that can start is one under way
    rebase_candidate.prepare(settings, state.head)
    candidate = rebase_candidate.candidate(settings)
    if state.gate:
        rebase_candidate.relock(candidate, ui, job.new.version)
        if state.stock is None:
            state = replace(state, stock=tuple(gate.stock(candidate, ui, job.patches).items()))
            rebase_state.write(settings, state)
        job = replace(job, state=state)
    carried = _carry(settings, job, ui)
    if state.gate:
        patches = {patch.name: patch for patch in job.patches}
        carried, seen = gate.proved(candidate, ui, carried, patches, dict(state.stock or ()), state.proved)
        state = replace(state, proved=seen)
        rebase_state.write(settings, state)
        job = replace(job, state=state)
    else:
        carried = [_unproved(row) for row in carried]
    stopped = next((row for row in carried if _waits(row, state)), None)
    if stopped:
        _stop(settings, ui, job, carried, stopped)
    report = results.report(job, carried, "not proved", ui)
    results.write(settings, report)
    if not state.gate:
        rebase_candidate.relock(candidate, ui, job.new.version)
    report = replace(report, differences=(*report.differences, *locked_packages.differences(settings, candidate)))
    results.write(settings, report)
    with ui.step("commits"):
        commit = rebase_candidate.commit(candidate, job.old, job.new, job.patches, carried, state.skipped)
    state = replace(state, candidate=commit)
    rebase_state.write(settings, state)
    return _finish(settings, ui, state, report)


def _refuse_blocked(settings: Settings, ui: Terminal, job: Job, name: str = "report") -> None:
    """Refuse a release that the image's interpreter can't run; the report says what its patches would do.

    Raises:
        GateError: it can't.
    """
    pyproject = job.ends.repo.read_file(job.ends.new, "pyproject.toml") or b""
    blocker = target.left_behind(pyproject, job.new.version, target.interpreter(settings))
    if not blocker:
        return
    carried = [_unproved(row) for row in _carry(settings, job, ui)]
    results.write(settings, replace(results.report(job, carried, "blocked", ui), blocker=blocker), name)
    raise GateError(
        blocker,
        why=f"Nothing was changed; out/rebase/{name}.md says what would happen to the patches.",
        remedy="docs/adr/0017-requires-python.md says how to go on.",
    )


def _finish(settings: Settings, ui: Terminal, state: State, report: RebaseReport) -> RebaseReport:
    """Run the gate on the candidate, and move the checkout to it."""
    rebase_candidate.prepare(settings, state.candidate)
    if state.gate:
        candidate = rebase_candidate.candidate(settings)
        checks, digest = gate.run(candidate, ui)
        failed = [check for check in checks if check.passed is False]
        verdict = "gate failed" if failed else "ready"
        images = () if failed else gate.differences(settings, candidate, ui)
        report = replace(report, verdict=verdict, checks=checks, digest=digest, times=tuple(ui.times.items()))
        kept = (row for row in report.differences if row.kind not in interface.OF_IMAGES)  # of a gate before
        report = replace(report, differences=(*kept, *images))
        results.write(settings, report)
        if failed:
            raise GateError(
                f"The series was carried to {report.new}, but {', '.join(check.name for check in failed)} failed.",
                why=failed[0].detail,
                remedy="out/rebase/report.md has it. Put it right in out/rebase/candidate and commit there, then "
                "`nox -s rebase -- --continue`; or `--abort`.",
            )
    rebase_candidate.land(settings)
    return _close(settings, report)


def _close(settings: Settings, report: RebaseReport) -> RebaseReport:
    """Leave nothing of a finished rebase but its commits and its report."""
    rebase_candidate.remove(settings)
    rebase_conflict.remove_tree(settings, git.repository(settings))
    rebase_state.clear(settings)
    return report


def _moved() -> UsageError:
    return UsageError(
        "The checkout is at another commit than when the rebase began.",
        remedy="Go back to it (`git switch -`, `git reset`), or take the rebase back with --abort.",
    )


def _waits(row: Carried, state: State) -> bool:
    return row.outcome is Outcome.CONFLICT and row.commit is None and row.name not in state.skipped


def _unproved(row: Carried) -> Carried:
    """Refuse what only a proof could say is right."""
    doubts = dict.fromkeys(file.why for file in row.files if file.needs_proof and file.why)  # each once
    why = "; ".join(doubts) or "only the syntax tree says where it goes now"
    return (
        gate.refused(row, f"{why}, and without its proof nobody knows whether it is right") if row.needs_proof else row
    )


def _carry(settings: Settings, job: Job, ui: Terminal) -> list[Carried]:
    """Carry patch by patch, taking what a person decided, to the end or to the first that waits for a person."""
    merge = cherry_pick.merger(job.ends.repo, job.ends.new, settings.environ)
    resolved, stock, parent = dict(job.state.resolved), dict(job.state.stock or ()), job.ends.new
    rows: list[Carried] = []
    for number, patch in enumerate(job.patches):
        before = job.tree.commits[number - 1] if number else job.tree.release
        if patch.name in job.state.skipped:
            row = cherry_pick.dropped(patch, "a person dropped it")
        elif stock.get(patch.name, ("", ""))[0] == gate.GREEN:
            row = cherry_pick.upstreamed(patch, stock[patch.name][1])
        elif patch.name in resolved:
            row = cherry_pick.by_hand(job.ends, patch, resolved[patch.name].encode(), parent)
        else:
            with ui.step("carry", f"Carrying {number + 1} of {len(job.patches)} to {job.new.version}: {patch.name}"):
                row = cherry_pick.carry_patch(job.ends, patch, before, job.tree.commits[number], parent, merge)
        rows.append(row)
        if _waits(row, job.state):
            break
        parent = row.commit or parent
    return rows


def _stop(settings: Settings, ui: Terminal, job: Job, carried: Sequence[Carried], row: Carried) -> None:
    """Lay out a conflict and raise."""
    number = [patch.name for patch in job.patches].index(row.name)
    patch, after = job.patches[number], job.tree.commits[number]
    before = job.tree.commits[number - 1] if number else job.tree.release
    done = [one.commit for one in carried[: [c.name for c in carried].index(row.name)] if one.commit]
    parent = done[-1] if done else job.ends.new
    merge = cherry_pick.merger(job.ends.repo, job.ends.new, settings.environ)
    with ui.step("cause", "Looking for the release that brought the conflict"):
        cause = rebase_conflict.cause(job.ends.repo, _between(settings, job, ui), patch, before, after, merge)
    remembered_patch = rebase_conflict.remembered(
        settings, rebase_conflict.key(job.ends.repo, patch, before, after, parent)
    )
    earlier = remembered_patch if remembered_patch.exists() else None
    conflict = rebase_conflict.Conflict(patch, row, before, after, parent, cause, earlier)
    words = rebase_conflict.lay_out(settings, job.ends.repo, conflict)
    rebase_state.write(settings, replace(job.state, conflict=row.name, parent=parent))
    results.write(settings, replace(results.report(job, carried, "conflict", ui), conflict=words))
    place = rebase_conflict.folder(settings).relative_to(settings.root)
    raise ConflictError(
        f"patches/{row.name} needs a person ({len(done)} of {len(job.patches)} patches were carried before it).",
        why=row.why,
        remedy=f"{place}/CONFLICT.md says what upstream changed. Resolve it in "
        f"{rebase_conflict.tree(settings).relative_to(settings.root)}, then `nox -s rebase -- --continue`; "
        "or `--skip`, or `--abort`." + (" An earlier resolution is there: `--continue --earlier`." if earlier else ""),
    )


def _between(settings: Settings, job: Job, ui: Terminal) -> list[Release]:
    """Return the releases from the old to the new one; just those two if the others are not to be had, or many."""
    from packaging.version import Version

    ends = [
        Release(job.old.version, job.ends.old, job.old.epoch),
        Release(job.new.version, job.ends.new, job.new.epoch),
    ]
    low, high = Version(job.old.version), Version(job.new.version)
    if low >= high:
        return ends
    try:
        where = package_index.configured(settings)
        listed, _ = package_index.listing(where, package_index.session(where))
        inner = [one for one in listed if low < Version(one.version) < high]
        if len(inner) > _MANY:
            return ends
        locks = [one.lock for one in inner]
        releases = [Release(one.version, release.release_commit(settings, one, ui), one.epoch) for one in locks]
    except SourceError:
        return ends
    return [ends[0], *releases, ends[1]]
