"""Replay upstream's history: carry series from release to release, and hold every result against what is expected.

The peers on the same pairs are `git am -3` and `patch -p1`. An expectation says what a right result has, written by
a person beside the patch, so that no method judges itself.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from webui_fork.core import git, process
from webui_fork.core.git import Repo
from webui_fork.merge.three_way import Method
from webui_fork.rebase import cherry_pick
from webui_fork.rebase.cherry_pick import Carried, Outcome
from webui_fork.rebase.releases import Ends, Release
from webui_fork.series import apply
from webui_fork.series.expectations import Expect
from webui_fork.series.patch import Patch


@dataclass(frozen=True, slots=True)
class Row:
    """One patch over one pair of releases.

    ``verdict``: right, wrong, or "" where nothing was taken or nothing is expected. ``peers``: for each other tool
    right, wrong or conflict.
    """

    series: str
    patch: str
    old: str
    new: str
    outcome: Outcome
    method: Method
    needs_proof: bool
    verdict: str
    why: str
    peers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Standing:
    """A patch on a release: the commits without and with it."""

    patch: Patch
    before: str
    after: str


def replay(
    repo: Repo,
    name: str,
    patches: Sequence[Patch],
    releases: Sequence[Release],
    expected: Mapping[str, tuple[Expect, ...]],
    environ: Mapping[str, str],
    *,
    peers: bool,
) -> Iterator[Row]:
    """Carry a series over consecutive releases; a row for each patch that a bump touches.

    A patch that can't be carried goes on where what was proposed for it is right, as a person would take it;
    else it ends there. Peers always start from the patch as it stands on the older release.
    """
    first = releases[0]
    tree = apply.apply(repo, first.commit, patches, first.epoch, check=False)
    befores = (first.commit, *tree.commits)
    standing = [_Standing(p, b, a) for p, b, a in zip(patches, befores, tree.commits, strict=False)]
    for old, new in pairwise(releases):
        ends = Ends(repo, old.commit, new.commit, new.epoch, new.version)
        merge = cherry_pick.merger(repo, new.commit, environ)
        parent, kept = new.commit, []
        for stands in standing:
            carried = cherry_pick.carry_patch(ends, stands.patch, stands.before, stands.after, parent, merge)
            touched = _touched(repo, old, new, stands.patch)
            rows = expected.get(stands.patch.name.removesuffix(".patch"), ())
            commit = carried.commit or _proposed(ends, carried, stands.patch, parent, rows)
            if touched or carried.outcome is Outcome.CONFLICT:
                others = _peers(repo, stands, parent, rows, environ) if peers else ()
                verdict, why = _judged(repo, carried, rows)
                ways = (carried.outcome, carried.method, carried.needs_proof)
                yield Row(name, stands.patch.name, old.version, new.version, *ways, verdict, why, others)
            if commit and not judge(repo, commit, rows):
                patch = carried.patch or stands.patch
                kept.append(_Standing(patch, parent, commit))
                parent = commit
        standing = kept


def _judged(repo: Repo, carried: Carried, rows: Sequence[Expect]) -> tuple[str, str]:
    """Return the verdict on what was taken, and the reason."""
    if not rows or (carried.commit is None and carried.outcome is not Outcome.UPSTREAMED):
        return "", carried.why
    if carried.commit is None:
        return "wrong", "it was wrongly called upstreamed"  # upstream has none of the data set as it stands
    problem = judge(repo, carried.commit, rows)
    return ("wrong", problem) if problem else ("right", carried.why)


def _touched(repo: Repo, old: Release, new: Release, patch: Patch) -> bool:
    return any(repo.read_file(old.commit, path) != repo.read_file(new.commit, path) for path in patch.paths)


def judge(repo: Repo, commit: str, expected: Sequence[Expect]) -> str:
    """Hold a commit against the alternatives of what is expected; "" when one of them is met."""
    problems = []
    for one in expected:
        data = repo.read_file(commit, one.path)
        problems.append(one.problem(None if data is None else data.decode()))
    return "" if not problems or "" in problems else "; ".join(problems)


def _proposed(ends: Ends, carried: Carried, patch: Patch, parent: str, rows: Sequence[Expect]) -> str | None:
    if carried.outcome is not Outcome.CONFLICT or not rows:
        return None
    proposed = {file.path: file.proposal or file.text for file in carried.files}
    if None in proposed.values():
        return None
    texts = {path: text if isinstance(text, str) else None for path, text in proposed.items()}
    commit = cherry_pick.commit_files(ends, parent, patch, texts, {})
    return None if judge(ends.repo, commit, rows) else commit


def _peers(
    repo: Repo, stands: _Standing, parent: str, rows: Sequence[Expect], environ: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Let other tools carry the same patch: git am -3 in a repository that has the old blobs, and patch -p1."""
    data = apply.export(repo, stands.after)
    with tempfile.TemporaryDirectory(prefix="webui-fork-") as name:
        folder = Path(name)
        tree = folder / "tree"
        env = {**environ, **git.HERMETIC, "GIT_COMMITTER_NAME": "x", "GIT_COMMITTER_EMAIL": "x@fork.invalid",
               "GIT_AUTHOR_NAME": "x", "GIT_AUTHOR_EMAIL": "x@fork.invalid"}  # fmt: skip

        def in_tree(*arguments: str, check: bool = True) -> process.Completed:
            return git.run(tree, *arguments, env=env, check=check)

        tree.mkdir()
        (folder / "patch").write_bytes(data)
        in_tree("init", "--quiet")
        (tree / ".git/objects/info/alternates").write_text(f"{repo.folder}/objects\n")
        for path in stands.patch.paths:
            content = repo.read_file(parent, path)
            if content is not None:
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                (tree / path).write_bytes(content)
        in_tree("add", "--all")
        in_tree("commit", "--quiet", "--allow-empty", "-m", "release")
        done = in_tree("am", "-3", str(folder / "patch"), check=False)
        results = [("git am -3", _verdict(tree, rows) if done.code == 0 else "conflict")]
        in_tree("am", "--abort", check=False)
        in_tree("reset", "--quiet", "--hard", "HEAD" if done.code else "HEAD~1")
        if shutil.which("patch", path=environ.get("PATH")):
            argv: list[str | Path] = ["patch", "-p1", "--batch", "--forward", "--no-backup-if-mismatch"]
            argv += ["-i", folder / "patch"]
            done = process.run(argv, env=env, cwd=tree, check=False)
            results.append(("patch -p1", _verdict(tree, rows) if done.code == 0 else "conflict"))
    return tuple(results)


def _verdict(tree: Path, rows: Sequence[Expect]) -> str:
    problems = [row.problem((tree / row.path).read_text() if (tree / row.path).exists() else None) for row in rows]
    return "right" if not problems or "" in problems else "wrong"
