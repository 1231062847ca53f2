"""Carry a fix back to the line of an older release: pick it, carry it, prove it, add it to the line's series.

The engine is that of a rebase (`rebase.cherry_pick`), which does not ask which of two releases is the older one.
Nothing is written to the line before the proof is red without the patch and green with it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from webui_fork.backport import fix as backport_fix
from webui_fork.backport import lines
from webui_fork.backport.fix import Fix, Part
from webui_fork.config import image_toml, upstream_lock
from webui_fork.config.upstream_lock import Lock
from webui_fork.core import git, process
from webui_fork.core.errors import ConflictError, GateError, ProofError, SeriesError, UsageError
from webui_fork.core.files import exclusive, write_atomic
from webui_fork.core.git import Repo
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline, refresh_locks, revision
from webui_fork.merge import tree
from webui_fork.rebase import api_breaks, cherry_pick, releases
from webui_fork.rebase.cherry_pick import Carried, Outcome
from webui_fork.rebase.releases import Ends
from webui_fork.series import apply, proofs, signatures, worktree
from webui_fork.series import patch as series_patch
from webui_fork.series.narrowing import Block
from webui_fork.series.patch import Patch
from webui_fork.sources import release

_PROOF = re.compile(r"tests/proofs/test_[a-z0-9_]{1,80}\.py")


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be carried back, and as what.

    ``blocks`` are numbers of the fix's blocks, from 1; () for all. ``proof`` is a path of the checkout.
    """

    fix: str
    onto: str
    subject: str
    description: str
    bug: str
    advisories: tuple[str, ...]
    parts: tuple[Part, ...]
    blocks: tuple[int, ...]
    proof: str


@dataclass(frozen=True, slots=True)
class Backport:
    """A fix on a line: what became of it, what stays behind, and how many tests were red and green (0: not run)."""

    line: str
    tag: str
    carried: Carried
    left: tuple[str, ...]
    red: int = 0
    green: int = 0


@dataclass(frozen=True, slots=True)
class _Picked:
    """A fix, the blocks of it that are carried, and what stays behind, in words."""

    fix: Fix
    blocks: tuple[Block, ...]
    left: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Job:
    """A line at hand, with its release and its series as commits."""

    line: Settings
    pinned: Lock
    repo: Repo
    patches: tuple[Patch, ...]
    tree: apply.PatchedTree


def listed(settings: Settings, ui: Terminal, words: str, chosen: Sequence[Part]) -> tuple[Block, ...]:
    """Return the blocks of a fix, of which a person takes some.

    Raises:
        ForkError: as for :func:`carry`.
    """
    repo, fix = git.repository(settings), backport_fix.obtain(settings, ui, words)
    return backport_fix.blocks(repo, fix, backport_fix.parts(repo, fix, chosen)[0])


def carry(settings: Settings, ui: Terminal, order: Order, *, proved: bool) -> Backport:
    """Carry a fix back.

    Args:
        settings: of the checkout. ui: says what is done. order: what, and where to.
        proved: prove it and add it to the line; without, say what would become of it.

    Raises:
        UsageError: the order makes no sense. SeriesError: that can't be a patch. ConflictError: a person is needed.
        ProofError: it has no proof yet. GateError: its proof does not show it. ForkError: a release can't be had.
    """
    if why := series_patch.subject_problem(order.subject):
        raise SeriesError(f"{order.subject!r} can't be a patch's subject.", why=why)
    if order.proof and not _PROOF.fullmatch(order.proof):
        raise UsageError(f"{order.proof!r} is no place for a proof.", remedy="As in tests/proofs/test_trim_urls.py")
    repo, fix = git.repository(settings), backport_fix.obtain(settings, ui, order.fix)
    chosen, left = backport_fix.parts(repo, fix, order.parts)
    blocks = _chosen(backport_fix.blocks(repo, fix, chosen), order.blocks)
    line = lines.at(settings, order.onto)
    if fix.release and releases.version(order.onto) >= releases.version(fix.release):
        raise UsageError(
            f"{order.onto} is not older than {fix.release}, which has the fix.", remedy="Name an older one with --onto."
        )
    if proved and not line.lock_file.exists():
        lines.begin(settings, line, ui, order.onto)
    with exclusive(line.out / ".lock", f"lines/{line.line}", ui.say) if line.lock_file.exists() else nullcontext():
        return _onto(settings, ui, order, line, _Picked(fix, blocks, left), proved=proved)


def _onto(settings: Settings, ui: Terminal, order: Order, line: Settings, picked: _Picked, *, proved: bool) -> Backport:
    """Carry what was picked to a line, which nobody else changes meanwhile."""
    job = _job(line, ui, order.onto)
    draft = _draft(settings, job, picked.fix, order)
    if any(patch.name == draft.name for patch in job.patches):
        raise UsageError(f"lines/{job.line.line}/patches/{draft.name} exists.", remedy="Name another --subject.")
    contents = backport_fix.narrowed(job.repo, picked.fix, picked.blocks)
    carried = _carried(settings, job, picked.fix, draft, contents)
    if not proved:
        return Backport(job.line.line, job.pinned.tag, carried, picked.left)
    assert carried.patch
    red, green = _prove(job, ui, carried.patch)
    with process.uninterrupted():
        write_atomic(job.line.patches / carried.patch.name, carried.patch.data)
        worktree.write_order(job.line, [*(patch.name for patch in job.patches), carried.patch.name])
        revision.record(job.line, job.pinned)
    return Backport(job.line.line, upstream_lock.read(job.line.lock_file).tag, carried, picked.left, red, green)


def _chosen(blocks: Sequence[Block], numbers: Sequence[int]) -> tuple[Block, ...]:
    if absent := [number for number in numbers if not 1 <= number <= len(blocks)]:
        raise UsageError(f"There is no block {absent[0]}; there are {len(blocks)}.", remedy="--list shows them.")
    return tuple(block for number, block in enumerate(blocks, 1) if not numbers or number in numbers)


def _job(line: Settings, ui: Terminal, version: str) -> _Job:
    """Have a line at hand; one that does not exist yet is its release, and no patch."""
    present = line.lock_file.exists()
    pinned = upstream_lock.read(line.lock_file) if present else refresh_locks.pin(line, version)
    _, patches = apply.read_series(line.patches) if present else ((), ())
    repo = git.repository(line)
    commit = release.release_commit(line, pinned, ui)
    return _Job(line, pinned, repo, patches, apply.apply(repo, commit, patches, pinned.epoch))


def _draft(settings: Settings, job: _Job, fix: Fix, order: Order) -> Patch:
    """Return the patch's header."""
    fields = {
        "Description": order.description,
        "Origin": fix.origin,
        "Forwarded": "not-needed",
        "Bug": order.bug,
        **({"Advisory": ", ".join(order.advisories)} if order.advisories else {}),
        "Applies-To": f">={job.pinned.version}" + (f",<{fix.release}" if fix.release else ""),
        "Proof": order.proof or series_patch.proof_of(order.subject),
    }
    author = apply.address(*worktree.author(settings))
    patch = series_patch.draft(order.subject, fields, author, format_datetime(datetime.now(UTC)))
    target = series_patch.Release(job.pinned.version, lambda _: True, front_end=True)
    problems = series_patch.header_problems(patch, target, lambda _: True)
    apply.refuse([series_patch.Problem(patch.name, rule, message) for rule, message in problems])
    return patch


def _carried(settings: Settings, job: _Job, fix: Fix, draft: Patch, contents: dict[str, str | None]) -> Carried:
    """Carry the fix to the end of the line's series.

    Raises:
        ConflictError: it does not go there by itself.
    """
    ends = Ends(job.repo, fix.before, job.tree.release, job.pinned.epoch, job.pinned.version)
    modes = cherry_pick.modes_of(job.repo, fix.after, tuple(contents))
    patch, after = cherry_pick.committed(ends, fix.before, draft, contents, modes)
    if missing := sorted(set(contents) - set(patch.paths)):
        raise SeriesError(
            f"{missing[0]!r} can't be part of a patch.", remedy="Leave it out: name the others with --part."
        )
    merge = cherry_pick.merger(job.repo, job.tree.release, settings.environ)
    carried = cherry_pick.carry_patch(ends, patch, fix.before, after, job.tree.head, merge)
    if carried.outcome is Outcome.UPSTREAMED:
        what = f"{job.pinned.version}{' with its patches' if job.patches else ''} has all of it already."
        raise ConflictError(what, remedy="There is nothing to carry back.")
    reasons = [carried.why] if carried.commit is None else []
    if reasons := [*reasons, *_absences(job, fix, carried)]:
        place = settings.out / "backport" / patch.name
        write_atomic(place, patch.data)
        raise ConflictError(
            f"{patch.subject!r} can't be carried to {job.pinned.version} automatically.",
            why="\n".join(reasons),
            remedy="Take less of it with --part FILE:FUNCTION and --block N (--list shows the blocks), or carry "
            f"{place.relative_to(settings.root)} by hand: nox -s patches -- apply --line {job.line.line}"
            + ("" if job.line.lock_file.exists() else " (a run without --dry-run creates the line)"),
        )
    return carried


def _absences(job: _Job, fix: Fix, carried: Carried) -> list[str]:
    """Name what a carried fix uses, and the older release has not: packages, and functions as they are called.

    A rebase holds the two ends of a patch against each other. That says nothing of a fix that is a part of what its
    release changed: what it calls may be another part, which neither its base nor the older release has.
    """
    problems: list[str] = []
    calls: dict[signatures.Call, None] = {}
    own: set[str] = set()
    for file in carried.files:
        text = file.proposal or file.text
        after = tree.parse(text) if isinstance(text, str) and file.path.endswith(".py") else None
        before = tree.parse((job.repo.read_file(job.tree.head, file.path) or b"").decode("utf-8", "replace"))
        if before is None or after is None:
            continue
        calls |= dict.fromkeys(signatures.added_calls(before, after))
        own |= {node.name for _, node in tree.definitions(after)}
        problems += [
            f"{file.path} imports {name}, a package that {job.pinned.version} does not have"
            for name in sorted(_packages(after.tree) - _packages(before.tree))
            if not job.repo.grep("-l", "-E", rf"^ *(import|from) +{name}\b", job.tree.release, "--", "backend/*.py")
        ]
    # what does not go on has no commit to look its own functions up in
    names = {call.name for call in calls} - (set() if carried.commit else own)
    if names:
        commits = (fix.after, carried.commit or job.tree.head)
        newer, older = (api_breaks.definitions(job.repo, commit, names) for commit in commits)
        unfit = signatures.broken_calls((call for call in calls if call.name in names), newer, older)
        problems += [words.replace("is gone", f"is not in {job.pinned.version}") for words in unfit]
    return problems


def _packages(module: ast.AST) -> set[str]:
    names = {alias.name for node in ast.walk(module) if isinstance(node, ast.Import) for alias in node.names}
    froms = (node for node in ast.walk(module) if isinstance(node, ast.ImportFrom) and not node.level)
    roots = {name.partition(".")[0] for name in (*names, *(node.module or "" for node in froms))}
    return roots - set(sys.stdlib_module_names) - {"open_webui", ""}


def _prove(job: _Job, ui: Terminal, patch: Patch) -> tuple[int, int]:
    """Run the proof without and with the patch, and with it all proofs of the line; return how many were red and green.

    Raises:
        ProofError: there is no proof. GateError: it shows nothing. SeriesError: the patch breaks a rule.
    """
    proof, patches = patch.field("Proof"), (*job.patches, patch)
    if worktree.begin_proof(job.line, proof):
        raise ProofError(
            f"{patch.name} applies to {job.pinned.version}, but has no proof yet.",
            why=f"A stub of {proof} was written.",
            remedy=f"Write the test: red on {job.pinned.version}, green with the patch. Then run this again.",
        )
    spec = image_toml.read(job.line.root / "images" / image_inputs.IMAGE)
    image_inputs.check_series(job.line, job.repo, job.pinned, patches, job.tree.release, spec)
    with (
        pipeline.laid_out(job.line, ui, job.patches) as folder,
        ui.step("red", f"Running {proof} on {job.pinned.version} without the patch"),
    ):
        without = proofs.run(job.line.checkout, proof, folder, job.line.environ)
    if not without.red:
        why = without.output.strip()[-2000:] if without.errors else "It is green."
        what = f"{proof} does not fail on {job.pinned.version} without the patch."
        raise GateError(what, why=why, remedy="The release may not have the fault; or the proof does not show it.")
    green = 0
    with pipeline.laid_out(job.line, ui, patches) as folder:
        for one in patches:
            with ui.step("green", f"Running {one.field('Proof')} with the patch"):
                done = proofs.run(job.line.checkout, one.field("Proof"), folder, job.line.environ)
            if not done.green:
                what = f"{one.field('Proof')} fails with the patch."
                raise GateError(what, why=done.output.strip()[-2000:], remedy="The line is as it was.")
            green += done.ran if one is patch else 0
    return without.failed, green
