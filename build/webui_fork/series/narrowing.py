"""A fix among all that a release changes: its blocks of lines, picked by function or number. Pure."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from webui_fork.merge import imports, tree
from webui_fork.merge.dataflow import assigns
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
    # where one side is no Python, its functions have no counterparts on the other
    alike = path.endswith(".py") and not (tree.parse(old) is None or tree.parse(new) is None)
    for function, (start, end), (first, last) in _pairs(*(_segments(text, parsed=alike) for text in (old, new))):
        if functions and not any(function == name or function.startswith(f"{name}.") for name in functions):
            continue
        matcher = difflib.SequenceMatcher(None, before[start:end], after[first:last], autojunk=False)
        for kind, a, b, c, d in matcher.get_opcodes():
            if kind != "equal":
                removed, added = tuple(before[start + a : start + b]), tuple(after[first + c : first + d])
                rows.append(Block(path, start + a, start + b, first + c + 1, function, removed, added))
    return tuple(rows)


def why_no_lines(old: bytes | None, new: bytes | None) -> str:
    """Return why a patch can have no lines of a changed file, "" where it has.

    Args:
        old, new: its content; None where it does not exist.
    """
    try:
        texts = [data.decode() for data in (old, new) if data is not None]
    except UnicodeDecodeError:
        return "not text"
    if any("\0" in text for text in texts):
        return "not text"
    if "" in texts:
        return "an empty file, which has no lines for a patch: put a comment into it"
    return "only its mode changes" if old == new else ""


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


def _segments(text: str, *, parsed: bool) -> list[_Segment]:
    """Return the parts of a file in order; blank lines and comments belong to what is behind them."""
    length = len(text.splitlines())
    module = tree.parse(text) if parsed else None
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


def narrowed(old: str, new: str, chosen: Iterable[Block], *, strict: bool = True) -> str:
    """Return a file's old text with the chosen blocks of the new one, and with the imports that these need.

    Args:
        old, new: the texts that the blocks are of.
        chosen: what to take; each once.
        strict: an import that can't be had is an error; else it is left out.

    Raises:
        ValueError: what is taken needs an import that the old text has no place for, or has another one of.
    """
    lines, shift, taken = old.splitlines(keepends=True), 0, set[int]()
    for block in sorted(set(chosen), key=lambda block: (block.start, block.end, block.line)):
        start = block.start + shift
        lines[start : block.end + shift] = block.added
        taken |= set(range(start + 1, start + 1 + len(block.added)))
        shift += len(block.added) - (block.end - block.start)
    # the last line of either text may have no end, and may not be the last one now
    text = "".join(line if line.endswith("\n") else f"{line}\n" for line in lines[:-1]) + "".join(lines[-1:])
    module, newer = tree.parse(text), tree.parse(new)
    if module is None or newer is None or text == new:
        return text  # of what is no Python, nobody knows what it imports
    for change in _missing(module, newer, taken, strict=strict):
        changed = imports.put_back(text, [change])
        if changed is None and strict:
            raise ValueError("an import that it needs has no place in the old file")
        text = changed or text
    return text


def _missing(module: tree.Module, newer: tree.Module, taken: set[int], *, strict: bool) -> Iterator[imports.Change]:
    """Yield the imports of a newer file that some lines of a file need.

    Raises:
        ValueError: the file imports the name from elsewhere.
    """
    bound, importing = _imports(module), _imports(newer)
    own = {name for node in tree.own(module) if not imports.origin(node) for name in (node.name, *assigns(node.tree))}
    chains = _chains(module.tree, taken)
    for name in dict.fromkeys(chain.partition(".")[0] for chain in chains):
        present = {one.text for one in bound.get(name, ())}
        for one in importing.get(name, ()):
            if one.text in present or name in own or not one.is_used(chains):
                continue
            if not present or (one.is_dotted and all(other.is_dotted for other in bound[name])):
                yield one.into(module)
            elif strict:
                raise ValueError(f"the new file has `{one.text}`, the old one `{min(present)}`")


@dataclass(frozen=True, slots=True)
class _Import:
    """How a file imports a name: the statement for it alone, and what the import before it imports from."""

    text: str
    origin: str
    alias: str
    behind: str

    @property
    def is_dotted(self) -> bool:
        """Whether it is one as `import a.b`, of which a file can have several for one name."""
        return self.text == f"import {self.alias}" and " as " not in self.alias

    def is_used(self, chains: Iterable[str]) -> bool:
        """Tell whether it is needed for some of the names, dotted as they are used."""
        return not self.is_dotted or any(f"{chain}.".startswith(f"{self.alias}.") for chain in chains)

    def into(self, module: tree.Module) -> imports.Change:
        """Return it as a change of a file: into an import of one line that it has, else as a line of its own."""
        alike = [node for node in module.blocks["body"] if imports.origin(node) == self.origin]
        if self.origin.startswith("from ") and len(alike) == 1:
            (node,) = alike
            if node.end == node.start + 1 and "#" not in module.lines[node.start]:
                last = ast.unparse(node.tree).rpartition(" import ")[2].rpartition(", ")[2]
                return Edited(self.origin, ((self.alias, last),), ())
        return Added(f"{self.text}\n", self.origin if alike else self.behind)


def _imports(module: tree.Module) -> dict[str, list[_Import]]:
    """Return how each name is imported at the top of a file, by the name it has there."""
    names, behind = dict[str, list[_Import]](), ""
    for node in module.blocks["body"]:
        statement, origin = node.tree, imports.origin(node)
        if isinstance(statement, ast.Import | ast.ImportFrom):
            for alias in statement.names:
                name = alias.asname or alias.name.partition(".")[0]
                head = f"{origin} import" if isinstance(statement, ast.ImportFrom) else "import"
                one = _Import(f"{head} {ast.unparse(alias)}", origin, ast.unparse(alias), behind)
                names.setdefault(name, []).append(one)
            behind = origin
    return names


def _chains(module: ast.AST, lines: set[int]) -> tuple[str, ...]:
    """Return the names that some lines of a file use, each with the attributes behind it, as `os.path.join`."""
    chains = []
    for node in ast.walk(module):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load) and node.lineno in lines:
            words, inner = list[str](), node
            while isinstance(inner, ast.Attribute):
                words.append(inner.attr)
                inner = inner.value  # type: ignore[assignment]  # until it is a name, or none
            if isinstance(inner, ast.Name):
                chains.append(".".join([inner.id, *reversed(words)]))
    return tuple(chains)
