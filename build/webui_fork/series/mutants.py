"""Make small faults in lines of Python, one at a time, for a proof to notice.

The operators are those of mutation testing (DeMillo, Lipton and Sayward, "Hints on Test Data Selection", 1978): a
condition negated, `and` for `or`, a statement removed, a constant changed, arguments swapped, a keyword left out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

_REMOVED = (ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Raise, ast.Return, ast.Delete, ast.Break)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: its line (1 is the first) and that line's text, its kind, what stood there and what stands now."""

    line: int
    source: str
    kind: str
    before: str
    after: str
    text: str

    @property
    def name(self) -> str:
        """What it is called in reports and in the file of known survivors."""
        return f"{self.kind}: {_short(self.before)} -> {_short(self.after)}"


def _short(text: str) -> str:
    return " ".join(text.split())[:80]


def mutants(text: str, lines: frozenset[int]) -> list[Mutant]:
    """Return every mutant of a module in some of its lines, in the order of the lines.

    Args:
        text: the module.
        lines: the numbers of the lines that may change.

    Raises:
        SyntaxError: it is no Python.
    """
    offsets = [0]
    for line in text.encode().splitlines(keepends=True):
        offsets.append(offsets[-1] + len(line))
    data = text.encode()
    tree = ast.parse(text)
    rows = text.splitlines()
    by_text: dict[str, Mutant] = {}
    for node, kind, after in _faults(tree, _Words(data, offsets)):
        if node.lineno not in lines:
            continue
        start, end = (offsets[row - 1] + column for row, column in _span(node))
        changed = (data[:start] + after.encode() + data[end:]).decode()
        if changed != text and _compiles(changed):
            source, before = rows[node.lineno - 1].strip(), data[start:end].decode()
            by_text.setdefault(changed, Mutant(node.lineno, source, kind, before, after, changed))
    return sorted(by_text.values(), key=lambda mutant: (mutant.line, mutant.kind))


def _span(node: ast.expr | ast.stmt) -> tuple[tuple[int, int], tuple[int, int]]:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


def _compiles(text: str) -> bool:
    try:
        compile(text, "mutant", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Words:
    """The source, from which a node's own text is taken."""

    data: bytes
    offsets: list[int]

    def of(self, node: ast.expr | ast.stmt) -> str:
        start, end = (self.offsets[row - 1] + column for row, column in _span(node))
        return self.data[start:end].decode()


_Fault = tuple[ast.expr | ast.stmt, str, str]


def _faults(tree: ast.Module, words: _Words) -> Iterator[_Fault]:
    silent = _not_behaviour(tree)
    for node in ast.walk(tree):
        if id(node) in silent:
            continue
        if isinstance(node, (ast.If, ast.IfExp, ast.While)):
            yield node.test, "negated condition", f"not ({words.of(node.test)})"
        if isinstance(node, ast.comprehension):
            for test in node.ifs:
                yield test, "negated condition", f"not ({words.of(test)})"
        if isinstance(node, ast.BoolOp):
            joint = " or " if isinstance(node.op, ast.And) else " and "
            yield node, "other operator", "(" + joint.join(f"({words.of(value)})" for value in node.values) + ")"
        if isinstance(node, _REMOVED):
            yield node, "removed statement", "pass"
        if isinstance(node, ast.Constant):
            yield from _constants(node)
        if isinstance(node, ast.Call):
            yield from _calls(node, words)


def _not_behaviour(tree: ast.Module) -> set[int]:
    """Return the nodes nobody can notice: docstrings, annotations, f-strings' parts, what is only logged."""
    silent: set[int] = set()

    def hide(node: ast.AST | None) -> None:
        if node is not None:
            silent.update(id(inner) for inner in ast.walk(node))

    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and (isinstance(node.value, ast.Constant) or _logs(node.value)):
            hide(node)
        elif isinstance(node, ast.AnnAssign):
            hide(node.annotation)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            hide(node.returns)
            if isinstance(last := node.body[-1], ast.Return) and (not last.value or ast.unparse(last.value) == "None"):
                hide(last)
            for argument in (*node.args.args, *node.args.kwonlyargs):
                hide(argument.annotation)
        elif isinstance(node, ast.JoinedStr):
            silent.update(id(value) for value in node.values if isinstance(value, ast.Constant))
    return silent


def _logs(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "log"
    )


def _constants(node: ast.Constant) -> Iterator[_Fault]:
    value = node.value
    if isinstance(value, bool):
        yield node, "changed constant", str(not value)
    elif isinstance(value, (int, float)):
        yield node, "changed constant", repr(value + 1)
    elif isinstance(value, str) and value:
        yield node, "changed constant", repr(value + "x")


def _calls(node: ast.Call, words: _Words) -> Iterator[_Fault]:
    parts = [words.of(argument) for argument in node.args]
    named = [f"{'**' if one.arg is None else one.arg + '='}{words.of(one.value)}" for one in node.keywords]
    function = words.of(node.func)
    ordered = len(parts) >= 2 and function not in ("max", "min")
    if ordered and not any(isinstance(argument, ast.Starred) for argument in node.args[:2]):
        swapped = [parts[1], parts[0], *parts[2:]]
        yield node, "swapped arguments", f"{function}({', '.join([*swapped, *named])})"
    for number in range(len(named)):
        rest = [*parts, *named[:number], *named[number + 1 :]]
        yield node, "left-out keyword", f"{function}({', '.join(rest)})"
