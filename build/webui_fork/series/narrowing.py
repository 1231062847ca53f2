"""A fix among all that a release changes: its blocks of lines, picked by function or number. Pure."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from webui_fork.merge import imports, tree
from webui_fork.merge.imports import Added


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that a release has in place of others.

    ``start`` and ``end`` are the old file's lines [start, end) from 0, ``line`` the new file's first one, from 1.
    ``function`` is the dotted name of what it is in, "" for the module.
    """

    path: str
    start: int
    end: int
    line: int
    function: str
    removed: tuple[str, ...]
    added: tuple[str, ...]


def blocks(path: str, old: str, new: str, functions: Sequence[str] = ()) -> tuple[Block, ...]:
    """Return what differs between a file's two texts, without the imports at its top, which follow by themselves.

    Args:
        path: of the file; only Python has functions.
        old, new: its texts.
        functions: dotted names, to return what is in them alone; () for everything.
    """
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    scopes = (_scopes(path, old), _scopes(path, new))
    rows = []
    for kind, start, end, first, last in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        names = {*scopes[1][first:last], *scopes[0][start:end]} or {""}
        if functions and not any(_is_in(name, function) for name in names for function in functions):
            continue
        if names == {_IMPORT}:
            continue
        inner = max(names - {_IMPORT}, key=len, default="")
        rows.append(Block(path, start, end, first + 1, inner, tuple(before[start:end]), tuple(after[first:last])))
    return tuple(rows)


_IMPORT = " import"  # no name has a space


def _is_in(name: str, function: str) -> bool:
    return name == function or name.startswith(f"{function}.")


def _scopes(path: str, text: str) -> tuple[str, ...]:
    """Return for each line of a file the function or class it is in, or that it is one of the imports."""
    module = tree.parse(text) if path.endswith(".py") else None
    if module is None:
        return ("",) * len(text.splitlines())
    scopes = list(tree.scopes(module))
    for node in module.blocks["body"]:
        if imports.origin(node):
            scopes[node.start : node.end] = [_IMPORT] * (node.end - node.start)
    return tuple(scopes)


def narrowed(old: str, new: str, chosen: Iterable[Block]) -> str:
    """Return a file's old text with the chosen blocks of the new one, and with the imports that these need.

    Args:
        old, new: the texts that the blocks are of.
        chosen: what to take.

    Raises:
        ValueError: what is taken needs an import for which the old text has no place.
    """
    lines, names = old.splitlines(keepends=True), set[str]()
    for block in sorted(chosen, key=lambda block: block.start, reverse=True):
        lines[block.start : block.end] = block.added
        names |= set(_words(block.added))
    text = "".join(lines)
    needed = (_needed(change, names) for change in imports.without(text, new)[1])
    changes = [change for change in needed if change]
    changed = imports.put_back(text, changes) if changes else text
    if changed is None:
        raise ValueError("an import that it needs has no place in the old file")
    return changed


def _needed(change: imports.Change, names: set[str]) -> imports.Change | None:
    """Return what of an import is needed for names; None where nothing is. What the new text drops stays."""
    if isinstance(change, Added):
        statement = ast.parse(change.text.strip()).body[0]
        assert isinstance(statement, ast.Import | ast.ImportFrom)
        statement.names = [one for one in statement.names if (one.asname or one.name).partition(".")[0] in names]
        return Added(f"{ast.unparse(statement)}\n", change.behind) if statement.names else None
    added = tuple(pair for pair in change.added if pair[0].split(" as ")[-1] in names)
    return imports.Edited(change.origin, added, ()) if added else None


def _words(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        code = line.partition("#")[0]
        yield from "".join(letter if letter.isalnum() or letter == "_" else " " for letter in code).split()
