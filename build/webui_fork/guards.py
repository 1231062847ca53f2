"""Is a merged file right? Checks that look at the four versions of it: base, ours, theirs, result. Pure.

They can only doubt. A doubt is a conflict: a wrong merge that nobody sees is worse than any number of conflicts.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from webui_fork import imports, syntax, transplant
from webui_fork.syntax import Module, Node
from webui_fork.trees import UncertainError

LIKE = 0.8  # a new statement of the same function that shares this much with one the patch changes looks like it
LIKE_ELSEWHERE = 0.93  # one of another function, or like a neighbour of what the patch adds: by chance more often
_SMALL = 12  # tokens: smaller statements look like each other by chance

Delta = Counter[tuple[str, str]]


def delta(old: str, new: str, *, scoped: bool = True) -> dict[tuple[str, str], int]:
    """Return what a change adds (+) and removes (-): how often, for each scope and line (stripped).

    Args:
        scoped: keep functions apart; without, a file is one scope, as one that is not Python.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for text, sign in ((new, 1), (old, -1)):
        module = syntax.parse(text) if scoped else None
        names: Sequence[str] = syntax.scopes(module) if module else [""] * (text.count("\n") + 1)
        for scope, line in zip(names, text.splitlines(), strict=False):
            if line.strip():
                counts[scope, line.strip()] += sign
    return {key: count for key, count in counts.items() if count}


def same_change(base: str, ours: str, theirs: str, result: str, *, scoped: bool = True) -> bool:
    """Tell whether theirs to result adds and removes the very lines, in the same functions, that base to ours does."""
    return delta(base, ours, scoped=scoped) == delta(theirs, result, scoped=scoped)


def same_tree(one: str, other: str) -> bool:
    """Tell whether two files are the same program, whatever their layout and the order of their imports."""
    left, right = syntax.parse(one), syntax.parse(other)
    if left is None or right is None:
        return False
    sides = [left.blocks["body"], right.blocks["body"]]
    loaded = [sorted(imports.key(node) for node in side if _is_import(node)) for side in sides]
    rest = [[node.dump for node in side if not _is_import(node)] for side in sides]
    return loaded[0] == loaded[1] and rest[0] == rest[1]


def look_alikes(base: Module, ours: Module, theirs: Module) -> list[str]:
    """Name the places upstream added that look like one the patch changes: they may need the same change."""
    try:
        edits = transplant.edits(base, ours)
    except UncertainError:
        return []
    mapping = syntax.match(base, theirs)
    known = set(mapping.of.values())
    homes = {inner: name for name, node in syntax.definitions(theirs) for inner in node.walk()}
    fresh = [node for node in theirs.walk() if node not in known]
    before = Counter(node.dump for node in base.walk())
    now = Counter(node.dump for node in theirs.walk())
    changed = {old for edit in edits for old in ([edit.old] if isinstance(edit, transplant.Rewrite) else edit.removed)}
    found: dict[str, None] = {}
    for site, home in _sites(edits, base):
        for node in fresh:
            near = homes.get(node, "") == home
            enough = LIKE if site in changed and near else LIKE_ELSEWHERE
            if (near and _same_head(site, node)) or (not before[node.dump] and _share(site, node) >= enough):
                found[f"line {node.start + 1}: {theirs.lines[node.start].strip()}"] = None
        if now[site.dump] > before[site.dump] and site.tokens.total() >= _SMALL // 2 and not _is_log(site):
            found[f"once more: {base.lines[site.start].strip()}"] = None
    return list(found)


def _sites(edits: Iterable[transplant.Edit], base: Module) -> Iterator[tuple[Node, str]]:
    """Yield the statements of the base that say where the patch changes something, and the function they are in."""
    homes = {inner: name for name, node in syntax.definitions(base) for inner in node.walk()}
    for edit in edits:
        if isinstance(edit, transplant.Rewrite):
            sites = [edit.old]
        elif edit.removed:
            sites = list(edit.removed)
        else:
            sites = [node for node in (edit.before, edit.after) if node and not _is_import(node) and not node.name]
            if edit.owner.kind not in ("Module", "FunctionDef", "AsyncFunctionDef", "ClassDef"):
                sites.append(edit.owner)
        yield from ((site, homes.get(site, "")) for site in sites)


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
    return min(syntax.ratio(site.tokens, node.tokens), syntax.ratio(site.values, node.values))


def _same_head(site: Node, node: Node) -> bool:
    """Tell whether two blocks are a loop over the same, or the like, whatever is in them."""
    return (
        site.kind == node.kind
        and site.kind in ("For", "AsyncFor", "While", "With", "AsyncWith")
        and site.head == node.head
    )


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the release's own code that a patch adds: the name, whether it is awaited, and what it is given."""

    name: str
    awaited: bool
    positional: int | None
    keywords: tuple[str | None, ...]


def added_calls(base: Module, ours: Module) -> tuple[Call, ...]:
    """Return the calls that ours has and base has not."""
    return tuple(Counter(_calls(ours)) - Counter(_calls(base)))


@lru_cache(maxsize=64)  # patch after patch asks about the same files
def _calls(module: Module) -> tuple[Call, ...]:
    nodes = [node for node in ast.walk(module.tree) if isinstance(node, ast.Await | ast.Call)]
    return tuple(_read_calls(module, nodes))


def _read_calls(module: Module, nodes: Sequence[ast.AST]) -> Iterator[Call]:
    awaited = {id(node.value) for node in nodes if isinstance(node, ast.Await)}
    own = {name for _, name in _imported(module)} | {node.name for node in module.children if node.name}
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        # `x.close()` may be anything's; a name that the release defines or imports from itself is its own
        receiver = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        if isinstance(receiver, ast.Name) and receiver.id in own:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else receiver.id
            starred = any(isinstance(argument, ast.Starred) for argument in node.args)
            keywords = tuple(keyword.arg for keyword in node.keywords)
            yield Call(name, id(node) in awaited, None if starred else len(node.args), keywords)


@dataclass(frozen=True, slots=True)
class Signature:
    """How a function of the release is defined."""

    asynchronous: bool
    positional: tuple[str, ...]
    required: tuple[str, ...]
    any_positional: bool
    any_keyword: bool
    keyword_only: tuple[str, ...]

    def takes(self, call: Call) -> bool:
        """Tell whether a call fits."""
        given = set(call.keywords) - {None}
        loose = call.positional is None or None in call.keywords
        names = {*self.positional, *self.keyword_only}
        if not self.any_keyword and not given <= names:
            return False
        if loose:
            return True
        count = call.positional or 0
        if count > len(self.positional) and not self.any_positional:
            return False
        return set(self.required) <= {*self.positional[:count], *(name for name in given if name)}


def signatures(text: str, names: Iterable[str]) -> Iterator[tuple[str, Signature]]:
    """Yield how functions of these names are defined in a file."""
    wanted = set(names)
    module = syntax.parse(text)
    for dotted, node in syntax.definitions(module) if module else ():
        tree = node.tree
        if node.name not in wanted or not isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        arguments = tree.args
        positional = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
        required = positional[: len(positional) - len(arguments.defaults)]
        only = [argument.arg for argument in arguments.kwonlyargs]
        needed = [name for name, default in zip(only, arguments.kw_defaults, strict=True) if default is None]
        method = "." in dotted and positional[:1] in (["self"], ["cls"])
        yield (
            node.name,
            Signature(
                isinstance(tree, ast.AsyncFunctionDef),
                tuple(positional[method:]),
                (*required[method:], *needed),
                arguments.vararg is not None,
                arguments.kwarg is not None,
                tuple(only),
            ),
        )


Known = dict[str, list[Signature]]


def broken_calls(calls: Iterable[Call], before: Known, now: Known) -> list[str]:
    """Name the calls the patch adds whose function the new release defines in a way they don't fit."""
    found = []
    for call in calls:
        old, new = before.get(call.name, []), now.get(call.name, [])
        if not old or sorted(map(repr, old)) == sorted(map(repr, new)):
            continue
        if not new:
            found.append(f"{call.name}() is gone")
        elif {s.asynchronous for s in old} != {s.asynchronous for s in new}:
            found.append(f"{call.name}() is {'now' if new[0].asynchronous else 'no longer'} async")
        elif any(s.takes(call) for s in old) and not any(s.takes(call) for s in new):
            found.append(f"{call.name}() takes other arguments")
    return sorted(set(found))


def added_imports(base: Module, ours: Module) -> Iterator[tuple[str, str]]:
    """Yield what ours imports from the release's own package and base does not: (module, name)."""
    was = set(_imported(base))
    yield from (pair for pair in _imported(ours) if pair not in was)


@lru_cache(maxsize=64)
def _imported(module: Module) -> tuple[tuple[str, str], ...]:
    found = [node.tree for node in module.walk() if isinstance(node.tree, ast.ImportFrom)]
    own = [tree for tree in found if not tree.level and (tree.module or "").startswith("open_webui")]
    return tuple((tree.module or "", alias.name) for tree in own for alias in tree.names)


def defines(text: str, name: str) -> bool:
    """Tell whether a file names something at its top level."""
    return bool(re.search(rf"^(async def|def|class|from .* import|import)? ?.*\b{re.escape(name)}\b", text, re.M))


def complete(base: str, ours: str, theirs: str, result: str) -> bool:
    """Tell whether every line that base to ours adds comes in with theirs to result, as often."""
    wanted, there = delta(base, ours), delta(theirs, result)
    return all(there.get(key, 0) >= count for key, count in wanted.items() if count > 0)
