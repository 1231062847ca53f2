"""Git: the checkout, through its program, and the bare repository of releases in the cache, through GitPython.

GitPython is imported where it is used: it takes 0.1 s, and its import fails where there is no git.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webui_fork.core import process
from webui_fork.core.errors import SourceError, ToolError, UsageError
from webui_fork.core.files import ensure_folder, exclusive
from webui_fork.core.settings import Settings

if TYPE_CHECKING:
    from git import Repo

# A user's own git configuration (signing, hooks, line ends) must not change a commit.
HERMETIC = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0"}
_OWNER = "If another user owns it: `git config --global --add safe.directory FOLDER`."


def git(settings: Settings, *arguments: str, check: bool = True, folder: Path | None = None) -> process.Completed:
    """Run git in the checkout (or another folder) with the user's own configuration."""
    argv: list[str | Path] = ["git", "-C", folder or settings.root, *arguments]
    return process.run(argv, env=settings.environ, check=check, doing=f"run git {arguments[0]}")


def require_clean(settings: Settings) -> str:
    """Return the checkout's commit.

    Raises:
        UsageError: it has changes, or no commit.
    """
    dirty = git(settings, "status", "--porcelain").stdout.rstrip()
    if dirty:
        raise UsageError(
            "The checkout has changes that are not committed.",
            why=dirty,
            remedy="Commit or stash them first: a rebase starts from a commit, and `--abort` goes back to it.",
        )
    done = git(settings, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", check=False)
    if done.code:
        raise UsageError("The checkout has no commit yet.", remedy="Commit it first.")
    return done.stdout.strip()


def checkout(settings: Settings) -> tuple[str, bool]:
    """Return the checkout's commit ("" where it is none), and whether its files differ from it.

    Raises:
        ToolError: it is a clone, and git can't tell.
    """
    git = ["git", "-C", str(settings.root)]
    head = process.run([*git, "rev-parse", "--verify", "--quiet", "HEAD"], env=settings.environ, check=False)
    if head.code:
        if head.code != 1 and (settings.root / ".git").exists():  # 1: no commit yet
            raise ToolError("git can't tell this checkout's commit.", why=head.tail(), remedy=_OWNER)
        return "", False
    status = process.run([*git, "status", "--porcelain", "--untracked-files=normal"], env=settings.environ, check=False)
    if status.code:
        raise ToolError("git can't tell whether this checkout has changes.", why=status.tail(), remedy=_OWNER)
    return head.stdout.strip(), bool(status.stdout.strip())


def repository(settings: Settings) -> Repo:
    """Open the local repository, making it on first use.

    Raises:
        CacheError: the cache can't be written. SourceError: git is missing or fails.
    """
    try:
        from git import GitCommandError, Repo
    except ImportError as error:  # GitPython raises it when there is no git program
        raise SourceError(
            "git is missing.", why=str(error).splitlines()[0], remedy="Install git (apt, dnf or brew: `git`)."
        ) from error
    path = settings.cache / "source.git"
    ensure_folder(settings.cache)
    try:
        if not (path / "HEAD").exists():
            with exclusive(settings.cache / ".source.lock", "the source repository"):
                Repo.init(path, bare=True, object_format="sha1")
        repo = Repo(path)
        repo.git.update_environment(**HERMETIC)
        return repo
    except GitCommandError as error:
        raise SourceError(f"The repository {path} can't be used.", why=str(error.stderr).strip()) from error


def resolve(repo: Repo, ref: str) -> str | None:
    """Return the commit a ref points at, or None."""
    from git import GitCommandError

    try:
        return str(repo.git.rev_parse("--verify", "--quiet", f"{ref}^{{commit}}"))
    except GitCommandError:
        return None


def read_file(repo: Repo, commit: str, path: str) -> bytes | None:
    """Return a file of a commit, or None where there is none."""
    try:
        found: Any = repo.git.get_object_data(f"{commit}:{path}")  # its types are not what its stubs say
    except ValueError:  # git's one waiting `cat-file --batch` has no such object
        return None
    return bytes(found[3]) if found[1] == b"blob" else None


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file of a commit's tree; ``mode`` is git's (0o100644, 0o100755, 0o120000), ``size`` in bytes."""

    path: str
    mode: int
    size: int
    read: Callable[[], bytes]


def walk(repo: Repo, commit: str, wanted: Callable[[str], bool]) -> Iterable[TreeFile]:
    """Yield the files of a commit whose path is wanted, in path order."""
    listed = repo.git.ls_tree("-r", "-z", "-l", "--full-tree", commit, strip_newline_in_stdout=False)
    for row in listed.split("\0"):
        if row:
            head, _, path = row.partition("\t")
            mode, _, name, size = head.split()
            if wanted(path):
                yield TreeFile(path, int(mode, 8), int(size), partial(read_blob, repo, name))


def read_blob(repo: Repo, name: str) -> bytes:
    """Return a blob by its full object name."""
    data: bytes = repo.odb.stream(bytes.fromhex(name)).read()
    return data
