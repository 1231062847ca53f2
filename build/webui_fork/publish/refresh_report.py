"""What a refresh of the locks changed, as a value, and as Markdown for a pull request and JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from webui_fork.core.text import human_size
from webui_fork.trust.audit import Finding

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


@dataclass(frozen=True, slots=True)
class Change:
    """A package that moved: in which lock, from which version to which, and the advisories that no longer hold.

    ``before`` or ``after`` is empty where the package is new or gone.
    """

    lock: str
    name: str
    before: str
    after: str
    advisories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A Python package that has a fixed version which its lock does not take, with the advisory."""

    lock: str
    name: str
    version: str
    advisory: str
    fixed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Built:
    """An image: its tag, its digest, the bytes of its layers. An image that could not be built has neither."""

    tag: str
    digest: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """A whole refresh: what moved, what did not although it should, and the image before and after."""

    changes: tuple[Change, ...]
    held: tuple[Held, ...]
    before: Built
    after: Built

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


def changes(
    before: Iterable[Locked], after: Iterable[Locked], ids: Mapping[Locked, frozenset[str]]
) -> tuple[Change, ...]:
    """Return what is not the same in the locks of two times, by lock and name.

    Args:
        before: the packages then.
        after: the packages now.
        ids: the ids of the vulnerabilities that each has.
    """
    was = {(item.lock, item.name): item for item in before}
    now = {(item.lock, item.name): item for item in after}
    rows = []
    for key in sorted(was.keys() | now.keys()):
        old, new = was.get(key), now.get(key)
        if old == new:
            continue
        fixed = (ids[old] if old else frozenset()) - (ids[new] if new else frozenset())
        rows.append(Change(*key, old.version if old else "", new.version if new else "", tuple(sorted(fixed))))
    return tuple(rows)


def held(packages: Iterable[Locked], findings: Iterable[Finding]) -> tuple[Held, ...]:
    """Return the Python packages that have a fix which their locks do not take.

    Args:
        packages: of the locks now.
        findings: what is known of vulnerabilities of Python packages.
    """
    fixes = [finding for finding in findings if finding.fixed]
    return tuple(
        Held(item.lock, item.name, item.version, finding.id, finding.fixed)
        for item in packages
        for finding in fixes
        if (item.ecosystem, item.source, item.version)
        == (finding.package.ecosystem, finding.package.name, finding.package.version)
    )


def to_json(report: RefreshReport) -> str:
    """Return the report for programs."""
    return json.dumps({"schema": 1, "verdict": "ready", "title": report.title, **asdict(report)}, indent=1) + "\n"


def markdown(report: RefreshReport) -> str:
    """Return the report as GitHub's Markdown, short enough for the text of a pull request."""
    fixed = len(report.advisories)
    lines = [f"# {report.title}", ""]
    lines += [f"{len(report.changes)} packages moved; {fixed} advisories no longer hold.", ""]
    lines += ["| lock | package | before | after | advisories |", "|---|---|---|---|---|"]
    for row in sorted(report.changes, key=lambda change: not change.advisories):
        names = ", ".join(row.advisories[:_SHOWN])
        more = f" and {len(row.advisories) - _SHOWN} more" if len(row.advisories) > _SHOWN else ""
        lines.append(f"| {row.lock} | `{row.name}` | {row.before or 'new'} | {row.after or 'gone'} | {names}{more} |")
    lines += ["", "| image | before | after |", "|---|---|---|"]
    pairs = [(report.before.tag, report.after.tag, "tag"), (_digest(report.before), _digest(report.after), "digest")]
    pairs.append((_size(report.before), _size(report.after), "size"))
    lines += [f"| {name} | {one} | {other} |" for one, other, name in pairs]
    if report.held:
        lines += ["", "## Not moved", ""]
        lines += ["The requirements hold these back. An override raises one of the image's (docs/image.md).", ""]
        lines += [
            f"- {row.lock}: `{row.name}` {row.version}: {row.advisory}, fixed in {', '.join(row.fixed)}"
            for row in report.held
        ]
    text = "\n".join(lines) + "\n"
    return text if len(text) <= _LIMIT else text[:_LIMIT] + "\n\n(cut: report.json has all of it)\n"


def _digest(image: Built) -> str:
    return f"`{image.digest}`" if image.digest else "could not be built any more"


def _size(image: Built) -> str:
    return human_size(image.size) if image.size else "–"
