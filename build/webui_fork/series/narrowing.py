"""A fix among all that a release changes: its blocks of lines, picked by function or number. Pure."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from webui_fork.merge import imports, tree
from webui_fork.merge.imports import Added, Edited
from webui_fork.merge.tree import Node


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that a release has in place of others; of one function at most.

    ``start`` and ``end`` are the old file's lines [start, end) from 0, ``line`` the new file's first one, from 1.
    ``function`` is the dotted name of what it is in, "" for the module, :data:`IMPORTS` for its imports.
    """

    path: str
    start: int
    end: int
    line: int
    function: str
    removed: tuple[str, ...]
    added: tuple[str, ...]


IMPORTS = "imports"
_Segment = tuple[str, int, int]  # what it is of; its lines [start, end) from 0


def blocks(path: str, old: str, new: str, functions: Sequence[str] = ()) -> tuple[Block, ...]:
    """Return what differs between a file's two texts.

    Functions are held against their namesakes: lines of one never count as those of another.

    Args:
        path: of the file; only Python has functions.
        old, new: its texts.
        functions: dotted names, to return what is in them alone; () for everything, imports too.
    """
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    rows = []
    for function, (start, end), (first, last) in _pairs(_segments(path, old), _segments(path, new)):
        if functions and not any(function == name or function.startswith(f"{name}.") for name in functions):
            continue
        matcher = difflib.SequenceMatcher(None, before[start:end], after[first:last], autojunk=False)
        for kind, a, b, c, d in matcher.get_opcodes():
            if kind != "equal":
                removed, added = tuple(before[start + a : start + b]), tuple(after[first + c : first + d])
                rows.append(Block(path, start + a, start + b, first + c + 1, function, removed, added))
    return tuple(rows)


def _pairs(old: list[_Segment], new: list[_Segment]) -> Iterator[tuple[str, tuple[int, int], tuple[int, int]]]:
    """Yield each segment with its counterpart: one that is new or gone with a place of no lines."""
    was, is_now = ([segment[0] for segment in side] for side in (old, new))
    for kind, a, b, c, d in difflib.SequenceMatcher(None, was, is_now, autojunk=False).get_opcodes():
        if kind == "equal":
            for one, other in zip(old[a:b], new[c:d], strict=True):
                yield one[0], one[1:], other[1:]
            continue
        place, other_place = (side[at - 1][2] if at else 0 for side, at in ((old, b), (new, c)))
        for name, start, end in old[a:b]:
            yield name, (start, end), (other_place, other_place)
        for name, start, end in new[c:d]:
            yield name, (place, place), (start, end)


def _segments(path: str, text: str) -> list[_Segment]:
    """Return the parts of a file in order; blank lines and comments belong to what is behind them."""
    length = len(text.splitlines())
    module = tree.parse(text) if path.endswith(".py") else None
    names = list(_names(module.blocks["body"], "")) if module is not None else []
    segments: list[_Segment] = []
    for name, end in names:
        start = segments[-1][2] if segments else 0
        if segments and segments[-1][0] == name:
            segments[-1] = (name, segments[-1][1], end)
        elif end > start:
            segments.append((name, start, end))
    if not segments:
        return [("", 0, length)] if length else []
    segments[-1] = (*segments[-1][:2], length)
    return segments


def _names(block: Sequence[Node], scope: str) -> Iterator[tuple[str, int]]:
    """Yield what each statement is of, and where it ends; a class is its methods, and what is between them."""
    for node in block:
        inner = f"{scope}.{node.name}".lstrip(".") if node.name else scope
        if isinstance(node.tree, ast.ClassDef) and node.blocks:
            yield inner, node.blocks["body"][0].start
            yield from _names(node.blocks["body"], inner)
        else:
            yield (IMPORTS if imports.origin(node) and not scope else inner), node.end


def narrowed(old: str, new: str, chosen: Iterable[Block]) -> str:
    """Return a file's old text with the chosen blocks of the new one, and with the imports that these need.

    Args:
        old, new: the texts that the blocks are of.
        chosen: what to take; each once.

    Raises:
        ValueError: what is taken needs an import that the old text has no place for, or has another one of.
    """
    lines, shift, taken = old.splitlines(keepends=True), 0, set[int]()
    for block in sorted(set(chosen), key=lambda block: (block.start, block.end, block.line)):
        start = block.start + shift
        lines[start : block.end + shift] = block.added
        taken |= set(range(start + 1, start + 1 + len(block.added)))
        shift += len(block.added) - (block.end - block.start)
    text = "".join(lines)
    module, newer = tree.parse(text), tree.parse(new)
    if module is None or newer is None or text == new:
        return text  # of what is no Python, nobody knows what it imports
    bound, importing = _imports(module), _imports(newer)
    stores = (node for node in ast.walk(module.tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    own = {node.name for node in module.blocks["body"]} | {node.id for node in stores}
    changes: list[imports.Change] = []
    for name in dict.fromkeys(_loaded(module.tree, taken)):
        if name in importing and name in bound and bound[name].text != importing[name].text:
            raise ValueError(f"the new file has `{importing[name].text}`, the old one `{bound[name].text}`")
        if name in importing and name not in bound and name not in own:
            changes.append(importing[name].into(module))
    changed = imports.put_back(text, changes) if changes else text
    if changed is None:
        raise ValueError("an import that it needs has no place in the old file")
    return changed


@dataclass(frozen=True, slots=True)
class _Import:
    """How a file imports a name: the statement for it alone, and what the import before it imports from."""

    text: str
    origin: str
    alias: str
    behind: str

    def into(self, module: tree.Module) -> imports.Change:
        """Return it as a change of a file: into an import of one line that it has, else as a line of its own."""
        alike = [node for node in module.blocks["body"] if imports.origin(node) == self.origin]
        if self.origin.startswith("from ") and len(alike) == 1:
            (node,) = alike
            if node.end == node.start + 1 and "#" not in module.lines[node.start]:
                last = ast.unparse(node.tree).rpartition(" import ")[2].rpartition(", ")[2]
                return Edited(self.origin, ((self.alias, last),), ())
        return Added(f"{self.text}\n", self.origin if alike else self.behind)


def _imports(module: tree.Module) -> dict[str, _Import]:
    """Return how each name is imported at the top of a file, by the name it has there."""
    names, behind = dict[str, _Import](), ""
    for node in module.blocks["body"]:
        statement, origin = node.tree, imports.origin(node)
        if isinstance(statement, ast.Import | ast.ImportFrom):
            for alias in statement.names:
                name = alias.asname or alias.name.partition(".")[0]
                head = f"{origin} import" if isinstance(statement, ast.ImportFrom) else "import"
                names[name] = _Import(f"{head} {ast.unparse(alias)}", origin, ast.unparse(alias), behind)
            behind = origin
    return names


def _loaded(module: ast.AST, lines: set[int]) -> Iterator[str]:
    """Yield the names that some lines of a file use."""
    for node in ast.walk(module):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.lineno in lines:
            yield node.id
