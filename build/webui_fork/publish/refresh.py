"""Move the locks on to today's Debian packages, and to Python packages with security fixes; say why; commit it.

Debian's packages move whenever the mirror has others, for it keeps no old ones. A Python package of an image moves when
a fixed version is admitted. The tools' own move when they are a week old, or fix something. The locks of older lines
move, too. All of it happens in a worktree beside the checkout, which moves in one step at the end.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from webui_fork.config import debian_lock, requirements_lock, upstream_lock
from webui_fork.core import git
from webui_fork.core.errors import ConflictError, DriftError, SourceError, ToolError
from webui_fork.core.files import write_atomic
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.core.text import counted
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline, refresh_locks
from webui_fork.publish import audit, refresh_report, vex
from webui_fork.publish.audit import Finding, Queried
from webui_fork.publish.refresh_report import Ids, ImageSummary, Locked, RefreshReport
from webui_fork.rebase import candidate, state

if TYPE_CHECKING:
    import requests

_PYTHON = "PyPI"
_TOOLS = "requirements/"
_IMAGE = f"images/{image_inputs.IMAGE}/"


@dataclass(frozen=True, slots=True)
class _Database:
    """An OSV server, and what we judge of its findings."""

    http: requests.Session
    url: str
    vex: vex.Document

    def at(self, place: Settings) -> _Database:
        """Return it with what is judged of the images of another place: a line has a document of its own."""
        return replace(self, vex=vex.read(place))

    def ids(self, packages: Iterable[Locked]) -> Ids:
        """Return the ids of the vulnerabilities of each package."""
        questions = {item: _queried(item) for item in packages}
        ids: dict[Queried, set[str]] = {}
        for question, number in audit.hits(self.http, self.url, sorted(set(questions.values()), key=repr)):
            ids.setdefault(question, set()).add(number)
        return {item: frozenset(ids.get(question, ())) for item, question in questions.items()}

    def fixable(self, ids: Ids) -> dict[Locked, tuple[Finding, ...]]:
        """Return the Python packages that have fixes, with what is known of them and not judged away.

        Debian's are not asked about: there are hundreds, and their fix is the newest version.
        """
        python = {item: _queried(item) for item in ids if item.ecosystem == _PYTHON}
        pairs = sorted({(question, one) for item, question in python.items() for one in ids[item]}, key=repr)
        findings = audit.judge(audit.details(self.http, self.url, pairs), self.vex)
        fixes = {
            item: tuple(one for one in findings if one.package == question and one.fixed and not one.settled)
            for item, question in python.items()
        }
        return {item: own for item, own in fixes.items() if own}


def _queried(item: Locked) -> Queried:
    return Queried.of(item.ecosystem, item.source, item.version)


def run(settings: Settings, ui: Terminal, url: str | None, *, dry_run: bool = False) -> RefreshReport | None:
    """Refresh every lock, and commit what changed; None where nothing did.

    Args:
        settings: of the checkout.
        ui: says what is done.
        url: of an OSV server; None: the public one.
        dry_run: only report.

    Returns:
        The report; it stands in `out/refresh/`, too, but for a dry run.

    Raises:
        UsageError: the checkout is dirty. ConflictError: a rebase is under way, or the checkout changed meanwhile.
        AuditError: the database can't be asked. LockError, SourceError, ToolError: the locks can't be resolved.
        In every case the checkout is as it was.
    """
    from webui_fork.core import wire

    if state.read(settings):
        raise ConflictError(
            "A rebase is under way.", remedy="Go on with it, or take it back: `nox -s rebase -- --abort`."
        )
    head = git.require_clean(settings)
    folder = settings.out / "refresh"
    _remove(settings, folder)
    with wire.session() as http, _worktree(settings, folder / "candidate", head) as own:
        database = _Database(http, (url or audit.OSV).rstrip("/"), vex.read(own))
        report = _refresh(own, ui, database)
        if report is None or dry_run:
            return report
        commit = git.in_checkout(own, "rev-parse", "HEAD").stdout.strip()
        done = git.in_checkout(settings, "merge", "--quiet", "--ff-only", commit, check=False)
        if done.code:
            raise ConflictError(
                "The checkout changed meanwhile.",
                why=done.tail(),
                remedy=f"The result is commit {commit[:12]}: `git merge {commit[:12]}`, or run this again.",
            )
    write_atomic(folder / "report.json", refresh_report.to_json(report))
    write_atomic(folder / "report.md", refresh_report.markdown(report))
    return report


@contextmanager
def _worktree(settings: Settings, place: Path, head: str) -> Iterator[Settings]:
    """Have a worktree of the checkout for as long as the context lasts; yields its settings."""
    git.in_checkout(settings, "worktree", "add", "--quiet", "--force", "--detach", str(place), head)
    try:
        yield replace(settings, root=place)
    finally:
        _remove(settings, place)


def _remove(settings: Settings, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    git.in_checkout(settings, "worktree", "prune")


def _refresh(own: Settings, ui: Terminal, database: _Database) -> RefreshReport | None:
    """Refresh the locks of a worktree and of its lines, and commit them there."""
    places = (own, *(own.on_line(name) for name in own.lines))
    old = [upstream_lock.read(place.lock_file) for place in places]
    results = [_refresh_place(place, ui, database.at(place)) for place in places]
    report = RefreshReport(
        refresh_report.changes(
            (item for one in results for item in one.before),
            (item for one in results for item in one.after),
            {item: ids for one in results for item, ids in one.ids.items()},
        ),
        tuple(row for one in results for row in refresh_report.not_moved(one.fixable)),
        *results[0].images,
        tuple(one.images for one in results[1:] if one.before != one.after),
    )
    if not report.changes:
        return None
    entry = f"- {report.title}" + (f" ({', '.join(report.advisories[:10])})." if report.advisories else ".")
    if not any(_IMAGE in change.lock for change in report.changes):
        entry = ""  # users see no difference
    for place, pinned in zip(places, old, strict=True):
        candidate.name_in_documents(own, pinned, upstream_lock.read(place.lock_file), entry)
        entry = ""  # it is of all of them
    candidate.commit_all(own, f"locks: {report.title[0].lower()}{report.title[1:]}", refresh_report.plain(report))
    return report


@dataclass(frozen=True, slots=True)
class _Refreshed:
    """What a refresh did in one place: its packages, what is known of them all, which have fixes still, its images."""

    before: tuple[Locked, ...]
    after: tuple[Locked, ...]
    ids: Ids
    fixable: Mapping[Locked, tuple[Finding, ...]]
    images: tuple[ImageSummary, ImageSummary]


def _refresh_place(own: Settings, ui: Terminal, database: _Database) -> _Refreshed:
    """Refresh the locks of the worktree itself, or of a line in it."""
    before = packages(own)
    of_line = f" of the line {own.line}" if own.line else ""
    with ui.step("osv", f"Asking about {counted(len(before), 'package')}{of_line}"):
        ids = database.ids(before)
        fixable = database.fixable(ids)
    image_before = _image_of_before(own, ui)
    upgrade: dict[str, list[str]] = {}
    for item in fixable:
        if not item.lock.startswith(_TOOLS):
            upgrade.setdefault(Path(item.lock).parent.name, []).append(item.name)
    refresh_locks.refresh(own, ui, None, upgrade, strict=False)
    if not own.line:
        refresh_locks.refresh_tools(own, ui)
    after, ids, fixable = _asked_again(own, ui, database, ids)
    if urgent := sorted({item.name for item in fixable if item.lock.startswith(_TOOLS)}):
        refresh_locks.refresh_tools(own, ui, urgent)
        after, ids, fixable = _asked_again(own, ui, database, ids)
    image_after = image_before if before == after else _image(own, ui)
    return _Refreshed(before, after, ids, fixable, (image_before, image_after))


def _asked_again(
    own: Settings, ui: Terminal, database: _Database, ids: Ids
) -> tuple[tuple[Locked, ...], Ids, dict[Locked, tuple[Finding, ...]]]:
    """Return the packages of today's locks, what is known of all that were asked about, and which have fixes still."""
    after = packages(own)
    with ui.step("osv"):
        ids = {**ids, **database.ids(item for item in after if item not in ids)}
        return after, ids, database.fixable({item: ids[item] for item in after})


def _image_of_before(own: Settings, ui: Terminal) -> ImageSummary:
    try:
        return _image(own, ui)
    except (DriftError, SourceError, ToolError) as error:  # mirror or index no longer have what it is made of
        ui.say(f"Note: the previous image can't be built any more. {error.what}")
        return ImageSummary(upstream_lock.read(own.lock_file).tag)


def _image(own: Settings, ui: Terminal) -> ImageSummary:
    """Build the image that the locks give."""
    inputs = image_inputs.read_inputs(own, ui, locked=True)
    image = pipeline.build(own, inputs, ui, locked=True).image
    return ImageSummary(inputs.tag, image.digest, sum(item.layer.size for item in image.layers))


def packages(settings: Settings) -> tuple[Locked, ...]:
    """Return the packages of every lock of a checkout: those of images, and those of the tools; or those of a line.

    Raises:
        LockError: one is odd.
    """
    rows: list[Locked] = []
    root = settings.root
    files = [
        *root.glob("images/*/*debian.lock"),
        *root.glob("images/*/*requirements.lock"),
        *root.glob(f"{_TOOLS}*.lock"),
    ]
    for file in sorted(files):
        lock, text = file.relative_to(settings.checkout).as_posix(), file.read_text(encoding="utf-8")
        if file.name.endswith("debian.lock"):
            parsed = debian_lock.parse(text, file)
            ecosystem = f"Debian:{debian_lock.release(parsed.suite)}"
            rows += [Locked(lock, deb.name, deb.version, ecosystem, deb.source) for deb in parsed.debs]
        else:
            rows += [Locked(lock, name, version, _PYTHON, name) for name, version in requirements_lock.packages(text)]
    return tuple(rows)
