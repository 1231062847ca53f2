"""The imports that a change adds or edits, as a set: their order has no meaning, but merges of lines trip over it.

Pure. They are taken out of a change before it is merged, and put back into the result.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from webui_fork.merge import tree
from webui_fork.merge.tree import Module, Node


@dataclass(frozen=True, slots=True)
class Added:
    """A whole import: its text, and what the import before it imports from."""

    text: str
    behind: str


@dataclass(frozen=True, slots=True)
class Edited:
    """A `from … import` whose names change; each added one with the name before it."""

    origin: str
    added: tuple[tuple[str, str], ...]
    removed: tuple[str, ...]


Change = Added | Edited


def origin(node: Node) -> str:
    """Return what an import imports from; "" for other statements."""
    if isinstance(node.tree, ast.ImportFrom):
        return "from " + "." * node.tree.level + (node.tree.module or "")
    return ast.unparse(node.tree) if isinstance(node.tree, ast.Import) else ""


def key(node: Node) -> str:
    """Return what makes two imports the same, whatever the order of their names."""
    assert isinstance(node.tree, ast.Import | ast.ImportFrom)
    return f"{origin(node)} {sorted(_names(node))}"


def _names(node: Node) -> list[str]:
    assert isinstance(node.tree, ast.Import | ast.ImportFrom)
    return [ast.unparse(alias) for alias in node.tree.names]


def _froms(module: Module) -> dict[str, list[Node]]:
    nodes_by_module: dict[str, list[Node]] = {}
    for node in module.blocks["body"]:
        if isinstance(node.tree, ast.ImportFrom):
            nodes_by_module.setdefault(origin(node), []).append(node)
    return nodes_by_module


def without(base: str, ours: str) -> tuple[str, list[Change]]:
    """Take the imports that ours adds or edits at its top level out of it; return it, and them."""
    one, two = tree.parse(base), tree.parse(ours)
    if one is None or two is None:
        return ours, []
    keys = {key(node) for node in one.blocks["body"] if origin(node)}
    before, after = _froms(one), _froms(two)
    lines, changes, behind = list(two.lines), list[Change](), ""
    splices: list[tuple[Node, str]] = []
    for node in two.blocks["body"]:
        where = origin(node)
        if where and key(node) not in keys:
            if where not in before:
                changes.append(Added(two.text(node.start, node.end), behind))
                splices.append((node, ""))
            elif len(before[where]) == len(after[where]) == 1:
                changes.append(_edited(before[where][0], node))
                splices.append((node, one.text(before[where][0].start, before[where][0].end)))
        behind = where
    for node, text in reversed(splices):
        lines[node.start : node.end] = [text]
    return "".join(lines), changes


def _edited(old: Node, new: Node) -> Edited:
    was, names = _names(old), _names(new)
    added = tuple((name, names[number - 1] if number else "") for number, name in enumerate(names) if name not in was)
    return Edited(origin(new), added, tuple(name for name in was if name not in names))


def put_back(text: str, changes: list[Change]) -> str | None:
    """Put imports into a file; None where it has no place for one of them.

    A whole import goes behind the one it stood behind, else behind the imports that the file begins with.
    """
    for change in changes:
        module = tree.parse(text)
        changed = None
        if module is not None:
            changed = _add(module, change) if isinstance(change, Added) else _edit(module, change)
        if changed is None:
            return None
        text = changed
    return text


def _add(module: Module, change: Added) -> str | None:
    last, place = 0, 0
    for number, node in enumerate(module.blocks["body"]):
        if not origin(node) and not (number == 0 and node.kind == "Expr"):
            break
        last = node.end
        place = node.end if change.behind and origin(node) == change.behind else place
    lines = list(module.lines)
    lines.insert(place or last, change.text)
    return "".join(lines) if last else None


def _edit(module: Module, change: Edited) -> str | None:
    nodes = _froms(module).get(change.origin, [])
    if len(nodes) != 1 or "#" in module.text(nodes[0].start, nodes[0].end):
        return None
    (node,) = nodes
    names = _names(node)
    if not set(change.removed) <= set(names):
        return None
    names = [name for name in names if name not in change.removed]
    for name, behind in change.added:
        if name not in names:
            names.insert(names.index(behind) + 1 if behind in names else len(names) if behind else 0, name)
    lines = list(module.lines)
    lines[node.start : node.end] = [f"{change.origin} import {', '.join(names)}\n"] if names else []
    return "".join(lines)
