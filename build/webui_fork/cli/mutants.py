"""The verb `mutants`: small faults in the lines of each patch, and whether its proof notices them."""

from __future__ import annotations

import argparse
import random
import shutil
import tomllib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui_fork.core import git
from webui_fork.core import text as core_text
from webui_fork.core.errors import ProofError, UsageError
from webui_fork.core.files import temp_folder, write_atomic
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
from webui_fork.image.inputs import Inputs
from webui_fork.image.pipeline import Built
from webui_fork.oci import unpack
from webui_fork.series import apply, mutants, proofs
from webui_fork.series.mutants import Mutant
from webui_fork.series.patch import Patch

KNOWN = "tests/assets/mutants.toml"
SCORE = 0.9
_BACKEND = "backend/"

Key = tuple[str, str, str, str]  # patch, file below backend/, the line's text, the mutant's name
Job = tuple[Patch, str, Mutant]  # a patch, a file that it changes, and a fault in one of its lines there


@dataclass(frozen=True, slots=True)
class Run:
    """A mutant of a patch in a file (below backend/), and whether the proof noticed it."""

    patch: str
    path: str
    mutant: Mutant
    killed: bool

    @property
    def key(self) -> Key:
        """How a known survivor names it: the same fault in another line is another one."""
        return self.patch, self.path, self.mutant.source, self.mutant.name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s mutants -- go-direct --sample 20"
    parser.add_argument("patches", nargs="*", metavar="PATCH", help="patches of the series; default: all")
    parser.add_argument("--sample", type=_count, default=0, metavar="N", help="run only N mutants of each patch")
    parser.add_argument("--jobs", type=_count, default=2, metavar="N", help="proofs at the same time; default: 2")


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:9]) <= 10**6:
        raise argparse.ArgumentTypeError("write a number of at least 1")
    return int(text)


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Run the proofs on the mutants; print scores and survivors, and write out/mutants.md.

    Raises:
        UsageError: a patch is named that is not in the series.
        ProofError: a proof fails without a fault, it notices too few, or a survivor is not named in
            tests/assets/mutants.toml.
    """
    inputs = image_inputs.read_inputs(settings, ui, locked=False)
    chosen = [patch for patch in inputs.patches if not arguments.patches or _slug(patch) in arguments.patches]
    if unknown := set(arguments.patches) - {_slug(patch) for patch in chosen}:
        remedy = "`nox -s patches` lists them."
        raise UsageError(f"The series has no patch {', '.join(sorted(unknown))}.", remedy=remedy)
    built = pipeline.build(settings, inputs, ui, locked=False)
    with temp_folder(settings.cache / "trees", "mutants-") as work:
        tree = unpack.tree(built.image, settings.cache, work / "tree")
        jobs = _sample(_jobs(settings, inputs, built, tree, chosen), arguments.sample)
        for patch in chosen:
            if patch not in [one for one, _, _ in jobs]:
                ui.say(f"{_slug(patch)} has no line of Python in this sample, and so no mutant")
            ui.say(f"Running the proof of {_slug(patch)} without a fault")
            check_unchanged(settings, tree, patch)
        runs = _run_all(settings, ui, tree, work, jobs, arguments.jobs)
    judge(settings, runs, whole=not arguments.sample)


def _jobs(settings: Settings, inputs: Inputs, built: Built, tree: Path, chosen: list[Patch]) -> list[Job]:
    """Return every mutant in the lines of some patches; a line is the patch's that changed it last."""
    repo = git.repository(settings)
    by_commit = dict(zip(built.tree.commits, inputs.patches, strict=True))
    jobs: list[Job] = []
    for change in apply.changes(repo, built.tree):
        if not change.path.endswith(".py"):
            continue
        blame = str(repo.git.blame("-l", "-s", built.tree.head, "--", change.path)).splitlines()
        for patch in chosen:
            rows = {n for n, row in enumerate(blame, 1) if by_commit.get(row.split()[0].lstrip("^")) is patch}
            text = (tree / change.path).read_text()
            jobs += [(patch, change.path, mutant) for mutant in mutants.mutants(text, frozenset(rows))]
    return jobs


def _run_all(settings: Settings, ui: Terminal, tree: Path, work: Path, jobs: list[Job], at_once: int) -> list[Run]:
    runs: list[Run] = []
    with ThreadPoolExecutor(at_once) as pool:
        pending = [pool.submit(_try, settings, tree, work / str(n), *job) for n, job in enumerate(jobs)]
        try:
            for number, one in enumerate(pending, 1):
                last = one.result()
                runs.append(last)
                word = "noticed" if last.killed else "SURVIVED"
                ui.say(f"{number}/{len(jobs)} {word} {last.patch} {last.path}:{last.mutant.line} {last.mutant.name}")
        except KeyboardInterrupt:
            ui.say("Stopping when the running proofs end")
            pool.shutdown(cancel_futures=True)
            raise
    return runs


def _slug(patch: Patch) -> str:
    return patch.name.removesuffix(".patch")


def _sample(jobs: list[Job], count: int) -> list[Job]:
    """Return so many mutants of each patch, the same at each run; all where count is 0."""
    if not count:
        return jobs
    chosen = []
    for name in dict.fromkeys(patch.name for patch, _, _ in jobs):
        own = [job for job in jobs if job[0].name == name]
        chosen += random.Random(name).sample(own, min(count, len(own)))  # noqa: S311  # nothing secret
    return chosen


def check_unchanged(settings: Settings, tree: Path, patch: Patch) -> None:
    """Run a proof on the series as it is: a proof that fails there "notices" every fault.

    Raises:
        ProofError: it fails, or can not run.
    """
    done = proofs.run(settings.root, patch.field("Proof"), tree, settings.environ, "-x")
    if not done.green:
        remedy = "Run it on a tree from `nox -s patches -- tree FOLDER`, as CONTRIBUTING.md says, and fix it first."
        raise ProofError(f"The proof of {patch.name} fails without a fault.", why=done.output[-2000:], remedy=remedy)


def _try(settings: Settings, tree: Path, folder: Path, patch: Patch, path: str, mutant: Mutant) -> Run:
    mutated = unpack.variant(tree, folder, path, mutant.text)
    done = proofs.run(settings.root, patch.field("Proof"), mutated, settings.environ, "-x")
    shutil.rmtree(mutated)
    return Run(_slug(patch), path.removeprefix(_BACKEND), mutant, not done.green)


def known_survivors(settings: Settings) -> dict[Key, str]:
    """Read the survivors that nobody can notice, and why.

    Raises:
        UsageError: the file is not what it should be.
    """
    path = settings.root / KNOWN
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        rows = table.get("survivor", [])
        return {(row["patch"], row["path"], row["line"], row["mutant"]): str(row["why"]) for row in rows}
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        remedy = "A [[survivor]] has patch, path, line, mutant and why."
        raise UsageError(f"{KNOWN} can't be read.", why=repr(error), remedy=remedy) from None


def judge(settings: Settings, runs: Sequence[Run], *, whole: bool) -> None:
    """Print the scores and the survivors, and write them to out/mutants.md.

    Args:
        settings: where the known survivors are read and the report goes.
        runs: what was tried.
        whole: it was every mutant; of a sample, nothing follows.

    Raises:
        ProofError: a proof notices too few, or a survivor is not known.
        UsageError: the file of known survivors is not what it should be.
    """
    excused = known_survivors(settings)
    rows, low = [], []
    for name in dict.fromkeys(run.patch for run in runs):
        own = [run for run in runs if run.patch == name]
        killed = sum(run.killed for run in own)
        rows.append((name, f"{killed} of {len(own)}", f"{killed / len(own):.0%}"))
        if killed / len(own) < SCORE:
            low.append(name)
    survivors = [run for run in runs if not run.killed]
    lines = ["| patch | mutants noticed | score |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows), ""]
    lines += _survivors(survivors, excused)
    write_atomic(settings.out / "mutants.md", "\n".join(lines) + "\n")
    print(core_text.table(rows))
    print(core_text.printable("\n".join(lines[len(rows) + 3 :])))
    unnamed = [run for run in survivors if run.key not in excused]
    if whole and (low or unnamed):
        raise ProofError(
            f"{len(unnamed)} survivors have no recorded reason; patches below {SCORE:.0%}: {', '.join(low) or 'none'}.",
            why="A fault that no proof detects can slip in unnoticed.",
            remedy=f"Add a test to the patch's proof, or name it in {KNOWN} with the reason.",
        )


def _survivors(runs: Iterable[Run], excused: dict[Key, str]) -> list[str]:
    return [
        f"- {run.patch} {run.path}:{run.mutant.line} `{run.mutant.name}`"
        + (f": {why}" if (why := excused.get(run.key)) else "")
        for run in runs
    ]
