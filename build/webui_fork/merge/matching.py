"""Pair the statements of two files: which statement of the one is which of the other. Pure.

It is the statement-level part of a structured merge (Falleri et al., "Fine-grained and accurate source code
differencing", ASE 2014, in its matching of equal and of similar subtrees).
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from webui_fork.merge.tree import Module, Node, definitions, dump, own

SIMILAR = 0.55  # two statements of one kind that share this much are one statement, edited
_KNOWN = 6  # names, constants and operators: a statement with fewer is there again by chance
_GAP = 6000  # pairs of statements that are compared one by one at most


def similarity(one: Node, other: Node) -> float:
    """Return how much two statements share, from 0 (other kinds, nothing) to 1 (equal)."""
    if one.dump == other.dump:
        return 1.0
    if bool(one.name) != bool(other.name) or (not one.name and _kind(one) != _kind(other)):
        return 0.0
    if one.chained != other.chained:
        return 0.0
    if one.name:
        return 0.95 if one.name == other.name else 0.0
    if one.blocks and other.blocks and one.head == other.head:
        return 0.9
    return ratio(one.tokens, other.tokens)


def ratio(one: Counter[str], other: Counter[str]) -> float:
    """Return how much two counts share, from 0 to 1."""
    return 2 * (one & other).total() / max(one.total() + other.total(), 1)


def _kind(node: Node) -> str:
    return node.kind.removeprefix("Async")


Pairs = list[tuple[int | None, int | None]]


def align(left: Sequence[Node], right: Sequence[Node]) -> Pairs:
    """Pair the statements of two blocks in order: equal ones first, then between them the similar ones."""
    pairs: Pairs = []
    matcher = SequenceMatcher(None, [n.dump for n in left], [n.dump for n in right], autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            pairs += list(zip(range(a, b), range(c, d), strict=True))
        else:
            pairs += [
                (None if i is None else i + a, None if j is None else j + c) for i, j in _gap(left[a:b], right[c:d])
            ]
    return pairs


def _gap(left: Sequence[Node], right: Sequence[Node]) -> Pairs:
    """Pair the statements of a gap so that what they share is the most (a longest common subsequence with weights)."""
    if not left or not right or len(left) * len(right) > _GAP:
        return [(i, None) for i in range(len(left))] + [(None, j) for j in range(len(right))]
    like = [[similarity(one, other) for other in right] for one in left]
    best = [[0.0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i in reversed(range(len(left))):
        for j in reversed(range(len(right))):
            take = like[i][j] + best[i + 1][j + 1] if like[i][j] >= SIMILAR else 0.0
            best[i][j] = max(take, best[i + 1][j], best[i][j + 1])
    pairs: Pairs = []
    i = j = 0
    while i < len(left) and j < len(right):
        if like[i][j] >= SIMILAR and best[i][j] == like[i][j] + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            pairs.append((i, None))
            i += 1
        else:
            pairs.append((None, j))
            j += 1
    return pairs + [(k, None) for k in range(i, len(left))] + [(None, k) for k in range(j, len(right))]


@dataclass(frozen=True)
class Mapping:
    """Which statement of another tree is the same one; ``moved`` are those that changed their order or place."""

    of: dict[Node, Node]
    moved: frozenset[Node]

    def get(self, node: Node) -> Node | None:
        """Return its counterpart, if it has one."""
        return self.of.get(node)


@lru_cache(maxsize=16)  # the transplant and each of the guards ask for the same pair
def match(left: Module, right: Module) -> Mapping:
    """Pair the statements of two files from the top down; functions and classes by name, wherever they are now."""
    of: dict[Node, Node] = {left: right}
    moved: set[Node] = set()
    _match(left, right, of, moved)
    taken = set(of.values())
    free = {name: node for name, node in definitions(right) if node not in taken}
    last: dict[str, list[Node]] = {}
    for name, node in free.items():
        last.setdefault(name.rpartition(".")[2], []).append(node)
    for _, node in definitions(left):
        candidates = last.get(node.name, [])
        if node not in of and len(candidates) == 1 and candidates[0] not in taken:
            of[node] = candidates[0]
            taken.add(candidates[0])
            moved.add(node)
            _match(node, candidates[0], of, moved)
    for one, other in list(of.items()):
        if one is left or one.name:
            _match_elsewhere(one, other, of, moved)
    return Mapping(of, frozenset(moved))


def _match_elsewhere(left: Node, right: Node, of: dict[Node, Node], moved: set[Node]) -> None:
    """Pair what went into another block of its function, where it is there once on both sides.

    It is known by its text, by its head, or by what it calls and the names that it gives the result.
    """
    for text in (_text, _head, _call):
        alone = [node for node in own(left) if node not in of]
        if not alone:
            return
        taken = set(of.values())
        others = [node for node in own(right) if node not in taken]
        counts = [Counter(map(text, side)) for side in (alone, others)]
        counterparts = {text(node): node for node in others}
        for node in alone:
            key = text(node)
            if not key or node in of or not counts[0][key] == counts[1][key] == 1 or counterparts[key] in taken:
                continue
            of[node] = counterparts[key]
            _match(node, counterparts[key], of, moved)
            taken.update(of[inner] for inner in node.walk() if inner in of)


def _text(node: Node) -> str:
    """Return what a statement is known by elsewhere, "" for what is too small to be known."""
    return "" if node.name or node.tokens.total() < _KNOWN else node.dump


def _head(node: Node) -> str:
    return "" if node.name or not node.blocks or len(node.head) < _KNOWN * 5 else node.head


def _match(left: Node, right: Node, of: dict[Node, Node], moved: set[Node]) -> None:
    for key, block in left.blocks.items():
        other = right.blocks.get(key, ())
        if not (key == "orelse" and block[0].chained and other and other[0].chained):
            _match_blocks(block, other, of, moved)
        elif not left.chained:
            _match_chains(_chain(block[0]), _chain(other[0]), of, moved)


def _match_blocks(block: Sequence[Node], other: Sequence[Node], of: dict[Node, Node], moved: set[Node]) -> None:
    alone: list[Node] = []
    taken = set()
    for i, j in align(block, other):
        if i is not None and j is not None:
            of[block[i]] = other[j]
            taken.add(j)
            _match(block[i], other[j], of, moved)
        elif i is not None:
            alone.append(block[i])
    _by_name(alone, [node for j, node in enumerate(other) if j not in taken], of, moved)


def _call(node: Node) -> str:
    """Return what a statement calls, and its targets; "" for others, and for calls whose result it leaves."""
    value = getattr(node.tree, "value", None)
    call = value.value if isinstance(value, ast.Await) else value
    if not isinstance(node.tree, ast.Assign) or not isinstance(call, ast.Call):
        return ""
    return f"{dump(node.tree.targets)} {dump(call.func)}"


def _chain(node: Node) -> list[Node]:
    """Return an `elif`, and those behind it."""
    block = node.blocks.get("orelse", ())
    return [node, *(_chain(block[0]) if block and block[0].chained else ())]


def _match_chains(left: list[Node], right: list[Node], of: dict[Node, Node], moved: set[Node]) -> None:
    """Pair the clauses of two chains of `elif`: one that is new moves all behind it one deeper."""
    matcher = SequenceMatcher(None, [node.head for node in left], [node.head for node in right], autojunk=False)
    for _, a, b, c, d in matcher.get_opcodes():
        for one, other in zip(left[a:b], right[c:d], strict=False) if b - a == d - c else ():
            of[one] = other
            _match(one, other, of, moved)
    last, end = left[-1], right[-1]
    if of.get(last) is not end:  # the `else` of both
        _match_blocks(last.blocks.get("orelse", ()), end.blocks.get("orelse", ()), of, moved)


def _by_name(left: Iterable[Node], right: Iterable[Node], of: dict[Node, Node], moved: set[Node]) -> None:
    """Pair functions and classes that changed their order in a block."""
    rest = list(right)
    for node in left:
        namesakes = [other for other in rest if node.name and other.name == node.name]
        if len(namesakes) == 1:
            of[node] = namesakes[0]
            rest.remove(namesakes[0])
            moved.add(node)
            _match(node, namesakes[0], of, moved)
