"""What a refresh of the locks changed, as a value, and as Markdown for a pull request and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from webui_fork.core.text import human_size, inert
from webui_fork.publish.audit import Finding

_SHOWN = 6  # advisories a row; the JSON has all of them
_LIMIT = 60_000  # characters: a pull request's text holds 65536


@dataclass(frozen=True, slots=True)
class Locked:
    """A package of a lock: the file's name in the checkout, the package, its version, and what OSV asks it by."""

    lock: str
    name: str
    version: str
    ecosystem: str
    source: str


Ids = Mapping[Locked, frozenset[str]]  # of the vulnerabilities that a package has


@dataclass(frozen=True, slots=True)
class Moved:
    """A package that moved: in which lock, from which version to which, and the advisories that no longer hold.

    ``before`` or ``after`` is empty where the package is new or gone.
    """

    lock: str
    name: str
    before: str
    after: str
    advisories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotMoved:
    """A Python package that has fixed versions which its lock does not take, and the advisories of these."""

    lock: str
    name: str
    version: str
    advisories: tuple[str, ...]
    fixed: tuple[str, ...]

    @property
    def words(self) -> str:
        """The package, and what it misses."""
        return (
            f"{self.name} {self.version} of {self.lock}: {', '.join(self.advisories)}, fixed in {', '.join(self.fixed)}"
        )


@dataclass(frozen=True, slots=True)
class ImageSummary:
    """An image: its tag, its digest, the bytes of its layers. An image that could not be built has neither."""

    tag: str
    digest: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """A whole refresh: what moved, what did not although it should, and the image before and after.

    ``lines``: the images of older lines whose packages moved, before and after.
    """

    changes: tuple[Moved, ...]
    not_moved: tuple[NotMoved, ...]
    before: ImageSummary
    after: ImageSummary
    lines: tuple[tuple[ImageSummary, ImageSummary], ...] = ()

    @property
    def advisories(self) -> tuple[str, ...]:
        """Every advisory that no longer holds."""
        return tuple(sorted({one for change in self.changes for one in change.advisories}))

    @property
    def title(self) -> str:
        """One line: of a pull request, and of the commit."""
        names = sorted({change.name for change in self.changes if change.advisories})
        if not names:
            return f"Refresh {len(self.changes)} packages"
        others = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f"Fix vulnerabilities of {', '.join(names[:3])}{others}"


def changes(before: Iterable[Locked], after: Iterable[Locked], ids: Ids) -> tuple[Moved, ...]:
    """Return what is not the same in the locks of two times, by lock and name.

    An advisory no longer holds where no lock has a package of that source any more that it is of.

    Args:
        before: the packages then.
        after: the packages now.
        ids: the ids of the vulnerabilities that each has.
    """
    was, now = _by_name(before), _by_name(after)
    left: dict[tuple[str, str], set[str]] = {}
    for item in (one for items in now.values() for one in items):
        left.setdefault((item.ecosystem, item.source), set()).update(ids[item])
    rows = []
    for key in sorted(was.keys() | now.keys()):
        old, new = was.get(key, ()), now.get(key, ())
        if old == new:
            continue
        gone = {one for item in old for one in ids[item] if one not in left.get((item.ecosystem, item.source), ())}
        rows.append(Moved(*key, _versions(old), _versions(new), tuple(sorted(gone))))
    return tuple(rows)


def _by_name(packages: Iterable[Locked]) -> dict[tuple[str, str], tuple[Locked, ...]]:
    by_name: dict[tuple[str, str], tuple[Locked, ...]] = {}
    for item in packages:
        by_name[item.lock, item.name] = (*by_name.get((item.lock, item.name), ()), item)
    return by_name


def _versions(items: Iterable[Locked]) -> str:
    return ", ".join(item.version for item in items)


def not_moved(fixable: Mapping[Locked, tuple[Finding, ...]]) -> tuple[NotMoved, ...]:
    """Return the Python packages that have a fix which their locks do not take.

    Args:
        fixable: packages of the locks now, with findings that have fixes.
    """
    rows = []
    for item, findings in fixable.items():
        advisories = tuple(sorted({finding.id for finding in findings}))
        fixed = tuple(sorted({version for finding in findings for version in finding.fixed}))
        rows.append(NotMoved(item.lock, item.name, item.version, advisories, fixed))
    return tuple(rows)


def to_json(report: RefreshReport) -> str:
    """Return the report for programs."""
    return json.dumps({"schema": 1, "verdict": "ready", "title": report.title, **asdict(report)}, indent=1) + "\n"


def plain(report: RefreshReport) -> str:
    """Return the report as the text of a commit."""
    lines = [f"{name}: {one} -> {other}" for name, one, other in _image(report)] + [""]
    for row in report.changes:
        versions = f"{row.before or 'new'} -> {row.after or 'gone'}"
        lines += [f"{row.lock}: {row.name} {versions} {' '.join(row.advisories)}".rstrip()]
    return "\n".join(lines)


def markdown(report: RefreshReport) -> str:
    """Return the report as GitHub's Markdown, short enough for the text of a pull request."""
    fixed = len(report.advisories)
    lines = [f"# {report.title}", ""]
    lines += [f"{len(report.changes)} packages moved; {fixed} advisories no longer hold.", ""]
    lines += ["| image | before | after |", "|---|---|---|"]
    lines += [f"| {name} | {one} | {other} |" for name, one, other in _image(report)]
    if report.not_moved:
        lines += ["", "## Not moved", ""]
        lines += ["The requirements hold these back. An override raises a package of the image (docs/image.md).", ""]
        lines += [f"- {inert(row.words)}" for row in report.not_moved]
    lines += ["", "## Moved", "", "| lock | package | before | after | advisories |", "|---|---|---|---|---|"]
    for row in sorted(report.changes, key=lambda change: not change.advisories):
        names = inert(", ".join(row.advisories[:_SHOWN]))
        more = f" and {len(row.advisories) - _SHOWN} more" if len(row.advisories) > _SHOWN else ""
        lines.append(f"| {row.lock} | `{row.name}` | {row.before or 'new'} | {row.after or 'gone'} | {names}{more} |")
    text = "\n".join(lines) + "\n"
    return text if len(text) <= _LIMIT else text[:_LIMIT] + "\n\n(cut: report.json has all of it)\n"


def _image(report: RefreshReport) -> list[tuple[str, str, str]]:
    """Return what is said of the images, before and after."""
    gone = "could not be built any more"
    rows: list[tuple[str, str, str]] = []
    for one, other in ((report.before, report.after), *report.lines):
        sizes = [human_size(image.size) if image.size else "–" for image in (one, other)]
        digests = (one.digest or gone, other.digest or gone)
        rows += [("tag", one.tag, other.tag), ("digest", *digests), ("size", sizes[0], sizes[1])]
    return rows
