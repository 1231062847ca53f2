"""A fork's difference from its release, split by topic: what defines a name and what uses it go together. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from webui_fork.merge import imports, tree
from webui_fork.merge.imports import Added
from webui_fork.series.narrowing import Block
from webui_fork.series.patch import slug

_WORD = re.compile(r"[A-Za-z_$][\w$]{3,}")  # a shorter name says nothing
_SCRIPT = re.compile(r"^\s*(?:export\s+)?(?:default\s+)?(?:async\s+)?(?:function|const|let|class)\s+([\w$]{4,})")
_MANY = 12  # blocks: a new name that more of them use is a word, and no topic


@dataclass(frozen=True, slots=True)
class Change:
    """A file of a fork: its text in the release and in the fork, "" where it does not exist."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Topic:
    """What goes together: a subject in the imperative, and the blocks of lines of it."""

    subject: str
    blocks: tuple[Block, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """The files it is in, in order."""
        return tuple(dict.fromkeys(block.path for block in self.blocks))


class _Groups:
    """Blocks that are joined, one by one, to groups."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def first(self, member: int) -> int:
        while self._parent[member] != member:
            member = self._parent[member]
        return member

    def join(self, members: Iterable[int]) -> None:
        firsts = sorted({self.first(member) for member in members})
        for other in firsts[1:]:
            self._parent[other] = firsts[0]


def split(changes: Sequence[Change], blocks: Sequence[Block]) -> tuple[Topic, ...]:
    """Split the blocks of some changes by topic.

    Blocks of one function go together, those of one file that are in no function, and a block with those that use a
    name which it brings.

    Args:
        changes: the files.
        blocks: of :func:`webui_fork.series.narrowing.blocks`, those that are to be split.

    Returns:
        The topics, in the order of their first block; each block is in one of them.
    """
    groups, brought = _Groups(len(blocks)), _brought(changes, blocks)
    words_of_release = {word for change in changes for word in _words(change.old.splitlines())}
    imported = {change.path: _newly_imported(change) for change in changes}
    gone = {PurePosixPath(change.path).stem for change in changes if not change.new}
    users: dict[str, list[int]] = {}
    for number, block in enumerate(blocks):
        # a word that the release has, too, is the fork's only where the file imports it now
        own = {word for word in _words(block.added) if word not in words_of_release or word in imported[block.path]}
        for word in (own | (gone & set(_words(block.removed)))) & brought.keys():
            users.setdefault(word, []).append(number)
    places: dict[tuple[str, str], list[int]] = {}
    whole = {change.path for change in changes if not change.old or not change.new}
    for number, block in enumerate(blocks):
        if block.path in whole:
            places.setdefault((block.path, ""), []).append(number)
        elif block.function or not any(number in numbers for numbers in brought.values()):
            places.setdefault((block.path, block.function.partition(".")[0]), []).append(number)
    for members in places.values():
        groups.join(members)
    for word, numbers in brought.items():
        if len(users.get(word, ())) <= _MANY:
            groups.join({*numbers, *users.get(word, ())})
    topics: dict[int, list[int]] = {}
    for number in range(len(blocks)):
        topics.setdefault(groups.first(number), []).append(number)
    return _named([tuple(blocks[number] for number in members) for members in topics.values()], changes)


def _words(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        yield from _WORD.findall(line)


def _newly_imported(change: Change) -> set[str]:
    """Return the names that a Python file imports now, and did not before."""
    added = imports.without(change.old, change.new)[1] if change.path.endswith(".py") and change.old else []
    lines = (one.text if isinstance(one, Added) else "\n".join(name for name, _ in one.added) for one in added)
    return set(_words(lines))


def _brought(changes: Sequence[Change], blocks: Sequence[Block]) -> dict[str, list[int]]:
    """Return the names that a fork brings, or takes away with a file, and the numbers of the blocks that do."""
    names: dict[str, list[int]] = {}
    for change in changes:
        before, after = _defined(change.path, change.old), _defined(change.path, change.new)
        brought = {name: line for name, line in after.items() if name not in before}
        if not change.old or not change.new:
            brought[PurePosixPath(change.path).stem] = 1
        for name, line in brought.items():
            for number, block in enumerate(blocks):
                in_block = block.line <= line < block.line + max(len(block.added), 1)
                if len(name) >= 4 and block.path == change.path and in_block:
                    names.setdefault(name, []).append(number)
    return names


def _defined(path: str, text: str) -> dict[str, int]:
    """Return what a file defines: each name's line, from 1."""
    module = tree.parse(text) if path.endswith(".py") else None
    if module is not None:
        names = {node.name: node.start + 1 for _, node in tree.definitions(module)}
        plain = re.compile(r"([A-Za-z_]\w{3,})\s*(?::[^=]+)?=[^=]")
        rows = [(match.group(1), n) for n, line in enumerate(module.lines, 1) if (match := plain.match(line))]
        return {**dict(rows), **names}
    matches = ((_SCRIPT.match(line), number) for number, line in enumerate(text.splitlines(), 1))
    return {match.group(1): number for match, number in matches if match}


def _named(topics: Sequence[tuple[Block, ...]], changes: Sequence[Change]) -> tuple[Topic, ...]:
    """Give each topic a subject of its own."""
    named: dict[str, Topic] = {}
    for blocks in topics:
        base = subject = _subject(blocks, changes)
        count = 1
        while slug(subject) in named:
            count += 1
            subject = f"{base[:48].rstrip()}, part {count}"
        named[slug(subject)] = Topic(subject, blocks)
    return tuple(named.values())


def _subject(blocks: Sequence[Block], changes: Sequence[Change]) -> str:
    texts = {change.path: change for change in changes}
    whole = [texts[block.path] for block in blocks if not texts[block.path].old or not texts[block.path].new]
    if whole:
        return f"{'Add' if whole[0].new else 'Remove'} {PurePosixPath(whole[0].path).stem}"[:60]
    added = [name for block in blocks for name in _new_in(block, texts[block.path])]
    biggest = max(blocks, key=lambda block: len(block.added) + len(block.removed))
    stem = PurePosixPath(biggest.path).stem
    stem = PurePosixPath(biggest.path).parent.name if stem == "__init__" else stem
    if added:
        return f"Add {added[0]} to {stem}"[:60]
    function = biggest.function.rpartition(".")[2]
    return (f"Change {function} in {stem}" if function else f"Change {stem}")[:60]


def _new_in(block: Block, change: Change) -> list[str]:
    """Return the functions and classes that a block brings."""
    before, after = _defined(change.path, change.old), _defined(change.path, change.new)
    lines = range(block.line, block.line + len(block.added))
    return [name for name, line in after.items() if line in lines and name not in before]
