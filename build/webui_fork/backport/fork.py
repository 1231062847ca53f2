"""Make a series of a fork: what its tree differs in from its release, by topic, as patches to be filled in.

The patches reproduce the fork's files, byte for byte, but for what a series can't hold; that is named. Nothing outside
`out/adopt/` is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from webui_fork.backport import fix
from webui_fork.config import image_toml
from webui_fork.config.upstream_lock import GitPin, Lock
from webui_fork.core import git, text
from webui_fork.core.errors import UsageError
from webui_fork.core.files import sha256_bytes
from webui_fork.core.git import Repo
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import inputs as image_inputs
from webui_fork.rebase import cherry_pick, releases
from webui_fork.rebase.cherry_pick import Outcome
from webui_fork.rebase.releases import Ends
from webui_fork.series import apply, branding, narrowing, topics, worktree
from webui_fork.series import patch as series_patch
from webui_fork.series.narrowing import Block
from webui_fork.series.patch import Patch
from webui_fork.series.topics import Change, Topic
from webui_fork.sources import package_index, release

_REF = re.compile(r"(?!-)(?!.*\.\.)[A-Za-z0-9._/-]{1,200}")
_PLAIN = re.compile(r"[ !#-\[\]-~]+")  # no quote, no backslash, nothing that is not ASCII
_VERSION = re.compile(r"\d+(\.\d+){1,3}")


@dataclass(frozen=True, slots=True)
class Left:
    """A path of a fork that no patch may hold, and why."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Adopted:
    """A fork as a series: its release, the patches, what is left out, and how far each goes.

    ``reach`` has for each patch, by version, what a rebase would make of it.
    """

    version: str
    patches: tuple[Patch, ...]
    left: tuple[Left, ...]
    reach: tuple[tuple[str, tuple[tuple[str, Outcome], ...]], ...]


@dataclass(frozen=True, slots=True)
class _Fork:
    """A fork at hand, with its release: two commits of the local repository."""

    repo: Repo
    remote: str
    commit: str
    lock: Lock
    release: str
    is_newest: bool


def adopt(settings: Settings, ui: Terminal, words: str, version: str | None) -> Adopted:
    """Make a series of a fork.

    Args:
        settings: of the checkout. ui: says what is done.
        words: `https://HOST/REPO#BRANCH`, or a tag or a commit.
        version: the release that the fork is of; None: the one in its package.json.

    Raises:
        UsageError: that is no fork of a release. SourceError, LockError: it, or the release, can't be had.
    """
    fork = _obtain(settings, ui, words, version)
    changes, left = _changes(settings, fork)
    rows = [block for change in changes for block in narrowing.blocks(change.path, change.old, change.new)]
    marked = {block for block in rows if any(map(branding.protected_line, (*block.added, *block.removed)))}
    for block in (block for block in rows if block in marked):
        why = f"{text.counted(len(block.added) + len(block.removed), 'line')} with one about the product's name or logo"
        left.append(Left(f"{block.path}:{block.line}", why))
    kept = [block for block in rows if block not in marked]
    with ui.step("topics", f"Splitting {len(changes)} files by topic"):
        split = topics.split(changes, [block for block in kept if not _follows(changes, block)])
        ends = {one.path: _text(one, [block for block in kept if block.path == one.path]) for one in changes}
        patches, commits = _series(fork, changes, split, ends)
    for patch in patches:
        if any(map(branding.protected_line, _changed_lines(patch))):
            left.append(Left(f"patches/{patch.name}", "it changes a line about the product's name, which lint refuses"))
    reach = _reach(settings, ui, fork, patches, commits)
    return Adopted(fork.lock.version, patches, tuple(left), reach)


def _follows(changes: Sequence[Change], block: Block) -> bool:
    """Tell whether a block is of the imports of a file that the release has, too: they follow what needs them."""
    return block.function == narrowing.IMPORTS and any(
        change.path == block.path and change.old and change.new for change in changes
    )


def _changed_lines(patch: Patch) -> Iterable[str]:
    return (line.value for file in patch.files for hunk in file for line in hunk if line.is_added or line.is_removed)


def _obtain(settings: Settings, ui: Terminal, words: str, version: str | None) -> _Fork:
    remote, _, ref = words.partition("#")
    try:
        msgspec.convert({"remote": remote, "commit": "0" * 40}, GitPin)
    except msgspec.ValidationError:
        remote = ""
    if not remote or not _REF.fullmatch(ref):
        raise UsageError(
            f"{text.without_secrets(words)!r} is not a git remote and a ref.",
            remedy="As in https://HOST/REPO#BRANCH, or file:///FOLDER#BRANCH for a clone of this machine.",
        )
    repo = git.repository(settings)
    kept = f"refs/adopted/{sha256_bytes(words.encode()).removeprefix('sha256:')[:16]}"
    release.fetch(settings, repo, remote, f"+{ref}:{kept}", ui)
    commit = str(repo.resolve(kept))
    version = version or _version(repo.read_file(commit, "package.json"))
    where = package_index.configured(settings)
    listed, _ = package_index.listing(where, package_index.session(where))
    one = package_index.pick(listed, version)
    is_newest = package_index.pick(listed, None).version == one.version
    return _Fork(repo, remote, commit, one.lock, release.release_commit(settings, one.lock, ui), is_newest)


def _version(package: bytes | None) -> str:
    try:
        version = json.loads(package or b"").get("version")
    except (ValueError, AttributeError, RecursionError):
        version = None
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise UsageError("The fork's package.json names no release.", remedy="Name it: --release 0.12.3")
    return version


def _changes(settings: Settings, fork: _Fork) -> tuple[list[Change], list[Left]]:
    """Return the files that differ and that a series can hold, and the others."""
    spec = image_toml.read(settings.root / "images" / image_inputs.IMAGE)
    listed: str = fork.repo.git.diff_tree(
        "-r", "-z", "--no-renames", fork.release, fork.commit, strip_newline_in_stdout=False
    )
    parts, changes, left = listed.split("\0"), list[Change](), list[Left]()
    heads = dict(zip(parts[1::2], parts[0::2], strict=False))
    for path, head in heads.items():
        modes = {mode for mode in head.lstrip(":").split(" ")[:2] if mode != "000000"}
        why = _why_left(spec, path, modes)
        if any(other.startswith(f"{path}/") for other in heads):
            why = why or "a file in place of a folder, or the other way around"
        old, new = (fork.repo.read_file(at, path) for at in (fork.release, fork.commit))
        if why := why or narrowing.why_no_lines(old, new):
            left.append(Left(text.printable(path), why))
        else:
            changes.append(Change(path, (old or b"").decode(), (new or b"").decode()))
    return changes, left


def _why_left(spec: image_toml.ImageSpec, path: str, modes: Iterable[str]) -> str:
    refused = [words for _, words in series_patch.refused_path(path, front_end=spec.frontend is not None)]
    if refused:
        return refused[0].removeprefix(f"{path} ")
    if not _PLAIN.fullmatch(path):
        return "a name that git quotes in a patch"
    if fix.PACKAGES.fullmatch(path):
        return "the image's own locks pin the packages: `with` in image.toml adds one"
    if spec.place(path) is None and not spec.builds(path):
        return "not in the image"
    return "" if set(modes) <= {"100644", "100755"} else "a link or a submodule"


def _series(
    fork: _Fork, changes: Sequence[Change], split: Sequence[Topic], ends: Mapping[str, str | None]
) -> tuple[tuple[Patch, ...], tuple[str, ...]]:
    """Commit the topics, one on another; return the patches, and the release's commit with theirs.

    Args:
        ends: for each path the text that it ends with, None for a file that goes.
    """
    by_path = {change.path: change for change in changes}
    patches, commits = list[Patch](), [fork.release]
    taken: dict[str, list[Block]] = {}
    texts: dict[str, str | None] = {change.path: change.old or None for change in changes}
    for topic in split:
        contents: dict[str, str | None] = {}
        for path in topic.paths:
            taken.setdefault(path, []).extend(block for block in topic.blocks if block.path == path)
            contents[path] = _text(by_path[path], taken[path])
        _commit(fork, topic.subject, contents, patches, commits)
        texts |= contents
    rest = {path: end for path, end in ends.items() if texts[path] != end}
    if rest:  # imports that moved, or that nothing uses
        _commit(fork, "Arrange imports", rest, patches, commits)
    return tuple(patches), tuple(commits)


def _text(change: Change, blocks: Sequence[Block]) -> str | None:
    """Return a file with some blocks; an import that has no place yet comes with the last patch."""
    return narrowing.narrowed(change.old, change.new, blocks, strict=False) or None


def _commit(
    fork: _Fork, subject: str, contents: dict[str, str | None], patches: list[Patch], commits: list[str]
) -> None:
    fields = {
        "Description": "TODO",
        "Origin": f"other, {fork.remote.removesuffix('.git')}",
        "Forwarded": "no",
        "Bug": "none",
        "Applies-To": f">={fork.lock.version}",
        "Proof": series_patch.proof_of(subject),
    }
    name, mail, date = str(fork.repo.git.show("-s", "--format=%aN%n%aE%n%aD", fork.commit)).split("\n")
    author = apply.address(name.strip() or worktree.AUTHOR[0], mail.strip() or worktree.AUTHOR[1])
    ends = Ends(fork.repo, fork.release, fork.release, fork.lock.epoch, fork.lock.version)
    draft = series_patch.draft(subject, fields, author, date)
    modes = cherry_pick.modes_of(fork.repo, fork.commit, tuple(contents))
    patch, commit = cherry_pick.committed(ends, commits[-1], draft, contents, modes)
    patches.append(patch)
    commits.append(commit)


def _reach(
    settings: Settings, ui: Terminal, fork: _Fork, patches: Sequence[Patch], commits: Sequence[str]
) -> tuple[tuple[str, tuple[tuple[str, Outcome], ...]], ...]:
    """Carry the series to each newer release, from the fork's own; one that does not go is left out there."""
    chosen = [] if fork.is_newest else releases.of_range(settings, ui, fork.lock.version, None)[1:]
    rows: dict[str, list[tuple[str, Outcome]]] = {patch.name: [] for patch in patches}
    with ui.step("reach", f"Carrying {len(patches)} patches to {len(chosen)} newer releases"):
        for one in chosen:
            ends = Ends(fork.repo, fork.release, one.commit, one.epoch, one.version)
            merge, parent = cherry_pick.merger(fork.repo, one.commit, settings.environ), one.commit
            for number, patch in enumerate(patches):
                done = cherry_pick.carry_patch(ends, patch, commits[number], commits[number + 1], parent, merge)
                rows[patch.name].append((one.version, done.outcome))
                parent = done.commit or parent
            ui.say(f"{one.version}: done")
    return tuple((name, tuple(cells)) for name, cells in rows.items())
