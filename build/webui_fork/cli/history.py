"""The verbs `backtest` and `matrix`: upstream's history, replayed."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from webui_fork.config import upstream_lock
from webui_fork.config.upstream_lock import Lock
from webui_fork.core import git
from webui_fork.core import text as core_text
from webui_fork.core.errors import UsageError
from webui_fork.core.files import write_atomic
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.rebase import backtest as rebase_backtest
from webui_fork.rebase import charts, cherry_pick, report
from webui_fork.rebase.backtest import Row
from webui_fork.rebase.cherry_pick import Outcome
from webui_fork.rebase.releases import Release, Releases
from webui_fork.series import apply
from webui_fork.sources import package_index
from webui_fork.sources import release as sources_release

if TYPE_CHECKING:
    from packaging.version import Version

PROVED = "right, by the syntax tree (needs the proof)"
KINDS = {
    "right": "#2da44e",
    "carried, nothing expected": "#7ab648",
    PROVED: "#e1a324",
    "conflict": "#6e7781",
    "wrong": "#cf222e",
}


def _releases(settings: Settings, ui: Terminal, first: str, last: str | None) -> list[Release]:
    """Have the stable releases of a range in the local repository, oldest first; downloads what is missing."""
    low, high = _version(first), _version(last) if last else None
    where = package_index.configured(settings)
    listed, _ = package_index.listing(where, package_index.session(where))
    wanted = [one for one in listed if low <= _version(one.version) and (high is None or _version(one.version) <= high)]
    if len(wanted) < 2:
        raise UsageError(
            f"The index has fewer than two stable releases from {first} on.", remedy="Try an older --from."
        )
    locks = [Lock(one.version, one.time, one.sdist, one.wheel, None, ()) for one in wanted]
    with ui.step("releases", f"Having {len(locks)} releases at hand"):
        return [Release(one.version, sources_release.release_commit(settings, one, ui), one.epoch) for one in locks]


def _version(text: str) -> Version:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(text)
    except InvalidVersion:
        raise UsageError(f"{text!r} is not a version.", remedy="As in --from 0.9.0") from None


def _one(settings: Settings, folder: Path, releases: Sequence[Release], expected: Path, peers: bool) -> list[Row]:
    repo = git.repository(settings)
    _, patches = apply.read_series(folder)
    rows = rebase_backtest.read_expectations(expected) if expected.exists() else {}
    usable = [one for one in releases if _version(one.version) >= _version(folder.name)]
    return list(rebase_backtest.replay(repo, folder.name, patches, usable, rows, settings.environ, peers=peers))


def backtest(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Carry every series of the data set over the releases since its own; write out/backtest.{md,json,svg}.

    Raises:
        UsageError: there is no series, or no such release. ForkError: see the stages.
    """
    data = Path(arguments.data).resolve() if arguments.data else settings.root / "tests" / "assets" / "series"
    folders = sorted((path.parent for path in data.glob("*/series")), key=lambda path: _version(path.name))
    folders = [path for path in folders if not arguments.first or _version(path.name) >= _version(arguments.first)]
    if not folders:
        raise UsageError(f"{data} has no series.", remedy="One folder a release: 0.9.6/series and its patches.")
    releases = _releases(settings, ui, folders[0].name, arguments.last)
    plain = replace(settings, cosign_password=None)
    rows: list[Row] = []
    with (
        ui.step("replay", f"Replaying {len(folders)} series over {len(releases) - 1} bumps"),
        ProcessPoolExecutor(os.cpu_count()) as pool,
    ):
        jobs = {
            path.name: pool.submit(_one, plain, path, releases, data / "expect.toml", not arguments.no_peers)
            for path in folders
        }
        for name, job in jobs.items():
            rows += job.result()
            ui.say(f"{name}: done")
    totals = _totals(rows)
    title = f"{len(rows)} times a bump touched a patch: {len(folders)} series, {len(releases) - 1} bumps"
    write_atomic(settings.out / "backtest.json", json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    write_atomic(settings.out / "backtest.svg", charts.stacked_bars(title, totals, KINDS))
    text = _markdown(title, rows, totals)
    write_atomic(settings.out / "backtest.md", text)
    print(text)
    print("Written: out/backtest.md, out/backtest.json, out/backtest.svg")


def _totals(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    totals: dict[str, Counter[str]] = {"webui_fork": Counter()}
    for row in rows:
        totals["webui_fork"][_kind(row)] += 1
        for name, verdict in row.peers:
            totals.setdefault(name, Counter())[verdict] += 1
    return {name: dict(counts) for name, counts in totals.items()}


def _kind(row: Row) -> str:
    if row.outcome is Outcome.CONFLICT:
        return "conflict"
    if row.needs_proof:  # its proof would refuse what is wrong
        return "conflict" if row.verdict == "wrong" else PROVED
    return row.verdict or "carried, nothing expected"


def _markdown(title: str, rows: Sequence[Row], totals: dict[str, dict[str, int]]) -> str:
    lines = [f"# Backtest: {title}", "", f"| | {' | '.join(KINDS)} |", "|---" * (len(KINDS) + 1) + "|"]
    for name, counts in totals.items():
        total = sum(counts.values())
        cells = [f"{counts.get(kind, 0)} ({counts.get(kind, 0) / total:.1%})" for kind in KINDS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", "| outcome | method | verdict | times |", "|---|---|---|---|"]
    ways = Counter((row.outcome, row.method.word, row.verdict or "–") for row in rows)
    lines += [f"| {' | '.join(way)} | {count} |" for way, count in ways.most_common()]
    bad = [row for row in rows if row.verdict == "wrong"]
    lines += ["", "## Wrong", ""]
    lines += [f"- {r.series}: {r.patch}, {r.old} to {r.new}, {r.method.word}: {r.why}" for r in bad] or ["None."]
    lines += ["", "## Conflicts", ""]
    stuck = [row for row in rows if row.outcome is Outcome.CONFLICT]
    lines += [f"- {r.series}: {r.patch}, {r.old} to {r.new}: {r.why.splitlines()[0]}" for r in stuck] or ["None."]
    return "\n".join(lines) + "\n"


def matrix(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Carry the series from the pinned release to every release of a range; write out/matrix.{svg,md,json}.

    Raises:
        UsageError: there is no such release. ForkError: see the stages.
    """
    pinned = upstream_lock.read(settings.lock_file)
    _, patches = apply.read_series(settings.patches)
    releases = _releases(settings, ui, arguments.first, arguments.last)
    repo = git.repository(settings)
    old = sources_release.release_commit(settings, pinned, ui)
    tree = apply.apply(repo, old, patches, pinned.epoch)
    cells: dict[tuple[str, str], tuple[str, str]] = {}
    with ui.step("carry", f"Carrying {len(patches)} patches to {len(releases)} releases"):
        for release in releases:
            ends = Releases(repo, old, release.commit, release.epoch, release.version)
            merge = cherry_pick.merger(repo, release.commit, settings.environ)
            parent = release.commit
            for number, patch in enumerate(patches):
                before = tree.commits[number - 1] if number else tree.release
                row = cherry_pick.carry_patch(ends, patch, before, tree.commits[number], parent, merge)
                words = row.why.partition("\n")[0] or row.method.word
                cells[patch.name.removesuffix(".patch"), release.version] = (str(row.outcome), words)
                parent = row.commit or parent
            ui.say(f"{release.version}: done")
    names, versions = [patch.name.removesuffix(".patch") for patch in patches], [one.version for one in releases]
    title = f"The series of {pinned.version} on every release since {versions[0]}"
    write_atomic(settings.out / "matrix.svg", charts.heat_map(title, names, versions, cells, report.COLORS))
    values = [{"patch": p, "release": v, "outcome": o, "why": w} for (p, v), (o, w) in cells.items()]
    write_atomic(settings.out / "matrix.json", json.dumps(values, indent=1) + "\n")
    rows = [("release", *(str(outcome) for outcome in Outcome))]
    for version in versions:
        counts = Counter(cells[name, version][0] for name in names)
        rows.append((version, *(str(counts[outcome] or "") for outcome in Outcome)))
    print(core_text.table(rows))
    print("Written: out/matrix.svg, out/matrix.json")
