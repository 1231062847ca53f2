"""What a statement binds and uses, and whether two groups of statements can stand in either order."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from webui_fork.merge.tree import Node

_LEAVES = (ast.Return, ast.Raise, ast.Assert, ast.Break, ast.Continue, ast.Yield, ast.YieldFrom)

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

_ONE_BY_ONE = ("enumerate", "list", "reversed", "sorted", "tuple")

_LOGS = {"log", "logger", "logging"}
_LEVELS = {"critical", "debug", "error", "exception", "fatal", "info", "log", "success", "trace", "warn", "warning"}


def is_log(tree: ast.AST) -> bool:
    """Tell whether a statement only writes a log line."""
    return isinstance(tree, ast.Expr) and _is_log_call(tree.value)


def _is_log_call(part: ast.AST) -> bool:
    if not isinstance(part, ast.Call):
        return False
    name = ast.unparse(part.func)  # `logger.remove()` and the like say where lines go
    return name == "print" or (name.partition(".")[0] in _LOGS and name.rpartition(".")[2] in _LEVELS)


def takes_same_values(new: ast.For | ast.AsyncFor, old: ast.For | ast.AsyncFor) -> bool:
    """Tell whether a loop has the values of another under the same names: numbered, sorted or copied, but no others."""
    target, values = new.target, new.iter
    if isinstance(values, ast.Call) and values.args and ast.dump(values) != ast.dump(old.iter):
        function = ast.unparse(values.func)
        if function in _ONE_BY_ONE:
            values = values.args[0]
        if function == "enumerate" and isinstance(target, ast.Tuple):
            target = target.elts[-1]
    return (ast.dump(values), ast.dump(target)) == (ast.dump(old.iter), ast.dump(old.target))


def commute(one: Iterable[Node], other: Iterable[Node], *, calls: bool = False, logs: bool = False) -> bool:
    """Tell whether two groups of statements can stand in either order.

    They can when neither leaves the block (return, raise, …), and neither binds a name that the other uses.

    Args:
        one, other: the groups.
        calls: whether the order of calls counts: what they do, no name shows.
        logs: whether it counts before what else a line of a log is written.
    """
    left, right = ([node.tree for node in group] for group in (one, other))
    if any(isinstance(part, _LEAVES) for tree in (*left, *right) for part in _walk(tree)):
        return False
    if any(isinstance(part, ast.Global | ast.Nonlocal) for tree in (*left, *right) for part in ast.walk(tree)):
        return False
    if calls and all(any(_acts(part) for tree in side for part in ast.walk(tree)) for side in (left, right)):
        return False
    if logs and any(_logs(side) and not all(map(is_log, rest)) for side, rest in ((left, right), (right, left))):
        return False
    return not (binds(left) & (binds(right) | uses(right)) or binds(right) & uses(left))


def _acts(part: ast.AST) -> bool:
    if isinstance(part, ast.Attribute | ast.Subscript):  # others may read it
        return not isinstance(part.ctx, ast.Load)
    return isinstance(part, ast.Await | ast.Delete) or (isinstance(part, ast.Call) and not _is_log_call(part))


def _logs(side: Iterable[ast.AST]) -> bool:
    return any(_is_log_call(part) for tree in side for part in ast.walk(tree))


def binds(trees: Iterable[ast.AST]) -> set[str]:
    """Return the names that statements bind; what may change an object (`x.y = …`, `x.append(…)`) binds its name.

    A function that they define may be called by them: what it binds counts, but for its own names.
    """
    names: set[str] = set()
    for part in (part for tree in trees for part in _walk(tree)):
        if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
            names.add(part.id)
        elif isinstance(part, ast.Attribute | ast.Subscript) and not isinstance(part.ctx, ast.Load):
            names |= _root(part)
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
            names |= _root(part.func) - _LOGS
        elif isinstance(part, ast.alias):
            names.add((part.asname or part.name).partition(".")[0])
        elif isinstance(part, ast.MatchAs | ast.MatchStar | ast.ExceptHandler) and part.name:
            names.add(part.name)
        elif isinstance(part, ast.MatchMapping) and part.rest:
            names.add(part.rest)
        if isinstance(part, _DEFINITIONS):
            names.add(part.name)
        if isinstance(part, _FUNCTIONS):
            names |= binds(_body(part)) - _own(part)
    return names


def _walk(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of a statement that run where it stands: not what is in a function that it defines."""
    yield tree
    for key, value in ast.iter_fields(tree):
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST) and not (key == "body" and isinstance(tree, _FUNCTIONS)):
                yield from _walk(part)


def _body(function: ast.AST) -> list[ast.AST]:
    body = getattr(function, "body", [])
    return body if isinstance(body, list) else [body]


def _own(function: ast.AST) -> set[str]:
    """Return the names that are a function's own: its arguments, and what it gives a value."""
    arguments = {part.arg for part in ast.walk(getattr(function, "args", function)) if isinstance(part, ast.arg)}
    return arguments.union(*map(assigns, _body(function)))


def assigns(tree: ast.AST) -> set[str]:
    """Return the names that a statement gives a value, at any depth of it; those of a comprehension are its own."""
    if isinstance(tree, _DEFINITIONS):
        return {tree.name}
    parts = list(_walk(tree))
    inner = {part for one in parts if isinstance(one, ast.comprehension) for part in ast.walk(one.target)}
    names = (part for part in parts if isinstance(part, ast.Name) and part not in inner)
    return {name.id for name in names if isinstance(name.ctx, ast.Store)}


def uses(trees: Iterable[ast.AST]) -> set[str]:
    """Return the names that statements read; of a function that they define, those that are not its own."""
    names: set[str] = set()
    for part in (part for tree in trees for part in _walk(tree)):
        if isinstance(part, _FUNCTIONS):
            names |= uses(_body(part)) - _own(part)
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
            names.add(part.id)
    return names


def _root(part: ast.expr) -> set[str]:
    while isinstance(part, ast.Attribute | ast.Subscript):
        part = part.value
    return {part.id} if isinstance(part, ast.Name) else set()
