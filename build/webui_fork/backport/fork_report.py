"""A fork that became a series, as files: the patches, proofs to fill in, and a report."""

from __future__ import annotations

from pathlib import Path

from webui_fork.backport.fork import Adopted
from webui_fork.core import charts, text
from webui_fork.core.files import ensure_folder, temp_folder, write_atomic
from webui_fork.core.text import counted
from webui_fork.rebase import report
from webui_fork.rebase.cherry_pick import Outcome
from webui_fork.series import worktree
from webui_fork.series.patch import Patch


def write(folder: Path, adopted: Adopted) -> None:
    """Write the results in place of those of before, all or none.

    Args:
        folder: what they go to. adopted: the series.

    Raises:
        CacheError: they can't be written.
    """
    with temp_folder(folder.parent / "tmp", "adopt-") as work:
        part = ensure_folder(work / "adopt")
        names = "".join(f"{patch.name}\n" for patch in adopted.patches)
        write_atomic(part / "patches/series", names)
        for patch in adopted.patches:
            write_atomic(part / "patches" / patch.name, patch.data)
            proof = patch.field("Proof")
            write_atomic(part / proof, worktree.proof_to_fill_in(Path(proof).stem))
        write_atomic(part / "report.md", _report(adopted))
        cells = {(name, version): (str(outcome), "") for name, row in adopted.reach for version, outcome in row}
        versions = list(dict.fromkeys(version for _, version in cells))
        if versions:
            title = f"A fork of {adopted.version} on the releases after it"
            rows = [name for name, _ in adopted.reach]
            write_atomic(part / "reach.svg", charts.heat_map(title, rows, versions, cells, report.COLORS))
        if folder.exists():
            folder.rename(work / "before")
        part.rename(folder)


def _report(adopted: Adopted) -> str:
    reach = dict(adopted.reach)
    rows = [f"# A fork of {adopted.version} as {counted(len(adopted.patches), 'patch')}", ""]
    rows += ["| patch | files | lines | carried to | stopped at |", "|---|---|---|---|---|"]
    rows += [_row(patch, reach.get(patch.name, ())) for patch in adopted.patches]
    rows += ["", "## Left out of the patches", ""]
    rows += [f"- `{text.printable(one.path)}`: {one.why}" for one in adopted.left] or ["Nothing."]
    return "\n".join(rows) + "\n"


def _row(patch: Patch, cells: tuple[tuple[str, Outcome], ...]) -> str:
    stops = [version for version, outcome in cells if outcome is Outcome.CONFLICT]
    lines = sum(file.added + file.removed for file in patch.files)
    went = f"{len(cells) - len(stops)} of {len(cells)}" if cells else "–"
    return f"| {patch.name} | {', '.join(patch.paths)} | {lines} | {went} | {', '.join(stops) or '–'} |"
