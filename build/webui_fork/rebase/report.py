"""What a rebase did, as a value, and as Markdown for a pull request, a page of HTML and JSON. Pure."""

from __future__ import annotations

import difflib
import html
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from packaging.version import Version

from webui_fork.core.text import counted, fenced, inert
from webui_fork.sources.changelog import Note
from webui_fork.sources.interface import OF_IMAGES, Difference

_NOISE = re.compile(r"^(index [0-9a-f]+\.\.[0-9a-f]+.*|@@ .*)$")
_DIFFERENCES = "What changes for operators"
_LIMIT = 60_000  # characters: a pull request's text holds 65536
COLORS = {
    "unchanged": "#1a7f37",
    "offset": "#2da44e",
    "merged": "#7ab648",
    "reformatted": "#d4a72c",
    "relocated": "#e16f24",
    "upstreamed": "#0969da",
    "conflict": "#cf222e",
    "skipped": "#6e7781",
}


@dataclass(frozen=True, slots=True)
class PatchRow:
    """One patch: what happened to it, how, its size before and after (lines added, removed), and evidence."""

    name: str
    outcome: str
    method: str
    before: tuple[int, int]
    after: tuple[int, int] | None
    interdiff: str = ""
    why: str = ""
    review: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One step of the gate: ``passed`` is None where it did not run; ``detail`` is a line."""

    name: str
    passed: bool | None
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RebaseReport:
    """A whole rebase. ``verdict`` is a key of ``_VERDICTS``; ``blocker`` is why where it is blocked.

    ``overdue`` are the patches that are for upstream and were not sent there, with their age in days.
    """

    old: str
    new: str
    verdict: str
    between: int
    rows: tuple[PatchRow, ...]
    notes: tuple[Note, ...]
    checks: tuple[Check, ...]
    times: tuple[tuple[str, float], ...]
    digest: str = ""
    conflict: str = ""
    blocker: str = ""
    differences: tuple[Difference, ...] = ()
    overdue: tuple[tuple[str, int], ...] = ()

    @property
    def title(self) -> str:
        """One line: of a pull request."""
        return f"Open WebUI {self.new}"

    @property
    def back(self) -> bool:
        """Whether it goes to an older release."""
        return Version(self.new) < Version(self.old)

    @property
    def compare(self) -> str:
        """Where upstream shows its changes between the two releases."""
        low, high = (self.new, self.old) if self.back else (self.old, self.new)
        return f"https://github.com/open-webui/open-webui/compare/v{low}...v{high}"

    @property
    def notes_title(self) -> str:
        """What the notes of the changelog are in this direction."""
        if self.back:
            return "From upstream's changelog: migrations and changes that are taken back"
        return "From upstream's changelog: migrations and changes to know about"


def interdiff(old: bytes, new: bytes) -> str:
    """Return how a patch changed, leaving out blob names and line numbers."""
    before, after = (
        [line for line in data.decode("utf-8").splitlines() if not _NOISE.match(line)] for data in (old, new)
    )
    return "\n".join(difflib.unified_diff(before, after, "before", "after", lineterm="", n=2))


def to_json(report: RebaseReport) -> str:
    """Return the report for programs."""
    return json.dumps({"schema": 1, "title": report.title, **asdict(report)}, indent=1) + "\n"


def from_json(text: str) -> RebaseReport:
    """Read a report that :func:`to_json` wrote.

    Raises:
        ValueError, KeyError, TypeError: it is not one.
    """
    values = json.loads(text)
    del values["schema"], values["title"]
    rows = [
        PatchRow(**{**row, "before": tuple(row["before"]), "after": row["after"] and tuple(row["after"])})
        for row in values.pop("rows")
    ]
    notes = [Note(**row) for row in values.pop("notes")]
    checks = [Check(**row) for row in values.pop("checks")]
    times = tuple((name, seconds) for name, seconds in values.pop("times"))
    differences = tuple(Difference(**row) for row in values.pop("differences", ()))
    values["overdue"] = tuple((name, days) for name, days in values.get("overdue", ()))
    values |= {"rows": tuple(rows), "notes": tuple(notes), "checks": tuple(checks)}
    return RebaseReport(**values, times=times, differences=differences)


_OVERDUE = "For upstream, and not sent yet"
_VERDICTS = {
    "ready": "Ready to merge: every patch was carried, and every check passed.",
    "not proved": "**Not proved.** Every patch was carried, but the proofs and tests did not run.",
    "gate failed": "**Not ready.** Every patch was carried, but a check failed.",
    "conflict": "**Not ready.** A patch needs a person.",
    "rehearsed": "**A dry run.** Nothing was changed, and nothing was proved.",
    "blocked": "**Blocked.** The release can't be built here, whatever its patches do; they were not proved.",
}


def markdown(report: RebaseReport) -> str:
    """Return the report as GitHub's Markdown, short enough for the text of a pull request."""
    counts = ", ".join(f"{n} {name}" for name, n in _counts(report.rows))
    lines = [f"# Open WebUI {report.old} → {report.new}", "", _VERDICTS[report.verdict], ""]
    lines += [f"**{inert(report.blocker)}**", ""] if report.blocker else []
    size = f"{counted(report.between, 'release')} ([upstream's changes]({report.compare}))"
    lines += [f"{size}, {counted(len(report.rows), 'patch')}: {counts}.", ""]
    lines += ["| patch | outcome | method | lines before | after | |", "|---|---|---|---|---|---|"]
    for row in report.rows:
        after = f"+{row.after[0]} −{row.after[1]}" if row.after else "gone"
        words = inert("; ".join(part for part in (row.review, row.why.replace("\n", "; ")[:200]) if part))
        before = f"+{row.before[0]} −{row.before[1]}"
        lines.append(f"| `{row.name}` | {row.outcome} | {row.method} | {before} | {after} | {words} |")
    lines += ["", *_overdue_lines(report), *_note_lines(report), *_difference_lines(report)]
    if report.checks:
        lines += ["## Gate", "", "| check | result | seconds | |", "|---|---|---|---|"]
        lines += [f"| {c.name} | {_passed(c)} | {c.seconds:.0f} | {_last(c.detail)} |" for c in report.checks]
        lines.append("")
        lines += [line for c in report.checks if c.passed is False for line in (*fenced(c.detail, "text"), "")]
    lines += [f"Image: `{report.digest}`", ""] if report.digest else []
    lines += ["Times: " + (", ".join(f"{name} {seconds:.1f} s" for name, seconds in report.times) or "–"), ""]
    lines += [report.conflict, ""] if report.conflict else []
    for row in (row for row in report.rows if row.interdiff):
        lines += ["<details><summary>" + f"{row.name}: interdiff</summary>", "", *fenced(row.interdiff, "diff"), ""]
        lines += ["</details>", ""]
    text = "\n".join(lines)
    return text if len(text) <= _LIMIT else text[:_LIMIT] + "\n\n(cut: report.html has all of it)\n"


def _counts(rows: Iterable[PatchRow]) -> list[tuple[str, int]]:
    names = [row.outcome for row in rows]
    return [(name, names.count(name)) for name in COLORS if name in names]


def _passed(check: Check) -> str:
    return {True: "passed", False: "**failed**", None: "not run"}[check.passed]


def _last(text: str) -> str:
    return inert("".join(text.splitlines()[-1:]))


def _note_lines(report: RebaseReport) -> list[str]:
    if not report.notes:
        return ["Upstream's changelog names no migration and no breaking change.", ""]
    notes = (f"- {note.version}: {inert(note.text)}" for note in report.notes[:40])
    return [f"## {report.notes_title}", "", *notes, ""]


def _overdue_lines(report: RebaseReport) -> list[str]:
    if not report.overdue:
        return []
    ways = (
        "`Forwarded` takes the URL; `no, REASON` is for what upstream won't take, `not-needed` for what is ours alone"
    )
    names = ", ".join(f"`{name}` ({counted(days, 'day')})" for name, days in report.overdue)
    return [f"## {_OVERDUE}", "", f"{names}. {ways}.", ""]


def _difference_lines(report: RebaseReport) -> list[str]:
    if not report.differences:
        return []
    head = [f"| | name | {report.old} | {report.new} |", "|---|---|---|---|"]
    rows = [(f"| {d.kind} | {_code(d.name)} | {_code(d.before)} | {_code(d.after)} |", d) for d in report.differences]
    some, rest = ([row for row, one in rows if one.needs_attention is important] for important in (True, False))
    lines = [f"## {_DIFFERENCES}", "", _difference_counts(report), ""]
    lines += [*head, *some, ""] if some else []
    summary = "The rest" if some else "All of it"
    return [*lines, f"<details><summary>{summary}</summary>", "", *head, *rest, "", "</details>", ""] if rest else lines


def _difference_counts(report: RebaseReport) -> str:
    counts = Counter(one.kind for one in report.differences)
    words = ", ".join(counted(count, kind) for kind, count in counts.items())
    images = " Licences, native wheels and measures are those of the images." if counts.keys() & set(OF_IMAGES) else ""
    return f"{words}. Read from upstream's code; packages are from the locks.{images}"


def _code(text: str) -> str:
    plain = text.replace("`", "'")
    return f"`{inert(plain)}`" if text else ""


_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1f2328;background:#fff}
table{border-collapse:collapse;width:100%}td,th{border:1px solid #d1d9e0;padding:.3rem .6rem;text-align:left}
pre{background:#f6f8fa;padding:.6rem;overflow:auto;font-size:13px}.tag{color:#fff;border-radius:1em;padding:.1em .7em}
.add{color:#1a7f37}.del{color:#cf222e}.verdict{font-size:1.2em;border-left:.4em solid;padding-left:.6em}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}pre{background:#161b22}td,th{border-color:#30363d}}
"""


def page(report: RebaseReport) -> str:
    """Return the report as one page of HTML that needs nothing else."""
    color = COLORS["unchanged"] if report.verdict == "ready" else COLORS["conflict"]
    verdict = html.escape(_VERDICTS[report.verdict].replace("**", ""))
    out = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>{report.old} → {report.new}</title><style>{_STYLE}</style>",
        f"<h1>Open WebUI {report.old} → {report.new}</h1>",
        f"<p class=verdict style='border-color:{color}'>{verdict} {html.escape(report.blocker)}</p>",
        f"<p>{counted(report.between, 'release')} (<a href='{report.compare}'>upstream's changes</a>), "
        f"{counted(len(report.rows), 'patch')}.</p>",
        "<table><tr><th>patch<th>outcome<th>method<th>lines<th>after<th></tr>",
    ]
    for row in report.rows:
        after = f"+{row.after[0]} −{row.after[1]}" if row.after else "gone"
        tag = f"<span class=tag style='background:{COLORS.get(row.outcome, '#6e7781')}'>{row.outcome}</span>"
        words = html.escape("\n".join(part for part in (row.review, row.why) if part)).replace("\n", "<br>")
        if row.interdiff:
            words += f"<details><summary>interdiff</summary><pre>{_colored(row.interdiff)}</pre></details>"
        name = f"<a href='../../patches/{html.escape(row.name)}'>{html.escape(row.name)}</a>"
        before = f"+{row.before[0]} −{row.before[1]}"
        out.append(f"<tr><td>{name}<td>{tag}<td>{row.method}<td>{before}<td>{after}<td>{words}</tr>")
    out.append("</table>")
    if report.overdue:
        names = ", ".join(f"{html.escape(name)} ({counted(days, 'day')})" for name, days in report.overdue)
        out.append(f"<h2>{_OVERDUE}</h2><p>{names}</p>")
    if report.checks:
        out.append("<h2>Gate</h2><table><tr><th>check<th>result<th>seconds<th></tr>")
        out += [
            f"<tr><td>{html.escape(c.name)}<td>{_passed(c).strip('*')}<td>{c.seconds:.0f}<td><pre>{html.escape(c.detail)}</pre></tr>"
            for c in report.checks
        ]
        out.append("</table>")
    if report.notes:
        out.append(f"<h2>{report.notes_title}</h2><ul>")
        out += [f"<li><b>{n.version}</b> {_rendered(n.text)}" for n in report.notes]
        out.append("</ul>")
    out += _difference_table(report)
    if report.conflict:
        out.append(f"<h2>Conflict</h2><pre>{_rendered(report.conflict)}</pre>")
    times = ", ".join(f"{html.escape(name)} {seconds:.1f} s" for name, seconds in report.times)
    out.append(f"<p>Image: <code>{html.escape(report.digest or 'not built')}</code></p><p>Times: {times}</p></html>")
    return "\n".join(out) + "\n"


def _difference_table(report: RebaseReport) -> list[str]:
    if not report.differences:
        return []
    important_first = sorted(report.differences, key=lambda one: not one.needs_attention)
    cells = ((one.kind, one.name, one.before, one.after) for one in important_first)
    rows = (f"<tr>{''.join(f'<td>{html.escape(cell)}' for cell in row)}</tr>" for row in cells)
    head = f"<h2>{_DIFFERENCES}</h2><p>{_difference_counts(report)}</p>"
    return [head, f"<table><tr><th><th>name<th>{report.old}<th>{report.new}</tr>", *rows, "</table>"]


def _rendered(text: str) -> str:
    """Return words with upstream's bold and code as HTML; whatever else is in them is text."""
    bold = re.sub(r"\*\*([^*\n]+)\*\*", r"<b>\1</b>", html.escape(text))
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", bold)


def _colored(diff: str) -> str:
    kinds = {"+": "add", "-": "del"}
    rows = ((kinds.get(line[:1], ""), html.escape(line)) for line in diff.splitlines())
    return "\n".join(f"<span class={kind}>{line}</span>" if kind else line for kind, line in rows)


def summary(report: RebaseReport) -> list[tuple[str, ...]]:
    """Return the rows of the table on the terminal."""
    return [(row.name, row.outcome, row.method, row.review or row.why.partition("\n")[0][:100]) for row in report.rows]
