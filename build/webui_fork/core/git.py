"""Git, and nothing else runs it in a repository: the git program in a folder, and GitPython in the cache's repository.

GitPython is imported where it is used: it takes 0.1 s, and its import fails where there is no git.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webui_fork.core import process
from webui_fork.core.errors import SourceError, ToolError, UsageError
from webui_fork.core.files import ensure_folder, exclusive
from webui_fork.core.settings import Settings

if TYPE_CHECKING:
    import git

log = logging.getLogger(__name__)

# A user's own git configuration (signing, hooks, line ends) must not change a commit.
HERMETIC = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0"}
_OWNER = "If another user owns it: `git config --global --add safe.directory FOLDER`."

Identity = Mapping[str, str]  # git's variables for author and committer: names, addresses, dates
Stage = Callable[[Path, Mapping[str, str]], None]


def run(folder: Path, *arguments: str | Path, env: Mapping[str, str], check: bool = True) -> process.Completed:
    """Run the git program in a folder.

    Args:
        folder: of a repository or a worktree.
        arguments: command and options.
        env: the whole environment; with HERMETIC, the user's own configuration does not count.
        check: turn a failing exit code into an error.

    Raises:
        ToolError: git is missing, or (with ``check``) failed.
    """
    return process.run(["git", "-C", folder, *arguments], env=env, check=check, doing=f"run git {arguments[0]}")


def in_checkout(
    settings: Settings, *arguments: str, check: bool = True, folder: Path | None = None
) -> process.Completed:
    """Run git in the checkout (or another folder) with the user's own configuration.

    Raises:
        ToolError: git is missing, or (with ``check``) failed.
    """
    return run(folder or settings.root, *arguments, env=settings.environ, check=check)


def committed(settings: Settings, commit: str, path: str) -> bytes | None:
    """Return a file of a commit of the checkout; None where there is no such commit or file.

    `verify` runs where a stranger's bundle was unpacked, so what a repository's configuration can have run does not:
    no filter is applied, and an object that is missing is not fetched.

    Args:
        settings: the checkout.
        commit: its full name.
        path: below the checkout's root.
    """
    env = {**settings.environ, "GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}
    done = run(settings.root, "cat-file", "blob", f"{commit}:./{path}", env=env, check=False)
    return done.stdout.encode() if done.code == 0 else None


def require_clean(settings: Settings) -> str:
    """Return the checkout's commit.

    Raises:
        UsageError: it has changes, or no commit.
    """
    dirty = in_checkout(settings, "status", "--porcelain").stdout.rstrip()
    if dirty:
        raise UsageError(
            "The checkout has changes that are not committed.",
            why=dirty,
            remedy="Commit or stash them first: this starts from a commit, and leaves commits.",
        )
    done = in_checkout(settings, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", check=False)
    if done.code:
        raise UsageError("The checkout has no commit yet.", remedy="Commit it first.")
    return done.stdout.strip()


def checkout_state(settings: Settings) -> tuple[str, bool]:
    """Return the checkout's commit ("" where it is none), and whether its files differ from it.

    Raises:
        ToolError: it is a clone, and git can't tell.
    """
    head = in_checkout(settings, "rev-parse", "--verify", "--quiet", "HEAD", check=False)
    if head.code:
        if head.code != 1 and (settings.root / ".git").exists():  # 1: no commit yet
            raise ToolError("git can't tell this checkout's commit.", why=head.tail(), remedy=_OWNER)
        return "", False
    status = in_checkout(settings, "status", "--porcelain", "--untracked-files=normal", check=False)
    if status.code:
        raise ToolError("git can't tell whether this checkout has changes.", why=status.tail(), remedy=_OWNER)
    return head.stdout.strip(), bool(status.stdout.strip())


class _Commands:
    """Git's commands by name, with underscores, as GitPython has them: ``ls_tree("-r", commit)``."""

    def __init__(self, commands: git.Git):
        self._commands = commands

    def __getattr__(self, name: str) -> Callable[..., Any]:
        from git import GitCommandError

        def command(*arguments: Any, **options: Any) -> Any:
            log.debug("git %s %s", name.replace("_", "-"), " ".join(map(str, arguments))[:500])
            try:
                return getattr(self._commands, name)(*arguments, **options)
            except GitCommandError as error:
                stderr = str(error.stderr).strip().removeprefix("stderr: '").removesuffix("'")
                raise ToolError(
                    f"git {name.replace('_', '-')} failed.",
                    why=stderr or str(error),
                    remedy="Is the disk full, or the cache damaged?",
                ) from error

        return command


class Repo:
    """A repository that is driven through GitPython; what fails is a ToolError."""

    def __init__(self, folder: Path):
        """Open it.

        Raises:
            SourceError: git is missing, or the folder is no repository.
        """
        _require_git()
        from git import InvalidGitRepositoryError, NoSuchPathError
        from git import Repo as Driver

        try:
            self._driver = Driver(folder)
        except (InvalidGitRepositoryError, NoSuchPathError) as error:
            raise SourceError(f"{folder} is not a git repository.", why=str(error)) from error
        self._driver.git.update_environment(**HERMETIC)
        self.folder = Path(self._driver.git_dir)
        self.git = _Commands(self._driver.git)

    def resolve(self, ref: str) -> str | None:
        """Return the commit a ref points at, or None."""
        try:
            return str(self.git.rev_parse("--verify", "--quiet", f"{ref}^{{commit}}"))
        except ToolError:
            return None

    def grep(self, *arguments: str) -> str:
        """Return what `git grep` finds, "" where that is nothing.

        Raises:
            ToolError: it fails.
        """
        code, out, stderr = self.git.grep(*arguments, with_extended_output=True, with_exceptions=False)
        if code > 1:
            raise ToolError("git grep failed.", why=stderr, remedy="Is the disk full, or the cache damaged?")
        return str(out)

    def read_file(self, commit: str, path: str) -> bytes | None:
        """Return a file of a commit, or None where there is none."""
        try:
            kind: Any = self._driver.git.get_object_data(f"{commit}:{path}")  # its types are not what its stubs say
        except ValueError:  # git's one waiting `cat-file --batch` has no such object
            return None
        return bytes(kind[3]) if kind[1] == b"blob" else None

    def read_blob(self, name: str) -> bytes:
        """Return a blob by its full object name.

        Raises:
            ToolError: there is none.
        """
        try:
            data: bytes = self._driver.odb.stream(bytes.fromhex(name)).read()
        except ValueError as error:
            raise ToolError(f"git has no object {name}.", why=str(error), remedy="Is the cache damaged?") from error
        return data

    def paths(self, commit: str) -> list[str]:
        """Return the paths of a commit's files."""
        return list(self.blobs(commit))

    def blobs(self, commit: str) -> dict[str, str]:
        """Return the object names of a commit's files, by path."""
        listed: str = self.git.ls_tree("-r", "-z", "--full-tree", commit, strip_newline_in_stdout=False)
        rows = (row.partition("\t") for row in listed.split("\0") if row)
        return {path: head.split()[2] for head, _, path in rows}

    def walk(self, commit: str, selects: Callable[[str], bool]) -> Iterable[TreeFile]:
        """Yield the files of a commit whose path is wanted, in path order."""
        listed: str = self.git.ls_tree("-r", "-z", "-l", "--full-tree", commit, strip_newline_in_stdout=False)
        for row in listed.split("\0"):
            if row:
                head, _, path = row.partition("\t")
                mode, _, name, size = head.split()
                if selects(path):
                    length = 0 if size == "-" else int(size)  # a submodule has none
                    yield TreeFile(path, int(mode, 8), length, partial(self.read_blob, name))

    def commit(self, parent: str, message: str, identity: Identity, stage: Stage) -> str:
        """Commit on a parent, with an index of its own and no worktree.

        Args:
            parent: the commit that the index starts from.
            message: as it is, trailing newline included.
            identity: who, and when.
            stage: changes the index; gets an empty folder, and the environment that names the index.

        Returns:
            The commit's name.

        Raises:
            ToolError: git fails. Whatever ``stage`` raises.
        """
        with tempfile.TemporaryDirectory(prefix="webui-fork-") as name:
            folder = Path(name)
            env = {"GIT_INDEX_FILE": str(folder / "index"), **identity}
            self.git.read_tree(parent, env=env)
            (folder / "staged").mkdir()
            stage(folder / "staged", env)
            tree = self.git.write_tree(env=env)
            file = folder / "message"
            file.write_text(message, encoding="utf-8")
            return str(self.git.commit_tree(tree, "-p", parent, "-F", str(file), env=env))


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file of a commit's tree; ``mode`` is git's (0o100644, 0o100755, 0o120000), ``size`` in bytes."""

    path: str
    mode: int
    size: int
    read: Callable[[], bytes]


def _require_git() -> None:
    try:
        import git  # noqa: F401 - it raises where there is no git program
    except ImportError as error:
        why = str(error).splitlines()[0]
        raise SourceError("git is missing.", why=why, remedy="Install git (apt, dnf or brew: `git`).") from error


def bare(folder: Path, environ: Mapping[str, str]) -> Repo:
    """Open a bare repository, making it where there is none.

    Raises:
        SourceError: git is missing, or the folder can't be one.
    """
    _require_git()
    if not (folder / "HEAD").exists():
        argv = ["git", "init", "--quiet", "--bare", "--object-format=sha1", str(folder)]
        try:
            process.run(argv, env={**environ, **HERMETIC})
        except ToolError as error:
            remedy = "Is the disk full, or the folder somebody else's?"
            raise SourceError(f"The repository {folder} can't be made.", why=error.why, remedy=remedy) from error
    return Repo(folder)


def repository(settings: Settings) -> Repo:
    """Open the repository of releases in the cache, making it on first use.

    Raises:
        CacheError: the cache can't be written. SourceError: git is missing or fails.
    """
    folder = settings.cache / "source.git"
    ensure_folder(settings.cache)
    if (folder / "HEAD").exists():
        return Repo(folder)
    with exclusive(settings.cache / ".source.lock", "the source repository"):
        return bare(folder, settings.environ)
