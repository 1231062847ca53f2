"""What a patch and a release do to each other where no line of both meets: only a proof can look. Pure.

Source for names and their scopes: Python's language reference, 4.2.2, by the standard library's `symtable`.
"""

from __future__ import annotations

import ast
import symtable
from collections import Counter
from collections.abc import Iterator, Sequence

from webui_fork.merge import guards, matching, transplant, tree
from webui_fork.merge.dataflow import is_log
from webui_fork.merge.matching import Mapping
from webui_fork.merge.tree import Module, Node

_CLAUSES = ("handlers", "cases")  # of which the first that fits is taken
_Parents = dict[Node, tuple[Node, str]]


def doubt(base: Module, ours: Module, theirs: Module, result: Module) -> str:
    """Return why a proof has to run though every line has its place, "" where nothing is known.

    Args:
        base: the file of the old release.
        ours: that with the patch.
        theirs: of the new release.
        result: that with the patch.
    """
    mapping, edits = matching.match(base, theirs), tuple(transplant.edits(base, ours))
    return (
        _under_another_head(edits, mapping, theirs)
        or _behind_other_clauses(edits, mapping, base, theirs)
        or _of_another_scope(base, ours, theirs, result)
    )


def _under_another_head(edits: Sequence[transplant.Edit], mapping: Mapping, theirs: Module) -> str:
    """Name a statement of the release's that comes under a condition, a loop or the like which the patch changes."""
    old = set(mapping.of.values())
    for edit in edits:
        if not isinstance(edit, transplant.Rewrite) or not edit.old.blocks or edit.old.name:
            continue
        counterpart = mapping.get(edit.old)
        for node in counterpart.walk() if counterpart else ():
            if node is not counterpart and node not in old and not is_log(node.tree):
                return f"the new release adds {theirs.lines[node.start].strip()!r} below a head that the patch changes"
    return ""


def _behind_other_clauses(edits: Sequence[transplant.Edit], mapping: Mapping, base: Module, theirs: Module) -> str:
    """Name a change in an `except` or `case` before which the release has other ones: they may take what it is for."""
    before, now = tree.parents(base), tree.parents(theirs)
    for edit in edits:
        site = guards.site_of(edit, mapping)
        counterpart = mapping.get(site) if site else None
        if site and counterpart and _earlier(site, edit, before) != _earlier(counterpart, edit, now):
            return f"the new release has other clauses before {base.lines[site.start].strip()!r}"
    return ""


def _earlier(node: Node, edit: transplant.Edit, parents: _Parents) -> list[list[str]]:
    """Return the heads of the clauses that are tried before each clause around a node, or all where it gets one."""
    heads = []
    if isinstance(edit, transplant.Gap) and edit.block in _CLAUSES and node.blocks.get(edit.block):
        heads.append([clause.head for clause in node.blocks[edit.block]])
    owner: Node | None = node
    while owner is not None and not owner.name and owner.kind != "Module":
        outer, key = parents.get(owner, (None, ""))
        if outer is not None and key in _CLAUSES:
            clauses = outer.blocks[key]
            heads.append([clause.head for clause in clauses[: clauses.index(owner)]])
        owner = outer
    return heads


def _of_another_scope(base: Module, ours: Module, theirs: Module, result: Module) -> str:
    """Name a variable that new code of either side reads or sets, and that is another one in the result."""
    try:
        merged = dict(_scopes(result))
        for side in (ours, theirs):
            scopes, more = dict(_scopes(side)), _more_uses(base, side)
            for function, names in merged.items():
                for name, scope in names.items():
                    was = scopes.get(function, {}).get(name, scope)
                    if was != scope and more.get(function, Counter())[name] > 0:
                        return f"{name!r} in {function} is a {scope} name with both changes, and a {was} one with one"
    except SyntaxError as error:  # `global` behind a use, say
        return f"the names of the result have no scope: {error}"
    return ""


def _more_uses(base: Module, side: Module) -> dict[str, Counter[str]]:
    """Return which names each function uses more often than in the base."""
    uses = _uses(base)
    return {function: names - uses.get(function, Counter()) for function, names in _uses(side).items()}


def _uses(module: Module) -> dict[str, Counter[str]]:
    return {
        name: Counter(part.id for part in ast.walk(node.tree) if isinstance(part, ast.Name))
        for name, node in tree.definitions(module)
    }


def _scopes(module: Module) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each function by its dotted name, with whether its names are local, global or an outer function's.

    Raises:
        SyntaxError: they have no scope.
    """

    def visit(table: symtable.SymbolTable, outer: str) -> Iterator[tuple[str, dict[str, str]]]:
        for inner in table.get_children():
            name = f"{outer}.{inner.get_name()}".removeprefix(".")
            if inner.get_type() == "function":
                yield name, {symbol.get_name(): _scope(symbol) for symbol in inner.get_symbols()}
            yield from visit(inner, name)

    return visit(symtable.symtable("".join(module.lines), "file", "exec"), "")


def _scope(symbol: symtable.Symbol) -> str:
    if symbol.is_free():
        return "free"
    return "local" if symbol.is_local() and not symbol.is_declared_global() else "global"
