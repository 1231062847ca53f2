"""Syntax trees that two sides change: merge them field by field, or tell whether their order matters. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from webui_fork import syntax
from webui_fork.syntax import Node


class UncertainError(Exception):
    """The place of an edit, or what it should become, is not certain; the message says why."""


class ContestedError(UncertainError):
    """Both sides add statements in one place, and their order matters: no merge can know it, however clean."""


def merge_trees(base: ast.AST, ours: ast.AST, theirs: ast.AST) -> ast.AST:
    """Merge three versions of an expression or a simple statement, field by field.

    Raises:
        UncertainError: both change the same part in different ways.
    """
    one, two, three = (ast.dump(tree) for tree in (base, ours, theirs))
    if one == two or two == three:
        return theirs
    if one == three:
        return ours
    if not type(base) is type(ours) is type(theirs):
        raise UncertainError("both change one expression in different ways")
    if isinstance(base, ast.Dict):  # its keys and values are two lists that only belong together by their order
        raise UncertainError("both change one dictionary")
    fields = {key: _merge_values(getattr(base, key), getattr(ours, key), getattr(theirs, key)) for key in base._fields}
    return type(base)(**fields)


def _merge_values(base: object, ours: object, theirs: object) -> object:
    if isinstance(base, ast.AST) and isinstance(ours, ast.AST) and isinstance(theirs, ast.AST):
        return merge_trees(base, ours, theirs)
    if isinstance(base, list) and isinstance(ours, list) and isinstance(theirs, list):
        return _merge_lists(base, ours, theirs)
    one, two, three = (syntax.dump(value) for value in (base, ours, theirs))
    if one == two or two == three:
        return theirs
    if one == three:
        return ours
    raise UncertainError("both change one value in different ways")


def _merge_lists(base: list[ast.AST], ours: list[ast.AST], theirs: list[ast.AST]) -> Sequence[object]:
    if len(base) == len(ours) == len(theirs):
        return [_merge_values(*three) for three in zip(base, ours, theirs, strict=True)]
    from merge3 import Merge3

    if all(isinstance(item, ast.alias) for items in (base, ours, theirs) for item in items):
        return _merge_names(base, ours, theirs)
    one, two, three = ([syntax.dump(item) for item in items] for items in (base, ours, theirs))
    values = {syntax.dump(item): item for items in (base, ours, theirs) for item in items}
    merged: list[object] = []
    for group in Merge3(one, two, three).merge_groups():
        if group[0] == "conflict":
            raise UncertainError("both change one list in different ways")
        merged += [values[key] for key in group[1]]
    return merged


def _merge_names(base: list[ast.AST], ours: list[ast.AST], theirs: list[ast.AST]) -> Sequence[object]:
    """Merge what a statement imports: a set, whose order has no meaning."""
    was, is_now, there = ({syntax.dump(item) for item in items} for items in (base, ours, theirs))
    if not (was - is_now) <= there:
        raise UncertainError("both change one import")
    kept = [item for item in theirs if syntax.dump(item) not in was - is_now]
    return kept + [item for item in ours if syntax.dump(item) not in was | there]


_LEAVES = (ast.Return, ast.Raise, ast.Break, ast.Continue, ast.Yield, ast.YieldFrom, ast.Global, ast.Nonlocal)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_LOGS = {"log", "logger", "logging"}


def commute(one: Iterable[Node], other: Iterable[Node]) -> bool:
    """Tell whether two groups of statements can stand in either order.

    They can when neither leaves the block (return, raise, …), and neither binds a name that the other uses.
    """
    left, right = ([node.tree for node in group] for group in (one, other))
    plain = [tree for tree in (*left, *right) if not isinstance(tree, _DEFINITIONS)]
    if any(isinstance(part, _LEAVES) for tree in plain for part in ast.walk(tree)):
        return False
    return not (binds(left) & (binds(right) | uses(right)) or binds(right) & uses(left))


def binds(trees: Iterable[ast.AST]) -> set[str]:
    """Return the names that statements bind; what may change an object (`x.y = …`, `x.append(…)`) binds its name."""
    found: set[str] = set()
    for part in (part for tree in trees for part in ast.walk(tree)):
        if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
            found.add(part.id)
        elif isinstance(part, ast.Attribute | ast.Subscript) and not isinstance(part.ctx, ast.Load):
            found |= _root(part)
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
            found |= _root(part.func) - _LOGS
        elif isinstance(part, _DEFINITIONS):
            found.add(part.name)
        elif isinstance(part, ast.alias):
            found.add((part.asname or part.name).partition(".")[0])
        elif isinstance(part, ast.MatchAs | ast.MatchStar | ast.ExceptHandler) and part.name:
            found.add(part.name)
        elif isinstance(part, ast.MatchMapping) and part.rest:
            found.add(part.rest)
    return found


def assigns(tree: ast.AST) -> set[str]:
    """Return the names that a statement gives a value, at any depth of it; those of a comprehension are its own."""
    parts = list(ast.walk(tree))
    inner = {part for one in parts if isinstance(one, ast.comprehension) for part in ast.walk(one.target)}
    names = (part for part in parts if isinstance(part, ast.Name) and part not in inner)
    return {name.id for name in names if isinstance(name.ctx, ast.Store)}


def uses(trees: Iterable[ast.AST]) -> set[str]:
    """Return the names that statements read."""
    names = (part for tree in trees for part in ast.walk(tree) if isinstance(part, ast.Name))
    return {name.id for name in names if isinstance(name.ctx, ast.Load)}


def _root(part: ast.expr) -> set[str]:
    while isinstance(part, ast.Attribute | ast.Subscript):
        part = part.value
    return {part.id} if isinstance(part, ast.Name) else set()
