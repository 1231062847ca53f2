"""Put the series on a release as commits, and write commits back as patch files.

Patches are a git branch; the files under `patches/` are its export. Applying is exact: context
must match (no fuzz), and a patch whose export differs from its file is not canonical.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path

from webui_fork.core.errors import ApplyError, SeriesError, ToolError
from webui_fork.core.git import Repo
from webui_fork.series import patch as series_patch
from webui_fork.series.patch import Patch, Problem

COMMITTER = {"GIT_COMMITTER_NAME": "webui_fork", "GIT_COMMITTER_EMAIL": "webui_fork@fork.invalid"}

# Every default of git that could change a byte is spelled out.
_FORMAT = [
    "--stdout",
    "--zero-commit",
    "--full-index",
    "--no-signature",
    "--no-stat",
    "--no-numbered",
    "--no-renames",
    "--no-thread",
    "--no-attach",
    "--no-cover-letter",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--unified=3",
    "--diff-algorithm=myers",
    "--indent-heuristic",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--subject-prefix=PATCH",
    "--encode-email-headers",
]
_FAILED = re.compile(r"error: patch failed: (.+):(\d+)")


@dataclass(frozen=True, slots=True)
class PatchedTree:
    """The release with the series on it: the release's commit, one commit a patch, the last one."""

    release: str
    commits: tuple[str, ...]

    @property
    def head(self) -> str:
        """The commit with the whole series."""
        return self.commits[-1] if self.commits else self.release


def read_series(folder: Path) -> tuple[tuple[tuple[str, bytes], ...], tuple[Patch, ...]]:
    """Read `patches/`: its files as (name, bytes) with the order file first, and the patches.

    Raises:
        SeriesError: the order file is missing or wrong, or a patch is not one.
    """
    order_file = folder / "series"
    try:
        text = order_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SeriesError(
            f"{order_file} can't be read.", why=str(error), remedy="It lists the patches in order."
        ) from None
    names, problems = series_patch.order(text, (path.name for path in folder.glob("*.patch")))
    refuse(problems)
    patches = tuple(series_patch.parse(name, (folder / name).read_bytes()) for name in names)
    return (("series", "\n".join(names).encode()), *((patch.name, patch.data) for patch in patches)), patches


def refuse(problems: Sequence[Problem]) -> None:
    """Raise what lint found, all of it at once.

    Raises:
        SeriesError: there is at least one problem.
    """
    if problems:
        raise SeriesError(
            f"The patch series breaks {len(problems)} rule{'s' if len(problems) > 1 else ''}.",
            why="\n".join(str(problem) for problem in problems),
            remedy="The rules are in patches/README.md; `nox -s patches -- lint` checks them.",
        )


def _key(previous: str, patch: Patch) -> str:
    return hashlib.sha256(f"{previous}\n".encode() + patch.data).hexdigest()[:40]


def apply(repo: Repo, release: str, patches: Sequence[Patch], epoch: int, *, check: bool = True) -> PatchedTree:
    """Put the patches on a release, one commit each; what was applied before is not applied again.

    Args:
        repo: the local repository. release: the release's commit. patches: the series in order.
        epoch: the committer's time in seconds since 1970, so that commits are the same everywhere.
        check: refuse a patch that is not canonical or breaks a file; without, it can be put right.

    Raises:
        ApplyError: a patch does not apply; names patch, hunk, and the nearest lines.
        SeriesError: a patch is not in canonical form.
    """
    listed = repo.git.for_each_ref("refs/stack", format="%(refname:lstrip=2) %(objectname)")
    applied_before = dict(line.split(" ") for line in listed.splitlines())
    parent, key = release, release
    commits: list[str] = []
    problems: list[Problem] = []
    for patch in patches:
        key = _key(key, patch)
        commit = applied_before.get(key)
        if commit is None:
            commit = _commit(repo, parent, patch, epoch)
            breaches = _check(repo, commit, patch)
            if not breaches:  # only a good commit is remembered
                repo.git.update_ref(f"refs/stack/{key}", commit)
            problems += breaches if check else []
        commits.append(commit)
        parent = commit
    refuse(problems)
    return PatchedTree(release, tuple(commits))


def _check(repo: Repo, commit: str, patch: Patch) -> list[Problem]:
    """Check that the patch file is canonical, and that the Python files it touches still compile."""
    where = f"patches/{patch.name}"
    problems = []
    if export(repo, commit) != patch.data:
        why = "is not byte for byte its own export; `nox -s patches -- lint --write` puts it right"
        problems.append(Problem(where, "canonical", why))
    for path in patch.paths:
        text = repo.read_file(commit, path) if path.endswith(".py") else None
        try:
            if text is not None:
                compile(text, path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # the last two: too deep
            problems.append(Problem(where, "compiles", f"{path} does not compile after it: {error}"))
    return problems


def address(name: str, mail: str) -> str:
    """Return a name and an address as a header has them: quoted, so that a comma or a bracket means nothing."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" <{mail}>'


def identity(patch: Patch, epoch: int) -> dict[str, str]:
    """Return git's variables for a patch's author, and for a committer that is the same everywhere."""
    name, mail = parseaddr(patch.author)
    return {
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": mail,
        "GIT_AUTHOR_DATE": patch.date,
        "GIT_COMMITTER_DATE": f"{epoch} +0000",
        **COMMITTER,
    }


def _commit(repo: Repo, parent: str, patch: Patch, epoch: int) -> str:
    def stage(folder: Path, env: Mapping[str, str]) -> None:
        file = folder / "patch"
        file.write_bytes(patch.data)
        try:
            repo.git.apply("--cached", "--whitespace=nowarn", str(file), env=env)
        except ToolError as error:
            raise _explain(repo, parent, patch, error.why) from error

    return repo.commit(parent, patch.message, identity(patch, epoch), stage)


def _explain(repo: Repo, parent: str, patch: Patch, stderr: str) -> ApplyError:
    """Say which hunk failed and what stands there now."""
    errors = [line.strip() for line in stderr.splitlines() if "error:" in line]
    remedy = (
        "Carry it over: `nox -s patches -- apply --upto-failure`, make the change in the tree it names, commit, "
        "then `nox -s patches -- export`."
    )
    match = _FAILED.search(stderr)
    failing = series_patch.failing_hunk(patch, match.group(1), int(match.group(2))) if match else None
    if not match or not failing:
        return ApplyError(f"patches/{patch.name} does not apply.", why="\n".join(errors), remedy=remedy)
    number, hunk = failing
    path = match.group(1)
    line, excerpt = series_patch.nearest(hunk, (repo.read_file(parent, path) or b"").decode(errors="replace"))
    expected = "\n".join("       | " + str(row).rstrip("\n") for row in hunk if not row.is_added)
    return ApplyError(
        f"patches/{patch.name} does not apply: hunk {number} of {path} (at line {hunk.source_start}).",
        why=f"It expects:\n{expected}\nNearest lines of the file, from line {line}:\n{excerpt}",
        remedy=remedy,
    )


def export(repo: Repo, commit: str) -> bytes:
    """Return a commit as the bytes of its patch file.

    Raises:
        SeriesError: git can't format it.
    """
    try:
        data: bytes = repo.git.format_patch(
            *_FORMAT, "-1", commit, stdout_as_string=False, strip_newline_in_stdout=False
        )
    except ToolError as error:
        raise SeriesError(f"Commit {commit[:12]} can't be written as a patch.", why=error.why) from error
    return data


@dataclass(frozen=True, slots=True)
class Change:
    """A path that the series changes: git's mode and content afterwards, or gone (None)."""

    path: str
    mode: int
    data: bytes | None


def changes(repo: Repo, tree: PatchedTree) -> tuple[Change, ...]:
    """Return what the series as a whole changes in the release, in path order."""
    listed = repo.git.diff_tree("-r", "-z", "--no-renames", tree.release, tree.head, strip_newline_in_stdout=False)
    parts = listed.split("\0")
    changed = []
    for head, path in zip(parts[0::2], parts[1::2], strict=False):
        _, mode, _, name, status = head.split(" ")
        data = None if status == "D" else repo.read_blob(name)
        changed.append(Change(path, int(mode, 8), data))
    return tuple(sorted(changed, key=lambda change: change.path))
