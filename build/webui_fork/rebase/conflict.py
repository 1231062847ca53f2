"""When a person is needed: the conflict in words and in files, a tree to resolve it in, and what was decided before."""

from __future__ import annotations

import difflib
import hashlib
import shlex
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from webui_fork.core import git
from webui_fork.core.errors import ConflictError
from webui_fork.core.files import write_atomic
from webui_fork.core.git import Repo
from webui_fork.core.settings import Settings
from webui_fork.core.text import fenced, inert
from webui_fork.merge import guards
from webui_fork.merge import tree as merge_tree
from webui_fork.merge.text import Merger
from webui_fork.merge.three_way import Deleted, File
from webui_fork.rebase import cherry_pick
from webui_fork.rebase.cherry_pick import Carried, Outcome
from webui_fork.rebase.releases import Ends, Release
from webui_fork.series import apply, worktree
from webui_fork.series import patch as series_patch
from webui_fork.series.patch import Patch

_MARKS = ("<<<<<<< ", "||||||| ", ">>>>>>> ")


@dataclass(frozen=True, slots=True)
class Cause:
    """The release in between that brought the conflict, and its changes to what the patch touches, as a diff."""

    old: str
    new: str
    diff: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """A patch that a person carries.

    ``before`` and ``after`` are the commits without and with it on the old release, ``parent`` what it goes on now.
    """

    patch: Patch
    carried: Carried
    before: str
    after: str
    parent: str
    cause: Cause | None
    earlier: Path | None


def folder(settings: Settings) -> Path:
    """Where the files of a conflict are."""
    return settings.out / "rebase" / "conflict"


def tree(settings: Settings) -> Path:
    """Where a conflict is resolved: a git worktree of the new release with what was carried so far."""
    return settings.out / "rebase" / "resolve"


def key(repo: Repo, patch: Patch, before: str, after: str, parent: str) -> str:
    """Return what makes two conflicts the same: base, ours and theirs of every file."""
    digest = hashlib.sha256(patch.subject.encode())
    for path in patch.paths:
        for commit in (before, after, parent):
            digest.update(path.encode() + b"\0" + (repo.read_file(commit, path) or b"\1") + b"\0")
    return digest.hexdigest()


def remembered(settings: Settings, name: str) -> Path:
    """Where an earlier resolution of the same conflict is kept."""
    return settings.cache / "resolutions" / f"{name}.patch"


def cause(repo: Repo, between: Sequence[Release], patch: Patch, before: str, after: str, merge: Merger) -> Cause | None:
    """Find the first release in between to which the patch alone can't be carried, and what it changed there."""
    for old, new in pairwise(between):
        ends = Ends(repo, between[0].commit, new.commit, new.epoch, new.version)
        row = cherry_pick.carry_patch(ends, patch, before, after, new.commit, merge)
        paths = [file.path for file in row.files if file.text is None] or patch.paths
        diff = "\n".join(_regions(repo, old, new, paths, before, after))
        if new is between[-1] or (row.outcome is Outcome.CONFLICT and diff):
            return Cause(old.version, new.version, diff)
    return None


def _regions(repo: Repo, old: Release, new: Release, paths: Iterable[str], before: str, after: str) -> Iterator[str]:
    """Yield what a release changed in the functions that a patch touches, or in the whole file where there are none."""
    for path in paths:
        was, now = (_text(repo, commit, path) for commit in (old.commit, new.commit))
        if was == now:
            continue
        touched = guards.scopes_of(_text(repo, before, path), _text(repo, after, path))
        left, right = (_parts(text, touched) for text in (was, now))
        if left == right:
            left, right = was, now
        names = (f"{old.version}/{path}", f"{new.version}/{path}")
        yield from difflib.unified_diff(left.splitlines(), right.splitlines(), *names, lineterm="")


def _parts(text: str, names: set[str]) -> str:
    module = merge_tree.parse(text)
    if module is None or not names - {""}:
        return text
    return "".join(module.text(node.start, node.end) for name, node in merge_tree.definitions(module) if name in names)


def _text(repo: Repo, commit: str, path: str) -> str:
    return (repo.read_file(commit, path) or b"").decode("utf-8", errors="replace")


def lay_out(settings: Settings, repo: Repo, conflict: Conflict) -> str:
    """Write base, ours, theirs and the merge of every file, the tree to resolve in, and the report; return it.

    Raises:
        ConflictError: the tree can't be made.
    """
    place = folder(settings)
    shutil.rmtree(place, ignore_errors=True)
    remove_tree(settings, repo)
    repo.git.worktree("add", "--quiet", "--detach", "--force", str(tree(settings)), conflict.parent)
    for file in conflict.carried.files:
        versions = {"base": conflict.before, "ours": conflict.after, "theirs": conflict.parent}
        for side, commit in versions.items():
            data = repo.read_file(commit, file.path)
            if data is not None:
                write_atomic(place / file.path / side, data)
        _lay_out_file(settings, repo, conflict, file)
    write_atomic(place / "ours.patch", conflict.patch.data)
    write_atomic(place / "laid-out", _tree_of(settings, conflict.patch, {**settings.environ, **git.HERMETIC}))
    if conflict.earlier:
        shutil.copyfile(conflict.earlier, place / "earlier.patch")
    text = words(settings, conflict)
    write_atomic(place / "CONFLICT.md", text)
    return text


def _lay_out_file(settings: Settings, repo: Repo, conflict: Conflict, file: File) -> None:
    """Write a file of a conflict: the proposal, the merge, and what stands in the tree to begin with."""
    place, target = folder(settings) / file.path, tree(settings) / file.path
    if isinstance(file.proposal, str):
        write_atomic(place / "proposal", file.proposal)
    text = file.text if file.text is not None else file.marked or file.proposal
    if isinstance(text, Deleted):
        target.unlink(missing_ok=True)
        return
    if text is not None:
        write_atomic(place / "merged", text)
    elif repo.read_file(conflict.before, file.path) is None:  # a file that the patch adds
        text = (repo.read_file(conflict.after, file.path) or b"").decode("utf-8", errors="surrogateescape")
    if text is not None and not target.is_symlink():
        mode = (
            0o755 if (target.exists() and target.stat().st_mode & 0o100) or _is_script(repo, conflict, file) else 0o644
        )
        write_atomic(target, text.encode("utf-8", errors="surrogateescape"), mode)


def _is_script(repo: Repo, conflict: Conflict, file: File) -> bool:
    """Tell whether the patch makes a file executable."""
    before, after = (repo.git.ls_tree(commit, "--", file.path)[:6] for commit in (conflict.before, conflict.after))
    return bool(after == "100755" != before)


def _tree_of(settings: Settings, patch: Patch, env: Mapping[str, str]) -> str:
    """Stage everything in the tree, also what the release's own .gitignore hides; return git's name of it."""
    worktree_folder = tree(settings)
    git.run(worktree_folder, "add", "--all", env=env)
    hidden = [path for path in patch.paths if (worktree_folder / path).exists()]
    if hidden:
        git.run(worktree_folder, "add", "--force", "--", *hidden, env=env)
    return git.run(worktree_folder, "write-tree", env=env).stdout.strip()


def remove_tree(settings: Settings, repo: Repo) -> None:
    """Remove the tree that a conflict was resolved in."""
    if (tree(settings) / ".git").exists():
        repo.git.worktree("remove", "--force", "--force", str(tree(settings)))
    shutil.rmtree(tree(settings), ignore_errors=True)


def words(settings: Settings, conflict: Conflict) -> str:
    """Return the report of a conflict, in Markdown."""
    patch, carried = conflict.patch, conflict.carried
    worktree_folder = tree(settings).relative_to(settings.root)
    reports = folder(settings).relative_to(settings.root)
    rows = [
        f"# `patches/{patch.name}` needs a person",
        "",
        "**What it is for.** " + inert(patch.field("Description")),
        "",
    ]
    rows += ["**Why it stopped.**", "", *(f"- {inert(line)}" for line in carried.why.splitlines()), ""]
    rows += ["| file | base, ours, theirs, merged |", "|---|---|"]
    stuck = [file for file in carried.files if file.text is None] or carried.files
    rows += [f"| `{inert(file.path)}` | `{reports}/{inert(file.path)}/` |" for file in stuck]
    if conflict.cause:
        cause = conflict.cause
        rows += ["", f"**What upstream changed** (between {cause.old} and {cause.new}):", ""]
        shown = cause.diff.splitlines()[:200]
        rows += (
            fenced("\n".join(shown), "diff")
            if shown
            else ["Nothing in these files: what the patch relies on is elsewhere."]
        )
    paths = [shlex.quote(f"{worktree_folder}/{file.path}") for file in stuck]
    rows += ["", "**To go on**", "", "```sh", *(f"$EDITOR {path}" for path in paths)]
    rows += ["nox -s rebase -- --continue   # when the tree has the change, without conflict markers"]
    rows += ["nox -s rebase -- --continue --accept    # take the tree as it was laid out, when that is right"]
    if conflict.earlier:
        rows += ["nox -s rebase -- --continue --earlier   # take what was decided for this very conflict before"]
    rows += ["nox -s rebase -- --skip       # drop the patch", "nox -s rebase -- --abort      # back to before", "```"]
    if conflict.earlier:
        rows += [
            "",
            f"The same conflict was resolved before: `{reports}/earlier.patch`. Read it; it is not applied by itself.",
        ]
    if any(file.proposal for file in carried.files):
        rows += ["", "`proposal` beside a file is what the syntax tree suggests. Nothing has checked it."]
    return "\n".join(rows) + "\n"


def resolution(settings: Settings, repo: Repo, patch: Patch, parent: str, epoch: int, *, accept: bool) -> Patch:
    """Read what a person made of a conflict in its tree, as the new patch.

    Args:
        accept: the person says that the tree is right as it was laid out.

    Raises:
        ConflictError: the tree is gone, has conflict markers, is not Python, or nobody touched it.
    """
    worktree_folder = tree(settings)
    env = {**settings.environ, **git.HERMETIC, **apply.identity(patch, epoch)}
    if not (worktree_folder / ".git").exists():
        raise ConflictError(
            f"{worktree_folder} is gone.",
            remedy="`nox -s rebase -- --abort`, and start again; earlier resolutions are offered.",
        )

    def in_tree(*arguments: str) -> str:
        return git.run(worktree_folder, *arguments, env=env).stdout

    staged = _tree_of(settings, patch, env)
    changed = [name for name in in_tree("diff", "--cached", "--name-only", "-z", parent).split("\0") if name]
    if not changed:
        raise ConflictError(
            f"Nothing is changed in {worktree_folder}.", remedy="Make the change there, or drop it with --skip."
        )
    marked = [name for name in changed if (worktree_folder / name).is_file() and _is_marked(worktree_folder / name)]
    if marked:
        raise ConflictError(
            f"{worktree_folder} has conflict markers in {', '.join(marked)}.",
            remedy="Resolve them, then --continue again.",
        )
    laid_out = folder(settings) / "laid-out"
    if not accept and laid_out.exists() and laid_out.read_text() == staged:
        raise ConflictError(
            f"{worktree_folder} is unchanged since it was laid out, and its merge is in doubt.",
            remedy="If the proposed merge is correct, accept it: `nox -s rebase -- --continue --accept`.",
        )
    for name in changed:
        _check_python(worktree_folder / name)
    in_tree("reset", "--quiet", "--soft", parent)
    message = folder(settings) / "message"
    write_atomic(message, patch.message)
    in_tree("commit", "--quiet", "--no-verify", "--no-gpg-sign", "-F", str(message))
    commit = in_tree("rev-parse", "HEAD").strip()
    (exported,) = worktree.export(repo, [commit])
    return series_patch.parse(patch.name, exported.data)


def _check_python(path: Path) -> None:
    if path.suffix != ".py" or not path.is_file():
        return
    try:
        compile(path.read_bytes(), path.name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise ConflictError(
            f"{path} is not Python any more.", why=str(error), remedy="Put it right, then --continue again."
        ) from None


def take_earlier(settings: Settings, parent: str) -> None:
    """Put an earlier resolution into the tree.

    Raises:
        ConflictError: there is none, or it does not fit.
    """
    patch = folder(settings) / "earlier.patch"
    if not patch.exists():
        raise ConflictError("No earlier resolution of this conflict is known.", remedy="Resolve it in the tree.")
    env = {**settings.environ, **git.HERMETIC}
    for arguments in (
        ["reset", "--quiet", "--hard", parent],
        ["clean", "-qfd"],
        ["apply", "--whitespace=nowarn", str(patch)],
    ):
        done = git.run(tree(settings), *arguments, env=env, check=False)
        if done.code:
            raise ConflictError("The earlier resolution does not fit.", why=done.tail(), remedy="Resolve it by hand.")


def _is_marked(path: Path) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace")
    return any(line.startswith(_MARKS) for line in text.splitlines())
