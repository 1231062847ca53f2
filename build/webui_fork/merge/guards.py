"""Is a merged file right? Checks that look at the four versions of it: base, ours, theirs, result. Pure.

They can only doubt. A doubt is a conflict: a wrong merge that nobody sees is worse than any number of conflicts.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from webui_fork.merge import imports, transplant, tree
from webui_fork.merge.dataflow import assigns
from webui_fork.merge.tree import Module, Node

LIKE = 0.8  # a new statement of the same function that shares this much with one the patch changes looks like it
LIKE_ELSEWHERE = 0.93  # one of another function, or like a neighbour of what the patch adds: by chance more often
_VALUE = "a value of "
_SMALL = 12  # tokens: smaller statements look like each other by chance

Delta = dict[tuple[str, ...], int]


def delta(old: str, new: str, *, scoped: bool = True) -> Delta:
    """Return what a change adds (+) and removes (-): how often, for each place and line (stripped).

    Args:
        scoped: a place is the function, and the heads of all blocks in it around the line; without, a file is one
            place, as one that is not Python.
    """
    counts: Counter[tuple[str, ...]] = Counter()
    for text, sign in ((new, 1), (old, -1)):
        lines = text.split("\n")
        module = tree.parse(text) if scoped else None
        places = _places(module, len(lines)) if module else [()] * len(lines)
        for place, line in zip(places, lines, strict=True):
            if line.strip():
                counts[(*place, line.strip())] += sign
    return {key: count for key, count in counts.items() if count}


def _places(module: Module, count: int) -> list[tuple[str, ...]]:
    """Return for each line the functions and the heads of the blocks that it is in."""
    places: list[tuple[str, ...]] = [()] * count

    def visit(node: Node, place: tuple[str, ...]) -> None:
        for key, block in node.blocks.items():
            inner = (*place, node.name or f"{node.head} {key}") if node is not module else place
            # what stands between the blocks of a statement (an `else:`, comments) counts with the block below it
            first = block[0].start
            while first > node.start + 1 and not places[first - 1][len(place) :] and not _is_in(block, first - 1):
                if module.lines[first - 1].strip()[:1] not in ("", "#") and not _is_clause(module.lines[first - 1]):
                    break
                first -= 1
            places[first : block[-1].end] = [inner] * (block[-1].end - first)
            for child in block:
                visit(child, inner)

    visit(module, ())
    return places


def _is_in(block: Sequence[Node], line: int) -> bool:
    return any(node.start <= line < node.end for node in block)


def _is_clause(line: str) -> bool:
    return line.strip().startswith(("else:", "finally:", "except", "elif"))


def scopes_of(old: str, new: str) -> set[str]:
    """Return the dotted names of the functions that a change touches ("" for the module)."""
    counts: Counter[tuple[str, str]] = Counter()
    for text, sign in ((new, 1), (old, -1)):
        module = tree.parse(text)
        for scope, line in zip(tree.scopes(module) if module else (), text.split("\n"), strict=False):
            counts[scope, line.strip()] += sign
    return {scope for (scope, _), count in counts.items() if count}


def same_change(base: str, ours: str, theirs: str, result: str, *, scoped: bool = True) -> bool:
    """Tell whether theirs to result adds and removes the very lines, in the same blocks, that base to ours does."""
    return delta(base, ours, scoped=scoped) == delta(theirs, result, scoped=scoped)


def same_tree(one: str, other: str) -> bool:
    """Tell whether two files are the same program, whatever their layout and the order of their imports."""
    left, right = tree.parse(one), tree.parse(other)
    if left is None or right is None:
        return False
    sides = [left.blocks["body"], right.blocks["body"]]
    loaded = [sorted(imports.key(node) for node in side if _is_import(node)) for side in sides]
    rest = [[node.dump for node in side if not _is_import(node)] for side in sides]
    return loaded[0] == loaded[1] and rest[0] == rest[1]


@dataclass(frozen=True, slots=True)
class _Site:
    """A statement that says where the patch changes something: itself ``changed``, or a neighbour of an addition."""

    node: Node
    home: str
    changed: bool


def _homes(module: Module) -> dict[Node, str]:
    return {inner: name for name, node in tree.definitions(module) for inner in node.walk()}


def look_alikes(base: Module, ours: Module, theirs: Module) -> list[str]:
    """Name the places upstream added that look like one the patch changes: they may need the same change."""
    edits = transplant.edits(base, ours)
    matched = set(tree.match(base, theirs).of.values())
    homes = _homes(theirs)
    fresh = [node for node in theirs.walk() if node not in matched]
    before, now = (Counter(node.dump for node in side.walk()) for side in (base, theirs))
    near_before, near_now = (
        Counter((homes.get(node, ""), node.dump) for node in side.walk())
        for side, homes in ((base, _homes(base)), (theirs, homes))
    )
    reasons: dict[str, None] = {}
    for edit in edits:  # a clause goes to a statement that only its head tells from others
        if isinstance(edit, transplant.Clause) and _siblings(base, edit.old) != _siblings(theirs, edit.old, base):
            reasons[f"another statement like: {base.lines[edit.old.start].strip()}"] = None
    for site in _sites(edits, base):
        old = site.node
        for node in fresh:
            near = homes.get(node, "") == site.home
            enough = LIKE if site.changed and near else LIKE_ELSEWHERE
            if (near and _same_head(old, node)) or (not before[node.dump] and _share(old, node) >= enough):
                reasons[f"line {node.start + 1}: {theirs.lines[node.start].strip()}"] = None
        many = now[old.dump] > before[old.dump] and old.tokens.total() >= _SMALL // 2 and not _is_log(old)
        place = site.home, old.dump
        tied = site.changed and near_before[place] > 1 and near_now[place] != near_before[place]
        if many or tied:
            reasons[f"{'once more' if many else 'fewer'}: {base.lines[old.start].strip()}"] = None
    return list(reasons)


def _siblings(module: Module, node: Node, home: Module | None = None) -> int:
    """Count the statements of a module that have a node's head, in the function that the node is in."""
    scope = _homes(home or module).get(node, "")
    homes = _homes(module)
    return sum(n.kind == node.kind and n.head == node.head and homes.get(n, "") == scope for n in module.walk())


def _sites(edits: Iterable[transplant.Edit], base: Module) -> Iterator[_Site]:
    """Yield the statements of the base that say where the patch changes something."""
    homes = _homes(base)
    for edit in edits:
        if isinstance(edit, transplant.Rewrite | transplant.Clause):
            yield _Site(edit.old, homes.get(edit.old, ""), True)
            continue
        yield from (_Site(node, homes.get(node, ""), True) for node in edit.removed)
        if edit.removed:
            continue
        around = [node for node in (edit.before, edit.after) if node and not _is_import(node) and not node.name]
        if edit.owner.kind not in ("Module", "FunctionDef", "AsyncFunctionDef", "ClassDef"):
            around.append(edit.owner)
        yield from (_Site(node, homes.get(node, ""), False) for node in around)


def contests(base: Module, ours: Module, theirs: Module, result: Module) -> list[str]:
    """Name what both sides add to one function or class, and the result therefore has more often than ours."""
    reasons: dict[str, None] = {}
    sides = [dict((("", side), *tree.definitions(side))) for side in (base, ours, theirs, result)]
    for scope in sides[1].keys() & sides[2].keys():
        nodes = [side.get(scope) for side in sides]
        if nodes[0] and nodes[1] and nodes[0].dump == nodes[1].dump:  # most are as they were, and counting takes long
            continue
        was, mine, other, merged = (_own_parts(node) if node else Counter[str]() for node in nodes)
        for what in (mine - was) & (other - was):
            if merged[what] > mine[what] and not (what.startswith(_VALUE) and was[what]):
                reasons[f"both add {what} to {scope or 'the module'}"] = None
    return list(reasons)


@lru_cache(maxsize=256)
def _own_parts(node: Node) -> Counter[str]:
    """Count what a function or class has itself: statements without blocks, names it gives values, decorators."""
    plain = [n for n in tree.own(node) if not n.blocks and not n.name and not _is_import(n) and not _is_log(n)]
    counts = Counter(ast.unparse(n.tree) for n in plain if n.tokens.total() >= _SMALL // 2)
    counts.update(_VALUE + name for n in plain for name in assigns(n.tree))
    counts.update(f"@{ast.unparse(part)}" for part in getattr(node.tree, "decorator_list", []))
    return counts


def dead_code(theirs: Module, result: Module) -> bool:
    """Tell whether a result has statements behind one that leaves their block, which the release has not."""
    return _dead(result) > _dead(theirs)


def _dead(module: Module) -> int:
    leaves = (ast.Return, ast.Raise, ast.Break, ast.Continue)
    return sum(
        isinstance(node.tree, leaves)
        for owner in module.walk()
        for block in owner.blocks.values()
        for node in block[:-1]
    )


def another_context(base: Module, ours: Module, theirs: Module) -> str:
    """Name the head of a block around a change that is another one in the new release; "" where all are the same."""
    mapping = tree.match(base, theirs)
    before, now = _parents(base), _parents(theirs)
    for edit in transplant.edits(base, ours):
        site = edit.owner if isinstance(edit, transplant.Gap) else edit.old
        key = edit.block if isinstance(edit, transplant.Gap) else ""
        counterpart = mapping.get(site)
        if counterpart is None:
            continue
        chain, other = _chain(site, key, before), _chain(counterpart, key, now)
        if chain != other:
            return base.lines[site.start].strip()
    return ""


def _parents(module: Module) -> dict[Node, tuple[Node, str]]:
    return {child: (owner, key) for owner in module.walk() for key, block in owner.blocks.items() for child in block}


def _chain(node: Node, key: str, parents: dict[Node, tuple[Node, str]]) -> list[str]:
    """Return the heads of the blocks around a place, up to its function."""
    heads: list[str] = []
    owner: Node | None = node if key else None
    if owner is None:
        owner, key = parents.get(node, (None, ""))
    while owner is not None and not owner.name and owner.kind != "Module":
        heads.append(f"{owner.head} {key}")
        owner, key = parents.get(owner, (None, ""))
    return heads


def _is_import(node: Node) -> bool:
    return isinstance(node.tree, ast.Import | ast.ImportFrom)


def _is_log(node: Node) -> bool:
    """Tell whether a statement only writes a log line, of which there are many that look like each other."""
    return isinstance(node.tree, ast.Expr) and ast.unparse(node.tree).startswith(
        ("log.", "logger.", "logging.", "print(")
    )


def _share(site: Node, node: Node) -> float:
    """Return how much a new statement shares with a site, 0 where likeness means nothing."""
    if site.name or node.name or _is_import(site) or site.tokens.total() < _SMALL or _is_log(site):
        return 0.0
    if site.kind.removeprefix("Async") != node.kind.removeprefix("Async"):
        return 0.0
    return min(tree.ratio(site.tokens, node.tokens), tree.ratio(site.values, node.values))


def _same_head(site: Node, node: Node) -> bool:
    """Tell whether two blocks are a loop over the same, or the like, whatever is in them."""
    return (
        site.kind == node.kind
        and site.kind in ("For", "AsyncFor", "While", "With", "AsyncWith")
        and site.head == node.head
    )


def complete(base: str, ours: str, theirs: str, result: str) -> bool:
    """Tell whether every line that base to ours adds comes in with theirs to result, as often."""
    patch_delta, result_delta = delta(base, ours), delta(theirs, result)
    return all(result_delta.get(key, 0) >= count for key, count in patch_delta.items() if count > 0)
