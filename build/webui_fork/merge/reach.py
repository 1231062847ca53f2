"""What a patch and a release do to each other where no line of both meets: only a proof can look. Pure.

Source for names and their scopes: Python's language reference, 4.2.2, by the standard library's `symtable`.
"""

from __future__ import annotations

import ast
import symtable
from collections import Counter
from collections.abc import Iterable, Iterator

from webui_fork.merge import expressions, guards, imports, transplant, tree
from webui_fork.merge.change import Change
from webui_fork.merge.dataflow import assigns, uses
from webui_fork.merge.transplant import Edit, Gap, Rewrite
from webui_fork.merge.tree import Module, Node, Parents

_CLAUSES = ("handlers", "cases")  # of which the first that fits is taken


def doubt(base: Module, ours: Module, theirs: Module, result: Module) -> str:
    """Return why a proof has to run though every line has its place, "" where nothing is known.

    Args:
        base: the file of the old release.
        ours: that with the patch.
        theirs: of the new release.
        result: that with the patch.
    """
    change = Change(base, ours, theirs)
    return (
        _in_one_expression(change)
        or _beside_another_value(change)
        or _under_another_head(change)
        or _under_other_arguments(change)
        or _behind_other_clauses(change)
        or _caught(change)
        or _bound_by_both(change)
        or _of_another_import(change)
        or _of_another_scope(change, result)
    )


def _in_one_expression(change: Change) -> str:
    """Name a statement of which both change parts that are worth something only together."""
    for place in change.places:
        target = None if place.is_gap else change.mapping.get(place.removed[0])
        if target and expressions.meet(place.parts(False)[0], place.parts(True)[0], transplant.bare(target)):
            return f"both change {change.line(target)!r}, in parts that belong together"
    return ""


def _beside_another_value(change: Change) -> str:
    """Name a value that one side makes in another way, and the other uses in the statement behind it."""
    for place in change.places:
        added, removed = place.parts(True), place.parts(False)
        if any(node.name for node in place.added):
            continue
        read = uses(added) - uses(removed if place.is_gap else ())
        given = _assigned(added) - _assigned(removed if place.is_gap else ())
        if names := read & _changed(place.before, change)[0] or given & _changed(place.behind, change)[1]:
            return f"one side changes {min(names)}, and the other what uses it, in the next statement"
    return ""


def _assigned(trees: Iterable[ast.AST]) -> set[str]:
    return {name for tree in trees for name in assigns(tree)}


def _changed(node: Node | None, change: Change) -> tuple[set[str], set[str]]:
    """Return the names that a statement of the base assigns, and those it reads, if the release changed it."""
    target = change.mapping.get(node) if node else None
    if node is None or node.name or (target and target.head == node.head):
        return set(), set()
    trees = [transplant.bare(one) for one in (node, target) if one]
    return _assigned(trees), uses(trees) if target else set()


def _under_another_head(change: Change) -> str:
    """Name what the release adds or changes under a condition, a loop or the like which the patch changes.

    Of a function's head, the decorators and arguments that it had count; new ones do not. Under it, a changed
    statement counts if it returns; under a condition, if it uses more of what the condition is about.
    """
    for edit in change.edits:
        if not isinstance(edit, Rewrite) or not edit.old.blocks or (edit.old.name and _keeps_head(edit)):
            continue
        about = uses(map(transplant.bare, (edit.old, edit.new)))
        for was, node in change.below(edit.old):
            if edit.old.name and (was is None or isinstance(node.tree, ast.Return)):
                return f"the new release has {change.line(node)!r} in a function whose head the patch changes"
            if not edit.old.name and (
                was is None or uses([transplant.bare(node)]) - uses([transplant.bare(was)]) & about
            ):
                return f"the new release has {change.line(node)!r} below a head that the patch changes"
    return ""


def _keeps_head(edit: Rewrite) -> bool:
    """Tell whether a function keeps its arguments and decorators, and gets no cache; a class's head may change."""
    if edit.old.kind != edit.new.kind or edit.old.kind == "ClassDef":
        return edit.old.kind == edit.new.kind
    was, now = ([ast.dump(part) for part in getattr(node.tree, "decorator_list", [])] for node in (edit.old, edit.new))
    cached = any("cache" in decorator.lower() for decorator in set(now) - set(was))  # what the release adds, too
    return not cached and set(was) <= set(now) and _arguments(edit.old).items() <= _arguments(edit.new).items()


def _arguments(node: Node) -> dict[str, str]:
    """Return the arguments of a function, with what is said of their types and what they are by default."""
    given = getattr(node.tree, "args", None)
    if not isinstance(given, ast.arguments):
        return {}
    named = [*given.posonlyargs, *given.args]
    defaults = [*[None] * (len(named) - len(given.defaults)), *given.defaults, *given.kw_defaults]
    pairs = zip([*named, *given.kwonlyargs], defaults, strict=True)
    return {arg.arg: f"{tree.dump(arg.annotation)} = {tree.dump(default)}" for arg, default in pairs}


def _under_other_arguments(change: Change) -> str:
    """Name an argument that is another one in the new release, and that the patch has new uses of."""
    for name, node in tree.definitions(change.base):
        target = change.mapping.get(node)
        if target is None or target.head == node.head:
            continue
        was, now = _arguments(node), _arguments(target)
        others = {arg for arg in was if arg in now and was[arg] != now[arg]}
        more = change.more_uses[0].get(name, Counter())
        if names := others & more.keys():
            return f"the argument {min(names)} of {name} is another one in the new release"
    return ""


def _behind_other_clauses(change: Change) -> str:
    """Name a change in an `except` or `case` before which the release has other ones: they may take what it is for."""
    before, now = change.parents
    for edit in change.edits:
        site = guards.site_of(edit, change.mapping)
        counterpart = change.mapping.get(site) if site else None
        if site and counterpart and _earlier(site, edit, before) != _earlier(counterpart, edit, now):
            return f"the new release has other clauses before {change.base.lines[site.start].strip()!r}"
    return ""


def _earlier(node: Node, edit: Edit, parents: Parents) -> list[list[str]]:
    """Return the heads of the clauses that are tried before each clause around a node, or all where it gets one."""
    heads = []
    if isinstance(edit, Gap) and edit.block in _CLAUSES and node.blocks.get(edit.block):
        heads.append([clause.head for clause in node.blocks[edit.block]])
    around = list(tree.outward(*parents[node], parents)) if node in parents else []
    for clause, (owner, key) in zip([node, *(owner for owner, _ in around)], around, strict=False):
        if key in _CLAUSES:
            clauses = owner.blocks[key]
            heads.append([one.head for one in clauses[: clauses.index(clause)]])
    return heads


def _caught(change: Change) -> str:
    """Name what one side raises in a `try` whose `except` clauses the other changes: it may never get out."""
    for place in change.places:
        for owner, key in tree.outward(place.owner, place.block, change.parents[0]):
            target = change.mapping.get(owner)
            if target is None or not isinstance(owner.tree, ast.Try):
                continue
            heads = [[clause.head for clause in node.blocks.get("handlers", ())] for node in (owner, target)]
            if key == "body" and heads[0] != heads[1] and place.is_gap and any(map(_raises, place.added)):
                return f"the new release has other `except` clauses at line {target.start + 1}, and the patch raises"
            if owner is place.owner and key == "handlers":
                tried = {inner for node in target.blocks["body"] for inner in node.walk()}
                raising = (node for was, node in change.below(owner) if was is None and node in tried and _raises(node))
                if node := next(raising, None):
                    return f"the new release adds {change.line(node)!r} where the patch changes an `except` clause"
    return ""


def _raises(node: Node) -> bool:
    return any(isinstance(part, ast.Raise) for part in ast.walk(node.tree))


def _bound_by_both(change: Change) -> str:
    """Name a variable of a function that is new with each side, and not an assignment of both.

    Two assignments are a conflict already (guards.contests), and two loops each have their own.
    """
    sides = [dict(tree.definitions(side)) for side in (change.base, change.ours, change.theirs)]
    for name in sides[0].keys() & sides[1].keys() & sides[2].keys():
        if sides[0][name].dump in (sides[1][name].dump, sides[2][name].dump):
            continue
        was, mine, other = (_bound(side[name]) for side in sides)
        new = [side.keys() - was.keys() for side in (mine, other)]
        if names := {one for one in new[0] & new[1] if not mine[one] & other[one]}:
            return f"both give {min(names)} a value in {name}"
    return ""


def _bound(node: Node) -> dict[str, set[str]]:
    """Return how each name of a function gets its values: as an argument, in a head of a block, in a statement."""
    kinds: dict[str, set[str]] = {name: {"argument"} for name in _arguments(node)}
    for inner in tree.own(node):
        for name in () if inner.name else assigns(transplant.bare(inner)):
            kinds.setdefault(name, set()).add("head" if inner.blocks else "statement")
    return kinds


def _of_another_import(change: Change) -> str:
    """Name what one side imports from elsewhere under the same name, and the other has new uses of."""
    was, mine, other = map(_imported, (change.base, change.ours, change.theirs))
    for names, more in ((mine, change.more_uses[1]), (other, change.more_uses[0])):
        others = {name for name in names if name in was and names[name] != was[name]}
        if used := others & {name for uses in more.values() for name in uses}:
            return f"{min(used)} is imported from elsewhere with one change, and used by the other"
    return ""


def _imported(module: Module) -> dict[str, str]:
    """Return where the names that a module imports at its top level come from."""
    names = {}
    for node in module.blocks["body"]:
        if isinstance(node.tree, ast.Import | ast.ImportFrom):
            origin = imports.origin(node) if isinstance(node.tree, ast.ImportFrom) else ""
            for alias in node.tree.names:
                names[alias.asname or alias.name.partition(".")[0]] = f"{origin} {alias.name}"
    return names


def _of_another_scope(change: Change, result: Module) -> str:
    """Name a variable that new code of either side reads or sets, and that is another one in the result."""
    try:
        merged = dict(_scopes(result))
        for side, more in zip((change.ours, change.theirs), change.more_uses, strict=True):
            scopes = dict(_scopes(side))
            for function, names in merged.items():
                for name, scope in names.items():
                    was = scopes.get(function, {}).get(name, scope)
                    if was != scope and more.get(function, Counter())[name] > 0:
                        return f"{name!r} in {function} is a {scope} name with both changes, and a {was} one with one"
    except SyntaxError as error:  # `global` behind a use, say
        return f"the names of the result have no scope: {error}"
    return ""


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
