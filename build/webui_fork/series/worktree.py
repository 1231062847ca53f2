"""The maintainer's tree: the release with the series as commits, to edit and to export from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from webui_fork.core import git, process
from webui_fork.core.errors import ApplyError, SeriesError
from webui_fork.core.files import write_atomic
from webui_fork.core.git import Repo
from webui_fork.core.settings import Settings
from webui_fork.series import apply as series_apply
from webui_fork.series import patch as series_patch
from webui_fork.series.patch import Patch

AUTHOR = ("webui_fork maintainers", "maintainers@fork.invalid")
_BASE = "refs/worktree/release"  # refs/worktree/ is the worktree's own
_HEAD = """\
# The order in which the patches go on the release. Written by `nox -s patches -- export`.
"""
_PROOF = '''"""TODO: what stock gets wrong, in one sentence."""

from __future__ import annotations

import pytest

from processes import Site


def test_{name}(webui: Site) -> None:
    """Ask the running server: red without the patch, green with it."""
    pytest.fail(f"TODO: a proof, in front of {{webui.url}}")
'''


@dataclass(frozen=True, slots=True)
class Tree:
    """A worktree: its folder, the release's commit below it, and the patches that went on."""

    folder: Path
    release: str
    applied: int
    stopped_at: ApplyError | None = None


def default_folder(settings: Settings) -> Path:
    """Return where a worktree goes unless told otherwise."""
    return settings.out / "worktree"


def _pending_file(settings: Settings, folder: Path) -> Path:
    """Return the file with the names of the patches that are not in the worktree yet."""
    return Path(_git(settings, folder, "rev-parse", "--absolute-git-dir").stdout.strip()) / "webui-fork-pending"


def pending(settings: Settings, folder: Path) -> tuple[str, ...]:
    """Return the patches that `apply --upto-failure` left out of a worktree; export keeps them."""
    file = _pending_file(settings, folder)
    return tuple(file.read_text().split()) if file.exists() else ()


def _git(settings: Settings, folder: Path, *arguments: str, check: bool = True) -> process.Completed:
    """Run git in a worktree, without the maintainer's own configuration."""
    return git.run(folder, *arguments, env={**settings.environ, **git.HERMETIC}, check=check)


def unexported(settings: Settings, folder: Path) -> bool:
    """Tell whether a worktree has changes or commits that `patches/` does not have."""
    if not (folder / ".git").exists():
        return False
    if _git(settings, folder, "status", "--porcelain").stdout.strip():
        return True
    commits = _git(settings, folder, "rev-list", "--reverse", f"{_BASE}..HEAD", check=False).stdout.split()
    exported = [path.read_bytes() for path in sorted(settings.patches.glob("*.patch"))]
    repo = Repo(folder)
    return any(series_apply.export(repo, commit) not in exported for commit in commits)


def apply(
    settings: Settings,
    repo: Repo,
    release: str,
    patches: Sequence[Patch],
    epoch: int,
    folder: Path,
    *,
    upto_failure: bool,
) -> Tree:
    """Make a worktree with one commit a patch.

    Args:
        upto_failure: where a patch does not apply, stop before it instead of failing.

    Raises:
        ApplyError: a patch does not apply. SeriesError: the folder has work that is not exported.
    """
    if unexported(settings, folder):
        raise SeriesError(
            f"{folder} has changes that are not in patches/ yet.",
            remedy=f"`nox -s patches -- export` writes them back; or delete the folder with "
            f"`git -C {folder} worktree remove --force .` if you don't want them.",
        )
    if folder.exists() and not (folder / ".git").is_file():
        raise SeriesError(f"{folder} exists and is not a worktree of the series.", remedy="Name a folder of its own.")
    stopped: ApplyError | None = None
    count = len(patches)
    while True:
        try:
            tree = series_apply.apply(repo, release, patches[:count], epoch, check=False)
            break
        except ApplyError as error:
            if not upto_failure:
                raise
            stopped, count = error, count - 1
    if folder.exists():
        repo.git.worktree("remove", "--force", str(folder))
    repo.git.worktree("prune")
    repo.git.worktree("add", "--quiet", "--detach", str(folder), tree.head)
    _git(settings, folder, "update-ref", _BASE, release)
    pending = [patch.name for patch in patches[count:]]
    write_atomic(_pending_file(settings, folder), "".join(f"{name}\n" for name in pending))
    return Tree(folder, release, count, stopped)


def new(
    settings: Settings, folder: Path, subject: str, description: str, bug: str, version: str, *, front_end: bool
) -> str:
    """Commit all changes of a worktree as one patch with its DEP-3 header, as git's user, and begin its proof.

    Args:
        settings: of the checkout.
        folder: the worktree.
        subject: what the patch does, in the imperative.
        description: why.
        bug: URL of the bug it answers, or `none`.
        version: the pinned release.
        front_end: whether its front end can be built.

    Returns:
        The patch's file name.

    Raises:
        SeriesError: there is no worktree, nothing changed in it, or what changed no patch may change.
    """
    if why := series_patch.subject_problem(subject):
        raise SeriesError(f"{subject!r} can't be a patch's subject.", why=why)
    _needs_tree(folder)
    _git(settings, folder, "add", "--all")
    paths = _git(settings, folder, "diff", "--cached", "--name-only", "-z").stdout.split("\0")[:-1]
    if not paths:
        raise SeriesError(f"Nothing is changed in {folder}.", remedy="Edit the files there first, then run this again.")
    if problems := [words for path in paths for _, words in series_patch.refused_path(path, front_end=front_end)]:
        remedy = f"Take them back (`git -C {folder} checkout HEAD -- FILE`), then run this again."
        raise SeriesError("No patch may change that.", why="\n".join(problems), remedy=remedy)
    proof = series_patch.proof_of(subject)
    fields = {
        "Description": description,
        "Origin": "vendor",
        "Forwarded": "no",
        "Bug": bug,
        "Applies-To": f">={version}",
        "Proof": proof,
    }
    draft = series_patch.draft(subject, fields, "", "")
    _git(settings, folder, *_identity(settings), "commit", "--quiet", "-m", subject, "-m", draft.body)
    begin_proof(settings, proof)
    return draft.name


def begin_proof(settings: Settings, proof: str) -> bool:
    """Write what a proof begins as, where there is none; return whether there was none.

    Args:
        settings: of the checkout. proof: its path there.

    Raises:
        CacheError: it can't be written.
    """
    file = settings.checkout / proof
    if file.exists():
        return False
    write_atomic(file, proof_to_fill_in(file.stem))
    return True


def proof_to_fill_in(stem: str) -> str:
    """Return what a proof begins as.

    Args:
        stem: of its file, as `test_trim_base_urls`.
    """
    return _PROOF.format(name=stem.removeprefix("test_"))


def author(settings: Settings) -> tuple[str, str]:
    """Return git's user's own name and address, which a new patch will bear; ours where it has none."""
    answers = [git.in_checkout(settings, "config", key, check=False) for key in ("user.name", "user.email")]
    name, mail = (done.stdout.strip() for done in answers)
    return (name, mail) if name and mail else AUTHOR


def _identity(settings: Settings) -> tuple[str, ...]:
    name, mail = author(settings)
    return ("-c", f"user.name={name}", "-c", f"user.email={mail}")


def _needs_tree(folder: Path) -> None:
    if not (folder / ".git").exists():
        raise SeriesError(
            f"{folder} is not a worktree of the series.", remedy="Make one with `nox -s patches -- apply`."
        )


def commits_of(settings: Settings, folder: Path) -> list[str]:
    """Return a worktree's commits above the release, oldest first.

    Raises:
        SeriesError: it is no worktree, has uncommitted changes, or has a merge.
    """
    _needs_tree(folder)
    if dirty := _git(settings, folder, "status", "--porcelain").stdout.strip():
        raise SeriesError(
            f"{folder} has changes that are not committed.",
            why=dirty,
            remedy=f"Commit them there (`git -C {folder} commit --amend`, or `nox -s patches -- new 'Subject'`).",
        )
    if _git(settings, folder, "rev-list", "--merges", f"{_BASE}..HEAD").stdout.strip():
        raise SeriesError(f"{folder} has a merge commit.", remedy="A series is a straight line: rebase it.")
    return _git(settings, folder, "rev-list", "--reverse", f"{_BASE}..HEAD").stdout.split()


def export(repo: Repo, commits: Sequence[str]) -> tuple[Patch, ...]:
    """Return commits as patches, in order. Nothing is written.

    Raises:
        SeriesError: one is not a patch, or two have one name.
    """
    patches = []
    for commit in commits:
        subject = str(repo.git.show("-s", "--format=%s", commit))
        patches.append(series_patch.parse(f"{series_patch.slug(subject)}.patch", series_apply.export(repo, commit)))
    names = [patch.name for patch in patches]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise SeriesError(
            f"Two commits have the subject of {', '.join(doubled)}.", remedy="Squash them, or rename one."
        )
    return tuple(patches)


def write(settings: Settings, patches: Sequence[Patch], kept: Sequence[str] = ()) -> tuple[str, ...]:
    """Write patches and their order to `patches/`; return the names that changed.

    Args:
        kept: names of patches that stay as they are, after the others.

    Raises:
        SeriesError: nothing would be left of a series. CacheError: a file can't be written.
    """
    present = {path.name for path in settings.patches.glob("*.patch")}
    names = [patch.name for patch in patches]
    names += [name for name in kept if name in present and name not in names]
    if present and not names:
        raise SeriesError(
            "The worktree has no commit above the release, so that no patch would be left.",
            remedy="If that is meant, delete the files and their lines in patches/series by hand.",
        )
    changed = []
    with process.uninterrupted():  # no patch that the order does not name, and none that is not there
        for patch in patches:
            path = settings.patches / patch.name
            if not path.exists() or path.read_bytes() != patch.data:
                write_atomic(path, patch.data)
                changed.append(patch.name)
        write_order(settings, names)
        for name in sorted(present - set(names)):
            (settings.patches / name).unlink()
            changed.append(f"{name} (removed)")
    return tuple(changed)


def write_order(settings: Settings, names: Sequence[str]) -> None:
    """Write the order of the patches.

    Raises:
        CacheError: the file can't be written; the old one stays.
    """
    write_atomic(settings.patches / "series", _HEAD + "".join(f"{name}\n" for name in names))
