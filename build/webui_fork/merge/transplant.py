"""A change of a Python file as edits of its syntax tree, made again in another version of the file. Pure.

The edits are found between a base and ours (statements inserted, deleted, replaced inside which function or
class) and put into theirs where the tree says that the same place is now. It knows nothing of line distance
or context lines, so it is a second opinion on a text merge, and it finds code that moved. When a place is not
certain it gives up and says why; it never guesses.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from webui_fork.merge import matching
from webui_fork.merge import tree as merge_tree
from webui_fork.merge.dataflow import assigns, commute, uses
from webui_fork.merge.expressions import ContestedError, MeetingError, UncertainError, merge_trees
from webui_fork.merge.matching import Mapping
from webui_fork.merge.tree import Module, Node


@dataclass(frozen=True, slots=True)
class Gap:
    """Between two statements that stay: ``removed`` ones of the base, and ``added`` ones of ours in their place."""

    owner: Node
    block: str
    before: Node | None
    after: Node | None
    removed: tuple[Node, ...]
    added: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A statement without blocks, or the head of one with blocks, that ours changes."""

    old: Node
    new: Node


@dataclass(frozen=True, slots=True)
class Clause:
    """A statement that gains or loses a clause (else, except, finally), which has no place of its own in a tree."""

    old: Node
    new: Node


Edit = Gap | Rewrite | Clause

_SAME_SOURCE = 0.7  # a statement that shares this many names and constants with another makes the same value


@lru_cache(maxsize=16)
def edits(base: Module, ours: Module) -> tuple[Edit, ...]:
    """Return what ours changes, in order."""
    result: list[Edit] = []
    _edits(base, ours, result)
    return tuple(result)


def _edits(base: Node, ours: Node, edits: list[Edit]) -> None:
    if set(base.blocks) != set(ours.blocks):
        edits.append(Clause(base, ours))
    for key, left in base.blocks.items():
        if key not in ours.blocks:
            continue
        right = ours.blocks[key]
        before: Node | None = None
        removed: list[Node] = []
        added: list[Node] = []
        for i, j in [*matching.align(left, right), (-1, -1)]:
            if i is None and j is not None:
                added.append(right[j])
            elif j is None and i is not None:
                removed.append(left[i])
            else:
                stays = left[i] if i is not None and i >= 0 else None
                if removed or added:
                    edits.append(Gap(base, key, before, stays, tuple(removed), tuple(added)))
                removed, added, before = [], [], stays
                if stays and j is not None and stays.dump != right[j].dump:
                    _pair(stays, right[j], edits)


def _pair(old: Node, new: Node, edits: list[Edit]) -> None:
    if not old.blocks or not new.blocks:
        edits.append(Rewrite(old, new))
        return
    if old.head != new.head:
        edits.append(Rewrite(old, new))
    _edits(old, new, edits)


@dataclass
class _Splices:
    """Replacements of lines of theirs, made from the last to the first."""

    theirs: Module
    parts: list[tuple[int, int, str]] = field(default_factory=list)

    def replace(self, start: int, end: int, text: str) -> None:
        if any(start < e and s < end for s, e, _ in self.parts):
            raise UncertainError(f"two edits meet at line {start + 1} of the new release")
        self.parts.append((start, end, text))

    def result(self) -> str:
        lines = list(self.theirs.lines)
        order = sorted(range(len(self.parts)), key=lambda n: (self.parts[n][0], self.parts[n][1], n), reverse=True)
        for number in order:
            start, end, text = self.parts[number]
            lines[start:end] = [text]
        return "".join(lines)


@dataclass(frozen=True, slots=True)
class Transplanted:
    """The new file, and what is not certain about it: functions that moved, by the dotted names that they have now."""

    text: str
    doubts: tuple[str, ...]


def transplant(base: str, ours: str, theirs: str, form: Callable[[str], str] = str) -> Transplanted:
    """Make the change from base to ours in theirs.

    Args:
        base, ours, theirs: whole files; base and ours in the layout of theirs.
        form: lays out a statement as theirs is laid out.

    Raises:
        UncertainError: a place is not certain, or what should stand there.
    """
    trees = [merge_tree.parse(text) for text in (base, ours, theirs)]
    if None in trees:
        raise UncertainError("one of the three versions is not Python that can be read")
    b, o, t = (tree for tree in trees if tree)
    mapping = matching.match(b, t)
    added = _added_lines(b, o)
    splices = _Splices(t)
    doubts: set[str] = set()
    names = {node: name for name, node in (*merge_tree.definitions(b), *merge_tree.definitions(t))}
    uncertain: UncertainError | None = None
    for edit in edits(b, o):
        site = edit.owner if isinstance(edit, Gap) else edit.old
        doubts |= {
            f"it is in {names[mapping.of[node]]} now"
            for node in mapping.moved
            if node in names and names[node] != names[mapping.of[node]] and _within(site, node)
        }
        try:
            doubts |= _carry(edit, mapping, splices, o, added, form)
        except ContestedError:
            raise
        except UncertainError as error:  # another edit may be contested
            uncertain = uncertain or error
    if uncertain:
        raise uncertain
    text = splices.result()
    if merge_tree.parse(text) is None:
        raise UncertainError("what the syntax tree suggests is not Python")
    return Transplanted(text, tuple(sorted(doubts)))


def _carry(
    edit: Edit, mapping: Mapping, splices: _Splices, ours: Module, added: frozenset[int], form: Callable[[str], str]
) -> set[str]:
    """Make one edit; return what is doubtful about it."""
    if isinstance(edit, Clause):
        raise UncertainError(f"a clause of the statement at line {edit.old.start + 1} comes or goes")
    if isinstance(edit, Rewrite):
        _rewrite(edit, mapping, splices, ours, form)
    elif not _imports(edit, mapping, splices, form):
        return _gap(edit, mapping, splices, ours, added)
    return set()


def _within(site: Node, node: Node) -> bool:
    return any(site is inner for inner in node.walk())


def _added_lines(base: Module, ours: Module) -> frozenset[int]:
    """Return the lines of ours that base does not have."""
    from difflib import SequenceMatcher

    matcher = SequenceMatcher(None, base.lines, ours.lines, autojunk=False)
    return frozenset(n for tag, _, _, c, d in matcher.get_opcodes() if tag != "equal" for n in range(c, d))


def _head_end(module: Module, node: Node) -> int:
    """Return the line after a statement's head; the whole statement where it has no blocks."""
    first = min((child.start for child in node.children), default=node.end)
    while first > node.start + 1 and module.lines[first - 1].strip()[:1] in ("", "#"):
        first -= 1
    return first


def _rewrite(edit: Rewrite, mapping: Mapping, splices: _Splices, ours: Module, form: Callable[[str], str]) -> None:
    target = mapping.get(edit.old)
    if target is None:
        raise UncertainError(f"the new release has no counterpart of the statement at line {edit.old.start + 1}")
    if bool(target.blocks) != bool(edit.old.blocks) or bool(edit.new.blocks) != bool(edit.old.blocks):
        raise UncertainError("a statement has a block in one version and none in another")
    if target.chained != edit.new.chained:
        raise UncertainError("an `if` became an `elif`")
    theirs = splices.theirs
    same = target.head == edit.old.head if target.blocks else target.dump == edit.old.dump
    end = _head_end(theirs, target)
    text = ours.text(edit.new.start, _head_end(ours, edit.new))
    if not same:
        text = _merged(edit, target, theirs.text(target.start, end), form)
    splices.replace(target.start, end, _indented(text, edit.new.indent, target.indent))


def _merged(edit: Rewrite, target: Node, their_source: str, form: Callable[[str], str]) -> str:
    """Merge a statement that both sides change, expression by expression."""
    tree = merge_trees(*(bare(node) for node in (edit.old, edit.new, target)))
    if "#" in their_source:
        raise MeetingError(f"both change the statement at line {target.start + 1}, which has a comment in it")
    text = form(ast.unparse(ast.fix_missing_locations(tree)) + "\n")
    lines = text.splitlines(keepends=True)[: -1 if edit.old.blocks else None]  # the last one stands for its blocks
    if target.chained:
        lines[0] = f"el{lines[0]}"
    return "".join(" " * edit.new.indent + line for line in lines)


def bare(node: Node) -> ast.AST:
    """Return the syntax tree of a statement with nothing in its blocks."""
    if not node.blocks:
        return node.tree
    tree = copy.copy(node.tree)
    for key in node.blocks:
        setattr(tree, key, [ast.Pass()] if key == "body" else [])
    return tree


def _imports(edit: Gap, mapping: Mapping, splices: _Splices, form: Callable[[str], str]) -> bool:
    """Add imports at module level; their order has no meaning, so any place among the imports is right."""
    new = [node.tree for node in edit.added]
    if edit.removed or edit.owner.kind != "Module" or not all(isinstance(t, ast.Import | ast.ImportFrom) for t in new):
        return False
    their_imports = [n for n in splices.theirs.blocks["body"] if isinstance(n.tree, ast.Import | ast.ImportFrom)]
    if not their_imports or any(isinstance(t, ast.ImportFrom) and t.module == "__future__" for t in new):
        return False
    anchor = mapping.get(edit.before) if edit.before else None
    if anchor is None or anchor not in their_imports:
        after = mapping.get(edit.after) if edit.after else None
        if after is not None and after in their_imports:
            splices.replace(after.start, after.start, _import_text(edit.added, form))
            return True
        anchor = their_imports[-1]
    splices.replace(anchor.end, anchor.end, _import_text(edit.added, form))
    return True


def _import_text(added: Iterable[Node], form: Callable[[str], str]) -> str:
    return form("".join(ast.unparse(node.tree) + "\n" for node in added))


def _gap(edit: Gap, mapping: Mapping, splices: _Splices, ours: Module, added: frozenset[int]) -> set[str]:
    """Put what a gap has in its place; return what is doubtful about it."""
    owner = mapping.get(edit.owner)
    beside = [mapping.get(node) for node in edit.removed or (edit.before, edit.after) if node]
    block = _home(splices.theirs, [node for node in beside if node])
    if owner is None and not block:
        raise UncertainError(f"the new release has no counterpart of the block at line {edit.owner.start + 1}")
    block = block or (owner.blocks.get(edit.block, ()) if owner else ())
    if any(node.chained for node in (*edit.removed, *edit.added, *block)):
        raise UncertainError("an `elif` comes or goes")
    counterparts = [mapping.get(node) for node in edit.removed]
    for old, new in zip(edit.removed, counterparts, strict=True):
        if new is None or new.dump != old.dump:
            raise UncertainError(f"what it removes at line {old.start + 1} has changed in the new release")
    text = _with_comments(edit.added, ours, added)
    if edit.removed:
        kept = [node for node in counterparts if node]
        places = [block.index(node) if node in block else -1 for node in kept]
        if places[0] < 0 or places != list(range(places[0], places[0] + len(kept))):
            raise UncertainError("the new release has other statements between those that it removes")
        if not edit.added and len(kept) == len(block):
            raise UncertainError("it would empty a block")
        text = _indented(text, edit.added[0].indent, kept[0].indent) if edit.added else ""
        splices.replace(kept[0].start, kept[-1].end, text)
        return set()
    between = _between(edit, mapping, block)
    if between is None:
        return set()
    start, end = between
    indent = block[0].indent
    above, below = _beside(edit, ours)
    if start < end and below and not above:
        if not commute(edit.added, block[start:end], calls=True):
            raise ContestedError("the new release has added calls before what the patch adds, and their order matters")
        line = block[end].start if end < len(block) else block[-1].end
    else:
        line = block[start - 1].end if start else block[0].start
    splices.replace(line, line, _indented(text, edit.added[0].indent, indent))
    if start < end and above is below and not commute(edit.added, block[start:end], logs=True):
        return {"the new release has added statements, and a log line may belong before or after them"}
    return set()


def _home(module: Module, nodes: Sequence[Node]) -> Sequence[Node]:
    """Return the block that has all of some statements; an empty one where there is none."""
    blocks = (block for owner in module.walk() for block in owner.blocks.values())
    return next((block for block in blocks if nodes and all(node in block for node in nodes)), ())


def _beside(edit: Gap, ours: Module) -> tuple[bool, bool]:
    """Tell whether what is added stands in one paragraph with the statement before it, and with the one behind it."""
    first, last = edit.added[0].start, edit.added[-1].end
    while first and ours.lines[first - 1].strip().startswith("#"):
        first -= 1
    above = edit.before is None or (first > 0 and bool(ours.lines[first - 1].strip()))
    return above, edit.after is not None and last < len(ours.lines) and bool(ours.lines[last].strip())


def _between(edit: Gap, mapping: Mapping, block: Sequence[Node]) -> tuple[int, int] | None:
    """Return from where to where in a block added statements may stand; None where the release has them already."""
    before = mapping.get(edit.before) if edit.before else None
    after = mapping.get(edit.after) if edit.after else None
    _check_source(edit, before if before in block else None)
    start = block.index(before) + 1 if before in block else None
    end = block.index(after) if after in block else None
    # the very start and end of a function are places of their own; those of another block are so by what stands there
    whole = edit.owner.kind in ("FunctionDef", "AsyncFunctionDef", "ClassDef", "Module")
    if edit.before is None and (whole or end is not None):
        start = 1 if block and _is_docstring(block[0]) else 0
    if edit.after is None and (whole or start is not None):
        end = len(block)
    if start is None and end is None:
        raise UncertainError("both statements around what it adds are gone from the new release")
    if start is None or end is None:
        start = end = start if end is None else end
    if not block or start is None or end is None or start > end:
        raise MeetingError("the statements around what it adds have changed their order")
    between = block[start:end]
    if [node.dump for node in between] == [node.dump for node in edit.added]:
        return None
    if between and not commute(edit.added, between):
        raise ContestedError("the new release has added statements in the same place, and their order matters")
    return start, end


def _is_docstring(node: Node) -> bool:
    tree = node.tree
    return isinstance(tree, ast.Expr) and isinstance(tree.value, ast.Constant) and isinstance(tree.value.value, str)


def _check_source(edit: Gap, before: Node | None) -> None:
    """Refuse where the statement before what is added gives it a value, and is gone or another one now.

    Text merges are clean there and wrong: the added lines land where the value is no longer made.
    """
    if edit.before is None or (
        before is not None and matching.ratio(edit.before.values, before.values) >= _SAME_SOURCE
    ):
        return
    if given := assigns(edit.before.tree) & uses(node.tree for node in edit.added):
        names = ", ".join(sorted(given))
        raise ContestedError(f"the new release makes {names} in another way, just before what the patch adds")


def _with_comments(nodes: Sequence[Node], ours: Module, added: frozenset[int]) -> str:
    """Return statements of ours with the comments and blank lines that came with them."""
    if not nodes:
        return ""
    start, end = nodes[0].start, nodes[-1].end
    while start - 1 in added and ours.lines[start - 1].strip()[:1] in ("", "#"):
        start -= 1
    if start == nodes[0].start:
        while end in added and end < len(ours.lines) and not ours.lines[end].strip():
            end += 1
    return ours.text(start, end)


def _indented(text: str, old: int, new: int) -> str:
    """Move text to another indentation.

    Raises:
        UncertainError: it has a string over several lines, which that would change.
    """
    if old == new or not text:
        return text
    if '"""' in text or "'''" in text:
        raise UncertainError("it would change a string over several lines")
    moved = []
    for line in text.splitlines(keepends=True):
        if line.strip():
            line = " " * new + line[old:] if not line[:old].strip() else line
        moved.append(line)
    return "".join(moved)
