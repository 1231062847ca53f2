"""Move the locks on to today's Debian packages, and to Python packages with security fixes; say why; commit it.

Debian's packages move whenever the mirror has others, for it keeps no old ones. A Python package of an image moves when
a fixed version is admitted. The tools' own move when they are a week old, or fix something.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from webui_fork.config import debian_lock, requirements_lock, upstream_lock
from webui_fork.core import git
from webui_fork.core.errors import DriftError, SourceError, ToolError
from webui_fork.core.files import write_atomic
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline, refresh_locks
from webui_fork.publish import refresh_report
from webui_fork.publish.refresh_report import Built, Locked, RefreshReport
from webui_fork.rebase import candidate
from webui_fork.trust import audit
from webui_fork.trust.audit import Queried

if TYPE_CHECKING:
    import requests

_PYTHON = "PyPI"


@dataclass(frozen=True, slots=True)
class _Database:
    """An OSV server."""

    http: requests.Session
    url: str

    def ids(self, packages: Iterable[Locked]) -> dict[Locked, frozenset[str]]:
        """Return the ids of the vulnerabilities of each package."""
        questions = {item: _queried(item) for item in packages}
        ids: dict[Queried, set[str]] = {}
        for question, number in audit.hits(self.http, self.url, sorted(set(questions.values()), key=repr)):
            ids.setdefault(question, set()).add(number)
        return {item: frozenset(ids.get(question, ())) for item, question in questions.items()}

    def findings(self, ids: Mapping[Locked, frozenset[str]]) -> tuple[audit.Finding, ...]:
        """Return what is known of the vulnerabilities of Python packages."""
        python = {_queried(item): own for item, own in ids.items() if item.ecosystem == _PYTHON}
        pairs = {(question, one) for question, own in python.items() for one in own}
        return audit.details(self.http, self.url, sorted(pairs, key=repr))


def _queried(item: Locked) -> Queried:
    return Queried(item.ecosystem, item.source, item.version)


def run(settings: Settings, ui: Terminal, url: str | None) -> RefreshReport | None:
    """Refresh every lock, and commit what changed; None where nothing did.

    Args:
        settings: of the checkout.
        ui: says what is done.
        url: of an OSV server; None: the public one.

    Returns:
        The report; it stands in `out/refresh/`, too.

    Raises:
        UsageError: the checkout is dirty. AuditError: the database can't be asked.
        LockError, SourceError, ToolError: the locks can't be resolved. In every case the checkout is as it was.
    """
    import requests

    git.require_clean(settings)
    folder = settings.out / "refresh"
    shutil.rmtree(folder, ignore_errors=True)
    old = upstream_lock.read(settings.lock_file)
    before = packages(settings)
    with requests.Session() as http, _restored(settings):
        database = _Database(http, (url or audit.OSV).rstrip("/"))
        with ui.step("osv", f"Asking about {len(before)} packages"):
            ids = database.ids(before)
            fixable = sorted({finding.package.name for finding in database.findings(ids) if finding.fixed})
        try:
            image_before = _image(settings, ui)
        except (DriftError, SourceError, ToolError) as error:  # mirror or index no longer have what it is made of
            ui.say(f"Note: the image of before can't be built any more. {error.what}")
            image_before = Built(old.tag)
        refresh_locks.refresh(settings, ui, None, fixable)
        refresh_locks.refresh_tools(settings, ui, fixable)
        after = packages(settings)
        with ui.step("osv"):
            ids |= database.ids(item for item in after if item not in ids)
            left = database.findings({item: ids[item] for item in after})
        moved = refresh_report.changes(before, after, ids)
        if not moved and not git.in_checkout(settings, "status", "--porcelain").stdout.strip():
            return None
        report = RefreshReport(moved, refresh_report.held(after, left), image_before, _image(settings, ui))
        _commit(settings, old, report)
    write_atomic(folder / "report.json", refresh_report.to_json(report))
    write_atomic(folder / "report.md", refresh_report.markdown(report))
    return report


def _commit(settings: Settings, old: upstream_lock.Lock, report: RefreshReport) -> None:
    line = f"- {report.title}" + (f" ({', '.join(report.advisories[:10])})." if report.advisories else ".")
    candidate.name_in_documents(settings, old, upstream_lock.read(settings.lock_file), line)
    rows = [
        f"{row.name}: {row.before or 'new'} -> {row.after or 'gone'} {' '.join(row.advisories)}".rstrip()
        for row in report.changes
    ]
    candidate.commit_all(settings, f"locks: {report.title[0].lower()}{report.title[1:]}", "\n".join(rows))


def _image(settings: Settings, ui: Terminal) -> Built:
    """Build the image that the locks give."""
    inputs = image_inputs.read_inputs(settings, ui, locked=True)
    image = pipeline.build(settings, inputs, ui, locked=True).image
    return Built(inputs.tag, image.digest, sum(item.layer.size for item in image.layers))


def _files(settings: Settings) -> list[Path]:
    """Return the locks of packages: those of images, and those of the tools."""
    images = [*settings.root.glob("images/*/debian.lock"), *settings.root.glob("images/*/requirements.lock")]
    return sorted([*images, *settings.root.glob("requirements/*.lock")])


@contextmanager
def _restored(settings: Settings) -> Iterator[None]:
    """Put back what a refresh writes to if it does not come to its end."""
    documents = [*settings.root.glob("*.md"), *settings.root.glob("docs/*.md")]
    kept = {file: file.read_text(encoding="utf-8") for file in [settings.lock_file, *_files(settings), *documents]}
    try:
        yield
    except BaseException:
        for file, text in kept.items():
            if file.read_text(encoding="utf-8") != text:
                write_atomic(file, text)
        raise


def packages(settings: Settings) -> tuple[Locked, ...]:
    """Return the packages of every lock of a checkout.

    Raises:
        LockError: one is odd.
    """
    rows: list[Locked] = []
    for file in _files(settings):
        lock, text = file.relative_to(settings.root).as_posix(), file.read_text(encoding="utf-8")
        if file.name == "debian.lock":
            parsed = debian_lock.parse(text, file)
            ecosystem = f"Debian:{debian_lock.release(parsed.suite)}"
            rows += [Locked(lock, deb.name, deb.version, ecosystem, deb.source) for deb in parsed.debs]
        else:
            pins = requirements_lock.versions(text).items()
            rows += [Locked(lock, name, version, _PYTHON, canonicalize_name(name)) for name, version in pins]
    return tuple(rows)
