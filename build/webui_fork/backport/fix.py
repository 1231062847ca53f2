"""The fix that is carried back: a commit of a git remote, or what files differ in between two releases."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from webui_fork.config.upstream_lock import GitPin
from webui_fork.core import git, text
from webui_fork.core.errors import SeriesError, UsageError
from webui_fork.core.git import Repo
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.rebase import releases
from webui_fork.series import narrowing
from webui_fork.series.narrowing import Block
from webui_fork.sources import release

_RELEASES = re.compile(r"v?(\d+(?:\.\d+){1,3})\.\.v?(\d+(?:\.\d+){1,3})")
_COMPARE = "https://github.com/open-webui/open-webui/compare"
_CODE = ("backend/open_webui/", "src/")
_MIGRATIONS = ("backend/open_webui/migrations/", "backend/open_webui/internal/migrations/")
# what decides what is installed: a line's own locks say that
PACKAGES = re.compile(r"backend/requirements[a-z-]*\.txt|package(-lock)?\.json|pyproject\.toml|uv\.lock")


@dataclass(frozen=True, slots=True)
class Fix:
    """Where a fix is: the commits before and with it, its DEP-3 origin, and the release that has it ("": unknown)."""

    before: str
    after: str
    origin: str
    release: str


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a fix, and the functions of it that are meant; () for all of it."""

    path: str
    functions: tuple[str, ...] = ()


def part(words: str) -> Part:
    """Read a part: `backend/open_webui/routers/scim.py:delete_user,Form.check`.

    Raises:
        UsageError: a name in it is empty.
    """
    path, colon, names = words.partition(":")
    functions = tuple(names.split(",")) if colon else ()
    if not path or not all(functions):
        raise UsageError(
            f"{words!r} has an empty name in it.", remedy="As in --part backend/open_webui/FILE.py:FUNCTION"
        )
    return Part(path, functions)


def obtain(settings: Settings, ui: Terminal, words: str) -> Fix:
    """Have a fix at hand.

    Args:
        settings: of the checkout. ui: shows what is downloaded.
        words: `0.12.1..0.12.2`, two releases, or `https://…#COMMIT`, a commit of a git remote.

    Raises:
        UsageError: it is neither. SourceError, LockError: it can't be had.
    """
    if match := _RELEASES.fullmatch(words):
        old, new = match.groups()
        if releases.version(old) >= releases.version(new):
            raise UsageError(f"{old} is not older than {new}.", remedy="The release without the fix comes first.")
        before, after = (one.commit for one in releases.named(settings, ui, (old, new)))
        return Fix(before, after, f"backport, {_COMPARE}/v{old}...v{new}", new)
    remote, _, commit = words.partition("#")
    try:
        pin = msgspec.convert({"remote": remote, "commit": commit}, GitPin)
    except msgspec.ValidationError:
        raise UsageError(
            f"{text.without_secrets(remote)!r} with {commit!r} is not a fix.",
            remedy="Name two releases, as 0.12.1..0.12.2, or a commit of a git remote, as https://HOST/REPO#COMMIT.",
        ) from None
    return _commit(settings, ui, pin)


def _commit(settings: Settings, ui: Terminal, pin: GitPin) -> Fix:
    repo = git.repository(settings)
    if repo.resolve(f"{pin.commit}^1") is None:
        release.fetch(settings, repo, pin.remote, pin.commit, ui, depth=2)
    before = repo.resolve(f"{pin.commit}^1")
    if before is None or repo.resolve(f"{pin.commit}^2") is not None:
        raise UsageError(f"{pin.commit[:12]} has no parent, or several.", remedy="Name a commit with one parent.")
    return Fix(before, pin.commit, f"backport, {pin.remote.removesuffix('.git')}/commit/{pin.commit}", "")


def _changed_paths(repo: Repo, fix: Fix) -> tuple[str, ...]:
    listed: str = repo.git.diff_tree("-r", "-z", "--no-renames", "--name-only", fix.before, fix.after)
    return tuple(path for path in listed.split("\0") if path)


def parts(repo: Repo, fix: Fix, chosen: Sequence[Part]) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """Return the parts of a fix that are carried, and what stays behind, in words.

    Args:
        repo: the local repository. fix: what is carried. chosen: what a person named; () for a commit's code.

    Raises:
        UsageError: releases differ in far more than a fix, and nothing was named; or what was named does not differ.
        SeriesError: what was named can't be carried.
    """
    changed = _changed_paths(repo, fix)
    if not chosen and fix.release:
        raise UsageError(
            f"Two releases differ in {len(changed)} files: which are the fix?",
            remedy="Name them with --part backend/open_webui/FILE.py:FUNCTION, as often as it takes.",
        )
    if absent := [one.path for one in chosen if one.path not in changed]:
        raise UsageError(f"The fix does not change {absent[0]}.", remedy="Name another with --part.")
    if refused := [words for one in chosen if (words := _why_left(one.path))]:
        raise SeriesError("That can't be carried back.", why="\n".join(refused))
    rest = [path for path in changed if not any(path == one.path for one in chosen)]
    if chosen:
        return tuple(chosen), () if fix.release else tuple(_why_left(path) or f"{path}: not named" for path in rest)
    reasons = {path: _why_left(path) or _why_no_lines(repo, fix, path) for path in rest}
    code = tuple(path for path in rest if not reasons[path])
    if not code:
        raise UsageError("The commit changes no code of Open WebUI.", why=", ".join(changed)[:500])
    return tuple(Part(path) for path in code), tuple(filter(None, reasons.values()))


def _why_left(path: str) -> str:
    """Return why a path can't be carried back, "" where it can."""
    if path.startswith(_MIGRATIONS):
        return f"{path}: a database migration; an older release has another chain of migrations"
    if PACKAGES.fullmatch(path):
        return f"{path}: the line's own locks pin the packages; raise one in images/open-webui/overrides.toml"
    return ""


def _why_no_lines(repo: Repo, fix: Fix, path: str) -> str:
    """Return why a path has no lines that can be carried, "" where it has."""
    if not path.startswith(_CODE):
        return f"{path}: not code"
    why = narrowing.why_no_lines(*(repo.read_file(commit, path) for commit in (fix.before, fix.after)))
    return f"{path}: {why}" if why else ""


def blocks(repo: Repo, fix: Fix, chosen: Sequence[Part]) -> tuple[Block, ...]:
    """Return the blocks of lines of a fix's parts, in the parts' order.

    Raises:
        SeriesError: a file is not text. UsageError: a function differs nowhere.
    """
    rows: list[Block] = []
    for one in chosen:
        texts = _texts(repo, fix, one.path)
        for name in one.functions or ("",):
            if not narrowing.blocks(one.path, *texts, (name,) if name else ()):
                raise UsageError(
                    f"Nothing differs in {one.path}{':' if name else ''}{name}.",
                    remedy="Name another function with --part, or leave the function out and look at --list.",
                )
        rows += narrowing.blocks(one.path, *texts, one.functions)
    return tuple(dict.fromkeys(rows))


def narrowed(repo: Repo, fix: Fix, chosen: Sequence[Block]) -> dict[str, str | None]:
    """Return the files of a fix as they were before it, with the chosen blocks alone; None for one that goes.

    Raises:
        SeriesError: a file is not text, or what is chosen can't stand alone.
    """
    contents: dict[str, str | None] = {}
    for path in dict.fromkeys(block.path for block in chosen):
        old, new = _texts(repo, fix, path)
        try:
            contents[path] = narrowing.narrowed(old, new, [block for block in chosen if block.path == path])
        except ValueError as error:
            raise SeriesError(f"{path} can't be narrowed to that.", why=str(error), remedy="Take more of it.") from None
        if not contents[path] and repo.read_file(fix.after, path) is None:
            contents[path] = None
    return contents


def _texts(repo: Repo, fix: Fix, path: str) -> tuple[str, str]:
    try:
        one, two = ((repo.read_file(commit, path) or b"").decode() for commit in (fix.before, fix.after))
    except UnicodeDecodeError:
        raise SeriesError(f"{path} is not text.", remedy="A patch contains only text; leave the file out.") from None
    return one, two
