"""What a change needs of the rest of a program, and what the rest needs of it: calls, imports, definitions. Pure."""

from __future__ import annotations

import ast
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from webui_fork.merge import tree as merge_tree
from webui_fork.merge.dataflow import assigns
from webui_fork.merge.tree import Module

_HEAD = 8000  # characters of a function's head at most


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

    def gives(self, call: Call, other: Signature) -> bool:
        """Tell whether a call gives each value to the same argument, or to one that has another name now."""
        pairs = zip(self.positional[: call.positional], other.positional, strict=False)
        return all(name == new or name not in other.positional for name, new in pairs)


def signatures(text: str, names: Iterable[str]) -> Iterator[tuple[str, Signature]]:
    """Yield how functions of these names are defined in a file; a head that can't be read is left out."""
    pattern = re.compile(rf"^([ \t]*)(async +)?def +({'|'.join(map(re.escape, names))})\b", re.MULTILINE)
    for match in pattern.finditer(text):
        tree = _head(text[match.start() : match.start() + _HEAD].lstrip())
        if tree is None:
            continue
        arguments = tree.args
        positional = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
        required = positional[: len(positional) - len(arguments.defaults)]
        only = [argument.arg for argument in arguments.kwonlyargs]
        needed = [name for name, default in zip(only, arguments.kw_defaults, strict=True) if default is None]
        method = bool(match.group(1)) and positional[:1] in (["self"], ["cls"])
        yield (
            tree.name,
            Signature(
                isinstance(tree, ast.AsyncFunctionDef),
                tuple(positional[method:]),
                (*required[method:], *needed),
                arguments.vararg is not None,
                arguments.kwarg is not None,
                tuple(only),
            ),
        )


def _head(text: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """Read the head of the function that a text begins with: all of the file would take fifty times as long."""
    lines, depth = text.splitlines(keepends=True), 0
    with suppress(tokenize.TokenError, SyntaxError, ValueError):
        for token in tokenize.generate_tokens(iter(lines).__next__):
            depth += (token.string in ("(", "[", "{")) - (token.string in (")", "]", "}"))
            if token.string == ":" and not depth:
                row, column = token.end
                tree = ast.parse(f"{''.join(lines[: row - 1])}{lines[row - 1][:column]} ...").body[0]
                return tree if isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef) else None
    return None


Known = dict[str, list[Signature]]


def broken_calls(calls: Iterable[Call], before: Known, now: Known) -> list[str]:
    """Name the calls the patch adds whose function the new release defines in a way they don't fit."""
    problems = []
    for call in calls:
        old, new = before.get(call.name, []), now.get(call.name, [])
        if not old or sorted(map(repr, old)) == sorted(map(repr, new)):
            continue
        if not new:
            problems.append(f"{call.name}() is gone")
        elif {s.asynchronous for s in old} != {s.asynchronous for s in new}:
            problems.append(f"{call.name}() is {'now' if new[0].asynchronous else 'no longer'} async")
        elif any(s.takes(call) for s in old) and not any(
            s.takes(call) and was.gives(call, s) for was in old for s in new
        ):
            problems.append(f"{call.name}() takes other arguments, or in another order")
    return sorted(set(problems))


def redefined(base: Module, ours: Module) -> tuple[str, ...]:
    """Return the functions and classes that a patch removes, renames, gives other arguments or makes async (or not)."""
    was, is_now = (
        {name: (node.kind, merge_tree.dump(getattr(node.tree, "args", None)), node.name) for name, node in defined}
        for defined in map(merge_tree.definitions, (base, ours))
    )
    return tuple(row[-1] for name, row in was.items() if is_now.get(name) != row)


def added_imports(base: Module, ours: Module) -> Iterator[tuple[str, str]]:
    """Yield what ours imports from the release's own package and base does not: (module, name)."""
    was = set(_imported(base))
    yield from (pair for pair in _imported(ours) if pair not in was)


@lru_cache(maxsize=64)
def _imported(module: Module) -> tuple[tuple[str, str], ...]:
    statements = [node.tree for node in module.walk() if isinstance(node.tree, ast.ImportFrom)]
    own = [tree for tree in statements if not tree.level and (tree.module or "").startswith("open_webui")]
    return tuple((tree.module or "", alias.name) for tree in own for alias in tree.names)


def defines(text: str, name: str) -> bool:
    """Tell whether a file names something at its top level, also under an `if` or a `try` there."""
    defined = _defined(text)
    return name in text if defined is None else name in defined or "*" in defined


@lru_cache(maxsize=512)
def _defined(text: str) -> frozenset[str] | None:
    module = merge_tree.parse(text)
    if module is None:
        return None
    defined: set[str] = set()
    for node in merge_tree.own(module):
        if node.name:
            defined.add(node.name)
        elif isinstance(node.tree, ast.Import | ast.ImportFrom):
            defined |= {(alias.asname or alias.name).partition(".")[0] for alias in node.tree.names}
        else:
            defined |= assigns(node.tree)
    return frozenset(defined)
