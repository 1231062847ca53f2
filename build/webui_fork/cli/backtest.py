"""The verb `backtest`: the series of older releases, or random edits, replayed over upstream's history."""

from __future__ import annotations

import argparse
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

from webui_fork.core import charts, git
from webui_fork.core.errors import UsageError
from webui_fork.core.files import write_atomic
from webui_fork.core.git import Repo
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.merge import three_way
from webui_fork.merge.text import Merger
from webui_fork.rebase import backtest as rebase_backtest
from webui_fork.rebase import releases
from webui_fork.rebase.backtest import Row
from webui_fork.rebase.cherry_pick import Outcome
from webui_fork.rebase.releases import Release
from webui_fork.series import apply, expectations, line_edits, synthetic

FIRST = "0.5.20"  # with it begin the series of the data set
_BACK_END = ("backend/open_webui", (".py",))
_FRONT_END = ("src", three_way.FRONT_END)
_SCORES = {f"score at k = {k}": k for k in (1, 10, 100)}
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
    parser.add_argument("--synthetic", type=int, metavar="N", help="replay N random edits instead of series")
    parser.add_argument(
        "--front-end", action="store_true", help="with --synthetic: edit lines below src/, not functions"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="the seed of the random edits; default: 1")
    parser.add_argument("--to", dest="last", metavar="VERSION", help="the last release; default: the newest")


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Carry every series of the data set over the releases since its own; write out/backtest.{md,json,svg}.

    Raises:
        UsageError: there is no series, or no such release. SourceError: a release can't be obtained.
        ApplyError: a series does not apply.
    """
    if (arguments.synthetic is not None and arguments.synthetic < 1) or (
        arguments.front_end and not arguments.synthetic
    ):
        raise UsageError(
            "--synthetic takes a number of edits, and --front-end is only valid with it.",
            remedy="--synthetic 1500 --seed 5",
        )
    if arguments.synthetic:
        _synthetic(settings, ui, arguments)
        return
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
    newest = releases.version(chosen[-1].version)
    folders = [path for path in folders if releases.version(path.name) < newest]
    if not folders:
        raise UsageError(f"No series of {data} is older than {arguments.last}.", remedy="Try a newer --to.")
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
    rows = expectations.read(expected) if expected.exists() else {}
    usable = [one for one in chosen if releases.version(one.version) >= releases.version(folder.name)]
    return list(rebase_backtest.replay(repo, folder.name, patches, usable, rows, settings.environ, peers=peers))


@dataclass(frozen=True, slots=True)
class Tried:
    """An edit by chance, and how it was carried: right, wrong or conflict; `needs proof` before it where it does."""

    old: str
    new: str
    path: str
    function: str
    line: int
    kind: str
    method: str
    why: str
    webui_fork: str
    git: str


@dataclass(frozen=True, slots=True)
class _Pair:
    """A file of two releases, and the seed of the edit that is tried on it."""

    seed: int
    old: str
    new: str
    path: str
    base: str
    theirs: str
    style: bytes | None


def _synthetic(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Make random edits in what a bump changes, carry them, and write out/synthetic.{md,json}."""
    chosen = releases.of_range(settings, ui, arguments.first or FIRST, arguments.last)
    repo, chance = git.repository(settings), random.Random(arguments.seed)  # noqa: S311 - no secret
    pairs = _pairs(repo, chosen, chance, arguments.synthetic, _FRONT_END if arguments.front_end else _BACK_END)
    with ui.step("edits", f"Carrying {len(pairs)} edits"), ProcessPoolExecutor(os.cpu_count()) as pool:
        tried = [row for row in pool.map(partial(_try, dict(settings.environ)), pairs, chunksize=8) if row]
    text = _synthetic_markdown(tried, arguments.seed)
    write_atomic(settings.out / "synthetic.json", json.dumps([asdict(row) for row in tried], indent=1) + "\n")
    write_atomic(settings.out / "synthetic.md", text)
    print(text)
    print("Written: out/synthetic.md, out/synthetic.json")


def _pairs(
    repo: Repo, chosen: Sequence[Release], chance: random.Random, count: int, kind: tuple[str, tuple[str, ...]]
) -> list[_Pair]:
    """Return files of two releases, by chance: a bump first, so that a large one does not count for more."""
    bumps = [(old, new, files) for old, new in pairwise(chosen) if (files := _changed(repo, old, new, *kind))]
    if not bumps:
        raise UsageError(f"No release of this range changes a file below {kind[0]}/.", remedy="Try an older --from.")
    pairs: list[_Pair] = []
    for _ in range(count):
        old, new, files = chance.choice(bumps)
        path = chance.choice(files)
        base, theirs = ((repo.read_file(one.commit, path) or b"").decode() for one in (old, new))
        style = repo.read_file(new.commit, "pyproject.toml")
        pairs.append(_Pair(chance.randrange(1 << 30), old.version, new.version, path, base, theirs, style))
    return pairs


def _changed(repo: Repo, old: Release, new: Release, folder: str, ends: tuple[str, ...]) -> list[str]:
    names = repo.git.diff("--name-only", "--diff-filter=M", old.commit, new.commit, "--", folder)
    return [name for name in names.split("\n") if name.endswith(ends) and "/migrations/" not in name]


def _try(environ: dict[str, str], pair: _Pair) -> Tried | None:
    merge = Merger(environ, pair.style)
    chance = random.Random(pair.seed)  # noqa: S311 - no secret
    is_python = pair.path.endswith(".py")
    change = (
        synthetic.edit(chance, pair.base, pair.theirs, merge.formatted)
        if is_python
        else line_edits.edit(chance, pair.base, pair.theirs)
    )
    if change is None:
        return None
    file = three_way.carry(merge, pair.path, pair.base, change.ours, pair.theirs)
    text = file.text if isinstance(file.text, str) else None
    lines, clean = merge.lines(pair.base, change.ours, pair.theirs)
    is_right = partial((synthetic if is_python else line_edits).is_right, change)
    verdict = _verdict(is_right, text)
    ours = f"needs proof, {verdict}" if text is not None and file.needs_proof else verdict
    place = (pair.old, pair.new, pair.path, change.function, change.line, change.kind)
    return Tried(*place, file.method.word, file.why, ours, _verdict(is_right, lines if clean else None))


def _verdict(is_right: Callable[[str], bool], text: str | None) -> str:
    if text is None:
        return "conflict"
    return "right" if is_right(text) else "wrong"


def _synthetic_markdown(tried: Sequence[Tried], seed: int) -> str:
    kinds = ("right", "needs proof, right", "conflict", "needs proof, wrong", "wrong")
    lines = [f"# {len(tried)} random edits, seed {seed}", "", f"| | {' | '.join(kinds)} | {' | '.join(_SCORES)} |"]
    lines.append("|---" * (len(kinds) + len(_SCORES) + 1) + "|")
    for name in ("webui_fork", "git"):
        counts = Counter(getattr(row, name) for row in tried)
        cells = [f"{counts[kind]} ({counts[kind] / max(len(tried), 1):.1%})" for kind in kinds]
        # a proof refuses what is wrong
        conflicts = counts["conflict"] + counts["needs proof, wrong"]
        scores = [f"{1 - (conflicts + k * counts['wrong']) / max(len(tried), 1):.3f}" for k in _SCORES.values()]
        lines.append(f"| {'git merge-file' if name == 'git' else name} | {' | '.join((*cells, *scores))} |")
    lines += [
        "",
        "A score is 1 - (conflicts + k × wrong) / all (Schesch et al., ASE 2024).",
        "",
        "## Not right by text alone",
        "",
    ]
    return "\n".join([*lines, *(_shown(row) for row in tried if row.webui_fork != "right")]) + "\n"


def _shown(row: Tried) -> str:
    where = f"{row.path}:{row.line} {row.function}".rstrip() + f", {row.old} to {row.new}"
    return f"- {row.webui_fork}: {row.kind}, {where}, {row.method}. {row.why.partition(chr(10))[0]}"


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
        cells = [f"{counts.get(kind, 0)} ({counts.get(kind, 0) / max(total, 1):.1%})" for kind in KINDS]
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
