"""Carry the series to another release: one named outcome per patch.

Each patch is cherry-picked by our own merges (`merge.three_way`), on top of those before it, in the local repository.
Nothing outside that repository is touched.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from webui_fork.core.git import Repo
from webui_fork.merge import guards, three_way
from webui_fork.merge.text import Merger
from webui_fork.merge.three_way import Deleted, File, Method
from webui_fork.rebase import api_breaks
from webui_fork.rebase.releases import Ends
from webui_fork.series import apply
from webui_fork.series import patch as series_patch
from webui_fork.series.patch import Patch


class Outcome(enum.StrEnum):
    """What a rebase did to a patch."""

    UNCHANGED = "unchanged"  # byte for byte the same file
    OFFSET = "offset"  # the same hunks at other lines
    MERGED = "merged"  # the same change, among lines that are new
    REFORMATTED = "reformatted"  # it took a merge after laying both out alike, or one finer than lines
    RELOCATED = "relocated"  # only the syntax tree says where it goes now
    UPSTREAMED = "upstreamed"  # the release has it
    CONFLICT = "conflict"  # a person decides


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of one patch.

    ``patch`` is the new patch (None: upstreamed or conflict), ``commit`` the one it is exported from.
    ``needs_proof``: taken only when its proof is red on the pristine release and green with it.
    """

    name: str
    outcome: Outcome
    method: Method
    patch: Patch | None
    commit: str | None
    files: tuple[File, ...]
    why: str = ""
    needs_proof: bool = False

    @property
    def has_text(self) -> bool:
        """Whether the release has all of its text; what the text does there, only its proof can say."""
        return self.outcome is Outcome.UPSTREAMED and bool(self.files)


def merger(repo: Repo, release: str, environ: Mapping[str, str]) -> Merger:
    """Return what merges files in the layout of a release."""
    return Merger(environ, repo.read_file(release, "pyproject.toml"))


def carry_patch(ends: Ends, patch: Patch, before: str, after: str, parent: str, merge: Merger) -> Carried:
    """Carry one patch.

    Args:
        before, after: the commits without and with it on the old release. parent: what it goes on now.
    """
    files = tuple(_carry_file(ends, path, before, after, parent, merge) for path in patch.paths)
    if doubts := [file for file in files if file.text is None and file.method is Method.PERSON]:
        why = "\n".join(f"{file.path}: {file.why}" for file in doubts)
        return Carried(patch.name, Outcome.CONFLICT, Method.PERSON, None, None, files, why)
    contents = {file.path: None if isinstance(file.text, Deleted) else file.text for file in files}
    was, sets, now = (modes_of(ends.repo, commit, tuple(contents)) for commit in (before, after, parent))
    modes = {
        path: now[path] if was[path] == sets[path] else sets[path] for path in contents
    }  # the patch's, if it sets one
    encoded = {path: None if text is None else text.encode() for path, text in contents.items()}
    if all(ends.repo.read_file(parent, path) == data and modes[path] == now[path] for path, data in encoded.items()):
        why = f"all of it is in {ends.new[:12]} already"
        needs = any(file.needs_proof for file in files)  # only the syntax tree says so
        return Carried(patch.name, Outcome.UPSTREAMED, max(f.method for f in files), None, None, files, why, needs)
    admitting = series_patch.admitting(patch, ends.version)
    carried, commit = committed(ends, parent, admitting, contents, modes)
    gone = api_breaks.breaks(ends, before, after, parent, commit, patch.paths, merge.environ)
    if _is_code(ends.repo, before, after, patch.paths) and not _is_code(ends.repo, parent, commit, patch.paths):
        gone = ("the release has all of its code, and comments or layout are left: drop it with --skip",)
    if gone:
        why = "; ".join(gone)
        doubt = tuple(replace(file, method=Method.PERSON, text=None, proposal=file.text, why=why) for file in files)
        return Carried(patch.name, Outcome.CONFLICT, Method.PERSON, None, None, doubt, why)
    # where the release seems to have all that the patch does to a file, it may have it elsewhere
    absorbed = any(data is not None and ends.repo.read_file(parent, path) == data for path, data in encoded.items())
    needs = absorbed or any(file.needs_proof for file in files)
    method = max(file.method for file in files)
    return Carried(patch.name, _outcome(patch, carried, method, moved=needs), method, carried, commit, files, "", needs)


def _is_code(repo: Repo, old: str, new: str, paths: Sequence[str]) -> bool:
    """Tell whether a change is of more than comments and layout of Python files."""
    return any(
        not (path.endswith(".py") and guards.same_code(*((repo.read_file(one, path) or b"") for one in (old, new))))
        for path in paths
    )


def modes_of(repo: Repo, commit: str, paths: Sequence[str]) -> dict[str, str]:
    """Return git's modes of some paths of a commit; "" where it has no such path."""
    modes = dict.fromkeys(paths, "")
    for row in repo.git.ls_tree("-z", commit, "--", *paths).split("\0") if paths else ():
        head, _, path = row.partition("\t")
        if path in modes:
            modes[path] = head.partition(" ")[0]
    return modes


def _outcome(old: Patch, new: Patch, method: Method, *, moved: bool) -> Outcome:
    if old.data == new.data:
        return Outcome.UNCHANGED
    if moved or method is Method.TRANSPLANT:
        return Outcome.RELOCATED
    if method > Method.LINES:
        return Outcome.REFORMATTED
    return Outcome.OFFSET if _hunks(old) == _hunks(new) else Outcome.MERGED


def _hunks(patch: Patch) -> list[tuple[str, list[str]]]:
    return [(file.path, [str(line) for line in hunk]) for file in patch.files for hunk in file]


def _carry_file(ends: Ends, path: str, before: str, after: str, parent: str, merge: Merger) -> File:
    base, ours, theirs = (ends.repo.read_file(commit, path) for commit in (before, after, parent))
    if theirs is None and ours is None:
        return File(path, Method.NONE, Deleted.DELETED)
    if theirs is None and base is not None:
        why = f"the new release has no {path}. {api_breaks.whereabouts(ends, before, parent, path)}"
        return File(path, Method.PERSON, None, why)
    if base is None and theirs is not None and theirs != ours:
        return File(path, Method.PERSON, None, f"the patch adds {path}, which the new release has, with other content")
    if ours is None:
        if theirs == base:
            return File(path, Method.NONE, Deleted.DELETED)
        return File(path, Method.PERSON, None, f"the patch deletes {path}, which the new release changes")
    try:
        one, two, three = ((data or b"").decode("utf-8") for data in (base, ours, theirs))
    except UnicodeDecodeError:
        return File(path, Method.PERSON, None, f"{path} is not text")
    if base is None:
        return File(path, Method.NONE, two)
    return three_way.carry(merge, path, one, two, three)


def commit_files(
    ends: Ends, parent: str, patch: Patch, contents: Mapping[str, str | None], modes: Mapping[str, str]
) -> str:
    """Commit files on a parent with a patch's author, date and message; return the commit.

    Args:
        contents: text by path, None for a path that goes. modes: git's modes by path.
    """
    repo = ends.repo

    def stage(folder: Path, env: Mapping[str, str]) -> None:
        rows = [f"0 {'0' * 40}\t{path}\n" for path, text in contents.items() if text is None]
        kept = {path: text for path, text in contents.items() if text is not None}
        for number, text in enumerate(kept.values()):
            (folder / str(number)).write_text(text, encoding="utf-8", newline="")
        blobs = [str(folder / str(number)) for number in range(len(kept))]
        names = repo.git.hash_object("-w", "--no-filters", *blobs).split() if blobs else []
        for path, name in zip(kept, names, strict=True):
            rows.append(f"{modes.get(path) or '100644'} {name}\t{path}\n")
        index = folder / "rows"
        index.write_text("".join(rows))
        with index.open("rb") as stream:
            repo.git.update_index("--add", "--index-info", istream=stream, env=env)

    return repo.commit(parent, patch.message, apply.identity(patch, ends.epoch), stage)


def committed(
    ends: Ends, parent: str, patch: Patch, contents: Mapping[str, str | None], modes: Mapping[str, str]
) -> tuple[Patch, str]:
    """Commit files as :func:`commit_files` does; return the commit as a patch, and its name."""
    commit = commit_files(ends, parent, patch, contents, modes)
    return series_patch.parse(patch.name, apply.export(ends.repo, commit)), commit


def upstreamed(patch: Patch, why: str) -> Carried:
    """Return the row of a patch that the release no longer needs."""
    return Carried(patch.name, Outcome.UPSTREAMED, Method.NONE, None, None, (), why)


def dropped(patch: Patch, why: str) -> Carried:
    """Return the row of a patch that a person drops."""
    return Carried(patch.name, Outcome.CONFLICT, Method.PERSON, None, None, (), why)


def by_hand(ends: Ends, patch: Patch, data: bytes, parent: str) -> Carried:
    """Put what a person made of a patch on what was carried before it.

    Raises:
        ApplyError: it was made for another state of the series.
    """
    resolved = series_patch.admitting(series_patch.parse(patch.name, data), ends.version)
    (commit,) = apply.apply(ends.repo, parent, [resolved], ends.epoch).commits
    why = "a person carried it"
    return Carried(patch.name, Outcome.CONFLICT, Method.PERSON, resolved, commit, (), why)
