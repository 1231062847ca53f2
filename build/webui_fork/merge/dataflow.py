"""What a statement binds and uses, and whether two groups of statements can stand in either order."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from webui_fork.merge.tree import Node

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
    names: set[str] = set()
    for part in (part for tree in trees for part in ast.walk(tree)):
        if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
            names.add(part.id)
        elif isinstance(part, ast.Attribute | ast.Subscript) and not isinstance(part.ctx, ast.Load):
            names |= _root(part)
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
            names |= _root(part.func) - _LOGS
        elif isinstance(part, _DEFINITIONS):
            names.add(part.name)
        elif isinstance(part, ast.alias):
            names.add((part.asname or part.name).partition(".")[0])
        elif isinstance(part, ast.MatchAs | ast.MatchStar | ast.ExceptHandler) and part.name:
            names.add(part.name)
        elif isinstance(part, ast.MatchMapping) and part.rest:
            names.add(part.rest)
    return names


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
