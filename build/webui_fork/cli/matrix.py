"""The verb `matrix`: which patches of the series carry to which releases."""

from __future__ import annotations

import argparse
import json
from collections import Counter

from webui_fork.config import upstream_lock
from webui_fork.core import charts, git
from webui_fork.core import text as core_text
from webui_fork.core.files import write_atomic
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.rebase import cherry_pick, releases, report
from webui_fork.rebase.cherry_pick import Outcome
from webui_fork.rebase.releases import Ends
from webui_fork.series import apply
from webui_fork.sources import release as sources_release


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s matrix -- --from 0.9.0"
    parser.add_argument(
        "--from", dest="first", metavar="VERSION", default="0.9.0", help="the first release; default: 0.9.0"
    )
    parser.add_argument("--to", dest="last", metavar="VERSION", help="the last release; default: the newest")


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Carry the series from the pinned release to every release of a range; write out/matrix.{svg,json}.

    Raises:
        UsageError: there is no such release. SourceError: a release can't be obtained.
        ApplyError: the series does not apply.
    """
    pinned = upstream_lock.read(settings.lock_file)
    _, patches = apply.read_series(settings.patches)
    chosen = releases.of_range(settings, ui, arguments.first, arguments.last)
    repo = git.repository(settings)
    old = sources_release.release_commit(settings, pinned, ui)
    tree = apply.apply(repo, old, patches, pinned.epoch)
    cells: dict[tuple[str, str], tuple[str, str]] = {}
    with ui.step("carry", f"Carrying {len(patches)} patches to {len(chosen)} releases"):
        for release in chosen:
            ends = Ends(repo, old, release.commit, release.epoch, release.version)
            merge = cherry_pick.merger(repo, release.commit, settings.environ)
            parent = release.commit
            for number, patch in enumerate(patches):
                before = tree.commits[number - 1] if number else tree.release
                row = cherry_pick.carry_patch(ends, patch, before, tree.commits[number], parent, merge)
                words = row.why.partition("\n")[0] or row.method.word
                cells[patch.name.removesuffix(".patch"), release.version] = (str(row.outcome), words)
                parent = row.commit or parent
            ui.say(f"{release.version}: done")
    names, versions = [patch.name.removesuffix(".patch") for patch in patches], [one.version for one in chosen]
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
