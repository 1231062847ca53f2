"""Is a merged file right? Checks that look at the four versions of it: base, ours, theirs, result. Pure.

They can only doubt. A doubt is a conflict: a wrong merge that nobody sees is worse than any number of conflicts.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import starmap

from webui_fork.merge import imports, matching, transplant, tree
from webui_fork.merge.dataflow import assigns, commute, is_log, takes_same_values
from webui_fork.merge.tokens import token_keys
from webui_fork.merge.tree import Module, Node

LIKE = 0.8  # a new statement of the same function that shares this much with one the patch changes looks like it
LIKE_ELSEWHERE = 0.93  # one of another function, or like a neighbour of what the patch adds: by chance more often
_VALUE = "a value of "
_SMALL = 12  # tokens: smaller statements look like each other by chance

Delta = dict[tuple[str, ...], int]


def delta(old: str, new: str, heads: Mapping[str, str] | None = None) -> Delta:
    """Return what a change adds (+) and removes (-): how often, for each place and line (stripped).

    Args:
        old, new: the file before and after it.
        heads: what heads of blocks are called. A place is the function, and the heads of all blocks in it around the
            line; without it, a file is one place, as one that is not Python.
    """
    counts: Counter[tuple[str, ...]] = Counter()
    for text, sign in ((new, 1), (old, -1)):
        lines = text.split("\n")
        module = tree.parse(text) if heads is not None else None
        places = _places(module, len(lines), heads or {}) if module else [()] * len(lines)
        for place, line in zip(places, lines, strict=True):
            if line.strip():
                counts[(*place, line.strip())] += sign
    return {key: count for key, count in counts.items() if count}


def _heads(base: str, ours: str, theirs: str, result: str) -> dict[str, str]:
    """Return by the head of a block that either side changes the one that the base has in its place."""
    heads: dict[str, str] = {}
    for old, new in ((base, ours), (base, theirs), (theirs, result)):
        left, right = tree.parse(old), tree.parse(new)
        for one, other in matching.match(left, right).of.items() if left and right else ():
            if one.blocks and one.head != other.head:
                heads.setdefault(other.head, heads.get(one.head, one.head))
    return heads


def _places(module: Module, count: int, heads: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Return for each line the functions and the heads of the blocks that it is in."""
    places: list[tuple[str, ...]] = [()] * count

    def visit(node: Node, place: tuple[str, ...]) -> None:
        for key, block in node.blocks.items():
            inner = (*place, node.name or f"{heads.get(node.head, node.head)} {key}") if node is not module else place
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
    heads = _heads(base, ours, theirs, result) if scoped else None
    one, other = tree.parse(base), tree.parse(ours)
    if heads and one and other and any(isinstance(edit, transplant.Clause) for edit in transplant.edits(one, other)):
        heads = {}  # a clause is for the very head that it stands below
    return delta(base, ours, heads) == delta(theirs, result, heads)


def same_code(one: bytes, other: bytes) -> bool:
    """Tell whether two Python files differ in no more than comments and layout."""
    if one == other:
        return True
    left, right = (tree.parse(side.decode("utf-8", "replace")) for side in (one, other))
    return left is not None and right is not None and left.dump == right.dump


def same_tree(one: str, other: str, *, logs: bool = False) -> bool:
    """Tell whether two files are the same program, whatever their layout and the order of what has none.

    That are imports, and statements beside each other that commute.

    Args:
        one, other: the files.
        logs: whether it counts before what else a line of a log is written.
    """
    left, right = tree.parse(one), tree.parse(other)
    if left is None or right is None:
        return False
    sides = [left.blocks["body"], right.blocks["body"]]
    loaded = [sorted(imports.key(node) for node in side if _is_import(node)) for side in sides]
    rest = [[node for node in side if not _is_import(node)] for side in sides]
    return loaded[0] == loaded[1] and _same_block(rest[0], rest[1], logs)


def _same_block(left: Sequence[Node], right: Sequence[Node], logs: bool) -> bool:
    if len(left) != len(right):
        return False
    rest = list(right)
    for node in left:
        number = next((number for number, other in enumerate(rest) if _same(node, other, logs)), None)
        if number is None or (number and not commute([node], rest[:number], calls=True, logs=logs)):
            return False
        del rest[number]
    return True


def _same(one: Node, other: Node, logs: bool) -> bool:
    if one.dump == other.dump:
        return True
    return (
        one.kind == other.kind
        and one.head == other.head
        and bool(one.blocks)
        and one.blocks.keys() == other.blocks.keys()
        and all(_same_block(block, other.blocks[key], logs) for key, block in one.blocks.items())
    )


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
    matched = set(matching.match(base, theirs).of.values())
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
        place = site.home, old.dump
        # of a neighbour, another one in another function says nothing about what is added beside this one
        more = now[old.dump] > before[old.dump] if site.changed else near_now[place] > near_before[place]
        many = more and old.tokens.total() >= _SMALL // 2 and not is_log(old.tree)
        tied = site.changed and near_before[place] > 1 and near_now[place] != near_before[place]
        if many or tied:
            fewer = not many and near_now[place] < near_before[place]
            reasons[f"{'fewer' if fewer else 'once more'}: {base.lines[old.start].strip()}"] = None
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
    plain = [n for n in tree.own(node) if not n.blocks and not n.name and not _is_import(n) and not is_log(n.tree)]
    counts = Counter(ast.unparse(n.tree) for n in plain if n.tokens.total() >= _SMALL // 2)
    counts.update(_VALUE + name for n in plain for name in assigns(n.tree))
    counts.update(f"the definition of {n.name}" for n in tree.own(node) if n.name)
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


def moved_away(base: Module, ours: Module, theirs: Module) -> str:
    """Name a statement that the patch removes or changes and the new release has all the same; "" where none is."""
    counts = [Counter(node.dump for node in module.walk() if not node.blocks) for module in (base, ours, theirs)]
    kept = {dump for dump in counts[0] - counts[1] if counts[2][dump] > counts[1][dump]}
    return next((base.lines[node.start].strip() for node in base.walk() if not node.blocks and node.dump in kept), "")


def another_context(base: Module, ours: Module, theirs: Module) -> str:
    """Name a statement at a change that runs under other conditions in the new release; "" where all are the same.

    A condition that only has more to it (`if a and b:` for `if a:`) is the same, and `try` is none. What the patch
    removes is gone under any. Where nothing of what it writes is new but a constant, only the number of conditions and
    their kinds count: when the statement runs is for the release to say.
    """
    mapping = matching.match(base, theirs)
    before, now = tree.parents(base), tree.parents(theirs)
    for edit in transplant.edits(base, ours):
        if isinstance(edit, transplant.Gap) and not edit.added:
            continue
        site = site_of(edit, mapping)
        counterpart = mapping.get(site) if site else None
        # all that is in a block may be new
        key = edit.block if isinstance(edit, transplant.Gap) and site is edit.owner else ""
        if site is None or counterpart is None or (key and key not in counterpart.blocks):
            continue
        chain, other = _conditions(site, key, before), _conditions(counterpart, key, now)
        extends = _same_kind if _changes_constants(edit) else _extends
        if len(chain) != len(other) or not all(starmap(extends, zip(other, chain, strict=True))):
            return base.lines[site.start].strip()
    return ""


def _changes_constants(edit: transplant.Edit) -> bool:
    """Tell whether a statement without blocks reads, calls and sets nothing that it did not before."""
    if not isinstance(edit, transplant.Rewrite) or edit.old.blocks or edit.new.blocks:
        return False
    return _used(edit.new.tree) <= _used(edit.old.tree)


def _used(statement: ast.AST) -> Counter[tuple[str, ...]]:
    parts = (part for part in ast.walk(statement) if not isinstance(part, ast.Constant | ast.expr_context))
    names = ("id", "attr", "arg")
    return Counter((type(part).__name__, *(str(getattr(part, name, "")) for name in names)) for part in parts)


def site_of(edit: transplant.Edit, mapping: matching.Mapping) -> Node | None:
    """Return a statement at a change that the new release has, too; else the block's that the change is in."""
    around = (*edit.removed, edit.before, edit.after) if isinstance(edit, transplant.Gap) else (edit.old,)
    owner = edit.owner if isinstance(edit, transplant.Gap) else None
    return next((node for node in around if node and mapping.get(node)), owner)


_Condition = tuple[Node, str]  # a block that does not always run, or holds something: whose, and which


def _conditions(node: Node, key: str, outer: tree.Parents) -> list[_Condition]:
    """Return the conditions around a place, up to its function."""
    around = tree.outward(*((node, key) if key else outer[node]), outer)
    return [(owner, block) for owner, block in around if not (isinstance(owner.tree, ast.Try) and block == "body")]


def _same_kind(new: _Condition, old: _Condition) -> bool:
    """Tell whether two conditions are the same branch of the same kind of block."""
    return new[1] == old[1] and new[0].kind == old[0].kind


def _extends(new: _Condition, old: _Condition) -> bool:
    """Tell whether a condition is the old one, or that and more."""
    (node, key), (was, old_key) = new, old
    if key != old_key or node.kind.removeprefix("Async") != was.kind.removeprefix("Async"):
        return False
    if isinstance(node.tree, ast.ExceptHandler | ast.match_case):
        return node.head == was.head
    if key != "body":
        return _bare_head(node) == _bare_head(was)
    if isinstance(node.tree, ast.If | ast.While) and isinstance(was.tree, ast.If | ast.While):
        return _terms(was.tree.test) <= _terms(node.tree.test)
    if isinstance(node.tree, ast.For | ast.AsyncFor) and isinstance(was.tree, ast.For | ast.AsyncFor):
        return takes_same_values(node.tree, was.tree)
    if isinstance(node.tree, ast.With | ast.AsyncWith) and isinstance(was.tree, ast.With | ast.AsyncWith):
        return _held(was.tree) <= _held(node.tree)
    return _bare_head(node) == _bare_head(was)


def _held(block: ast.With | ast.AsyncWith) -> set[str]:
    """Return what a `with` holds, whatever arguments it is called with."""
    parts = ((item.context_expr, item.optional_vars) for item in block.items)
    return {f"{tree.dump(getattr(part, 'func', part))} as {tree.dump(name)}" for part, name in parts}


def _bare_head(node: Node) -> str:
    """Return the head of a block, whatever clauses it has."""
    fields = ((key, value) for key, value in ast.iter_fields(node.tree) if key not in tree.BLOCKS)
    return " ".join(f"{key}={tree.dump(value)}" for key, value in fields)


def _terms(test: ast.expr) -> set[str]:
    parts = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]
    return {ast.dump(part) for part in parts}


def _is_import(node: Node) -> bool:
    return isinstance(node.tree, ast.Import | ast.ImportFrom)


def _share(site: Node, node: Node) -> float:
    """Return how much a new statement shares with a site, 0 where likeness means nothing."""
    if site.name or node.name or _is_import(site) or site.tokens.total() < _SMALL or is_log(site.tree):
        return 0.0
    if site.kind.removeprefix("Async") != node.kind.removeprefix("Async"):
        return 0.0
    return min(matching.ratio(site.tokens, node.tokens), matching.ratio(site.values, node.values))


def _same_head(site: Node, node: Node) -> bool:
    """Tell whether two blocks are a loop over the same, or the like, whatever is in them."""
    return (
        site.kind == node.kind
        and site.kind in ("For", "AsyncFor", "While", "With", "AsyncWith")
        and site.head == node.head
    )


def complete(base: str, ours: str, theirs: str, result: str) -> bool:
    """Tell whether every token and comment that base to ours adds comes in with theirs to result, as often."""
    was, mine, other, merged = (Counter(token_keys(side)) for side in (base, ours, theirs, result))
    return mine - was <= merged - other
