"""The verb `backtest`: the series of older releases, replayed over upstream's history."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

from webui_fork.core import git
from webui_fork.core.errors import UsageError
from webui_fork.core.files import write_atomic
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.rebase import backtest as rebase_backtest
from webui_fork.rebase import charts, releases
from webui_fork.rebase.backtest import Row
from webui_fork.rebase.cherry_pick import Outcome
from webui_fork.rebase.releases import Release
from webui_fork.series import apply

PROVED = "right, by the syntax tree (needs the proof)"
KINDS = {
    "right": "#2da44e",
    "carried, nothing expected": "#7ab648",
    PROVED: "#e1a324",
    "conflict": "#6e7781",
    "wrong": "#cf222e",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s backtest"
    parser.add_argument("--data", metavar="FOLDER", help="series by release; default: tests/assets/series")
    parser.add_argument("--no-peers", action="store_true", help="leave out git am -3 and patch -p1")
    parser.add_argument("--from", dest="first", metavar="VERSION", help="leave out series of older releases")
    parser.add_argument("--to", dest="last", metavar="VERSION", help="the last release; default: the newest")


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Carry every series of the data set over the releases since its own; write out/backtest.{md,json,svg}.

    Raises:
        UsageError: there is no series, or no such release. SourceError: a release can't be obtained.
        ApplyError: a series does not apply.
    """
    data = Path(arguments.data).resolve() if arguments.data else settings.root / "tests" / "assets" / "series"
    folders = sorted((path.parent for path in data.glob("*/series")), key=lambda path: releases.version(path.name))
    folders = [
        path
        for path in folders
        if not arguments.first or releases.version(path.name) >= releases.version(arguments.first)
    ]
    if not folders:
        raise UsageError(f"{data} has no series.", remedy="One folder a release: 0.9.6/series and its patches.")
    chosen = releases.of_range(settings, ui, folders[0].name, arguments.last)
    plain = replace(settings, cosign_password=None)
    rows: list[Row] = []
    with (
        ui.step("replay", f"Replaying {len(folders)} series over {len(chosen) - 1} bumps"),
        ProcessPoolExecutor(os.cpu_count()) as pool,
    ):
        jobs = {
            path.name: pool.submit(_one, plain, path, chosen, data / "expect.toml", not arguments.no_peers)
            for path in folders
        }
        for name, job in jobs.items():
            rows += job.result()
            ui.say(f"{name}: done")
    totals = _totals(rows)
    title = f"{len(rows)} times a bump touched a patch: {len(folders)} series, {len(chosen) - 1} bumps"
    write_atomic(settings.out / "backtest.json", json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    write_atomic(settings.out / "backtest.svg", charts.stacked_bars(title, totals, KINDS))
    text = _markdown(title, rows, totals)
    write_atomic(settings.out / "backtest.md", text)
    print(text)
    print("Written: out/backtest.md, out/backtest.json, out/backtest.svg")


def _one(settings: Settings, folder: Path, chosen: Sequence[Release], expected: Path, peers: bool) -> list[Row]:
    repo = git.repository(settings)
    _, patches = apply.read_series(folder)
    rows = rebase_backtest.read_expectations(expected) if expected.exists() else {}
    usable = [one for one in chosen if releases.version(one.version) >= releases.version(folder.name)]
    return list(rebase_backtest.replay(repo, folder.name, patches, usable, rows, settings.environ, peers=peers))


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
