"""Edits by chance of functions that a release changes, and what is right when one is carried to it. Pure.

A right result is the same edit in the new release, where its statement is there once, as it was: so the data set has
no opinion of a merge in it. Edits whose statement is gone or another one are left out.
"""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from webui_fork.merge import tree
from webui_fork.merge.tree import Module, Node

KINDS = ("line before", "line behind", "block before", "constant", "argument", "removed", "wrapped", "condition")
_LINE, _BLOCK = "log.info('by chance')\n", "if by_chance:\n    log.info('by chance')\n"
_TRIES = 30
_ENDS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_FIXED = (ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal)


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit of one statement.

    ``ours`` is the file with it; ``right`` are the programs that carrying it may give: a line that is added may stay
    with the statement before it, or with the one behind it.
    """

    kind: str
    function: str
    line: int
    ours: str
    right: tuple[str, ...]


def edit(chance: random.Random, base: str, theirs: str, form: Callable[[str], str]) -> Edit | None:
    """Make an edit.

    Args:
        chance: where it comes from.
        base, theirs: a file of two releases.
        form: lays a statement out.

    Returns:
        The edit; None where no function is in both and differs, or none of a few tries gave one.
    """
    one, other = tree.parse(base), tree.parse(theirs)
    if one is None or other is None:
        return None
    functions = [
        {name: node for name, node in tree.definitions(side) if node.kind != "ClassDef"} for side in (one, other)
    ]
    changed = sorted(
        name for name in functions[0].keys() & functions[1].keys() if functions[0][name].dump != functions[1][name].dump
    )
    for _ in range(_TRIES if changed else 0):
        name, kind = chance.choice(changed), chance.choice(KINDS)
        old, new = functions[0][name], functions[1][name]
        block, number = chance.choice(list(_places(old)))
        node = block[number]
        if not _takes(kind, node, block, one) or len(_alike(node, old)) != 1 or len(_alike(node, new)) != 1:
            continue
        ours = _edited(one, node, kind, form)
        right = tuple(text for text in _right(other, new, block, number, kind, form) if tree.parse(text))
        if ours != base and tree.parse(ours) and right:
            return Edit(kind, name, node.start + 1, ours, right)
    return None


def is_right(change: Edit, text: str | None) -> bool:
    """Tell whether a result is one of the right ones, whatever its layout."""
    result = tree.parse(text) if text is not None else None
    rights = (tree.parse(right) for right in change.right)
    return result is not None and any(right is not None and right.dump == result.dump for right in rights)


def _places(function: Node) -> Iterator[tuple[Sequence[Node], int]]:
    for owner in (function, *tree.own(function)):
        if owner is function or not owner.name:
            for block in owner.blocks.values():
                yield from ((block, number) for number in range(len(block)))


def _alike(node: Node, function: Node) -> list[Node]:
    """Return the statements of a function that are the same, or have the same head."""
    if node.blocks:
        return [other for other in tree.own(function) if other.blocks and other.head == node.head]
    return [other for other in tree.own(function) if other.dump == node.dump]


def _takes(kind: str, node: Node, block: Sequence[Node], module: Module) -> bool:
    """Tell whether a statement can have an edit of a kind."""
    text = module.text(node.start, node.end)
    is_text = isinstance(node.tree, ast.Expr) and isinstance(node.tree.value, ast.Constant)
    if node.chained or node.name or is_text or '"""' in text or "'''" in text or not isinstance(node.tree, ast.stmt):
        return False
    if kind == "condition":
        return isinstance(node.tree, ast.If)
    if kind in ("line before", "block before"):
        return True
    if node.blocks or isinstance(node.tree, _FIXED) or (kind == "line behind" and isinstance(node.tree, _ENDS)):
        return False
    return kind != "removed" or len(block) > 1


def _edited(module: Module, node: Node, kind: str, form: Callable[[str], str]) -> str:
    """Return a file with an edit of a statement; as it is where the statement has nothing to edit."""
    lines = list(module.lines)
    if kind == "line behind":
        lines[node.end : node.end] = [_deeper(_LINE, node.indent)]
    elif kind in ("line before", "block before"):
        lines[node.start : node.start] = [_deeper(_BLOCK if kind == "block before" else _LINE, node.indent)]
    elif kind == "removed":
        lines[node.start : node.end] = []
    elif kind == "wrapped":
        body = _deeper("".join(lines[node.start : node.end]), 4)
        lines[node.start : node.end] = [f"{' ' * node.indent}if by_chance:\n{body}"]
    elif isinstance(node.tree, ast.If):
        test = ast.unparse(ast.BoolOp(ast.And(), [node.tree.test, ast.Name("by_chance")]))
        first = min(child.start for child in node.children)
        while first > node.start + 1 and lines[first - 1].strip()[:1] in ("", "#"):
            first -= 1
        lines[node.start : first] = [f"{' ' * node.indent}if {test}:\n"]
    elif (changed := _Change(kind).of(node.tree)) is not None:
        lines[node.start : node.end] = [_deeper(form(f"{changed}\n"), node.indent)]
    return "".join(lines)


def _deeper(text: str, count: int) -> str:
    return "".join(f"{' ' * count}{line}" if line.strip() else line for line in text.splitlines(keepends=True))


class _Change(ast.NodeTransformer):
    """Changes the first constant, or gives the first call an argument."""

    def __init__(self, kind: str) -> None:
        self.kind, self.done = kind, False

    def of(self, statement: ast.AST) -> str | None:
        tree = self.visit(copy.deepcopy(statement))
        return ast.unparse(ast.fix_missing_locations(tree)) if self.done else None

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if self.kind == "constant" and not self.done and type(node.value) in (str, int):
            self.done = True
            return ast.Constant(f"{node.value} by chance" if isinstance(node.value, str) else -7)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if self.kind == "argument" and not self.done:
            self.done = True
            node.keywords.insert(0, ast.keyword("by_chance", ast.Constant(True)))
            return node
        return self.generic_visit(node)


def _right(
    theirs: Module, function: Node, block: Sequence[Node], number: int, kind: str, form: Callable[[str], str]
) -> Iterator[str]:
    """Yield the new release with the edit: at the same statement, and of an added line at its other neighbour."""
    (node,) = _alike(block[number], function)
    yield _edited(theirs, node, kind, form)
    step = {"line before": -1, "block before": -1, "line behind": 1}.get(kind, 0)
    if not step or not 0 <= number + step < len(block):
        return
    others = _alike(block[number + step], function)
    siblings = next(inner for inner, place in _places(function) if inner[place] is node)
    if len(others) == 1 and others[0] in siblings:
        lines, (other,) = list(theirs.lines), others
        place = other.start if step > 0 else other.end
        lines[place:place] = [_deeper(_BLOCK if kind == "block before" else _LINE, other.indent)]
        yield "".join(lines)
