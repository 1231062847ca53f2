"""Python source as a tree of statements that know their lines. Pure.

A statement's identity is the dump of its syntax tree, so that quotes, line breaks and comments do not count.
"""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

BLOCKS = ("body", "handlers", "cases", "orelse", "finalbody")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, eq=False)
class Node:
    """A statement (or an except or case clause): its lines [start, end) from 0, and the blocks in it."""

    kind: str
    name: str
    start: int
    end: int
    indent: int
    blocks: dict[str, tuple[Node, ...]]
    tree: ast.AST
    chained: bool = False  # an `elif`, which is an `if` in the else block of another
    source: str = ""  # its text; of one with blocks, up to the first line in them

    @cached_property
    def dump(self) -> str:
        """Everything about it, whatever its layout: a digest, made of those of the statements in it."""
        if not self.blocks:
            return _remembered(self.source, lambda: ast.dump(self.tree))
        parts = [self.kind, self.head]
        for key, block in self.blocks.items():
            parts += [key, *(node.dump for node in block)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    @cached_property
    def head(self) -> str:
        """Everything but what is in its blocks."""
        return _remembered(f"\0{self.kind} {sorted(self.blocks)} {self.source}", self._head)

    def _head(self) -> str:
        parts = [type(self.tree).__name__ if not self.name else "definition"]
        for key, value in ast.iter_fields(self.tree):
            if key not in self.blocks:
                parts.append(f"{key}={dump(value)}")
        return " ".join(parts) + (" async" if self.kind.startswith("Async") else "")

    @cached_property
    def tokens(self) -> Counter[str]:
        """Names, constants and operators in it, counted."""
        counts: Counter[str] = Counter()
        for part in ast.walk(self.tree):
            counts[type(part).__name__] += 1
            for _, value in ast.iter_fields(part):
                if isinstance(value, str | int | float | bytes):
                    counts[repr(value)] += 1
        return counts

    @cached_property
    def values(self) -> Counter[str]:
        """Names and constants in it, counted."""
        return Counter({key: count for key, count in self.tokens.items() if not key.isidentifier()})

    @property
    def children(self) -> Iterator[Node]:
        """The statements directly in it."""
        for block in self.blocks.values():
            yield from block

    def walk(self) -> Iterator[Node]:
        """Yield it and every statement below it."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, eq=False)
class Module(Node):
    """A file."""

    lines: tuple[str, ...] = ()

    def text(self, start: int, end: int) -> str:
        """Return some of its lines."""
        return "".join(self.lines[start:end])


_dumps: dict[str, str] = {}


def _remembered(source: str, make: Callable[[], str]) -> str:
    """Return what a text's tree is as a text: the same text is the same tree, wherever it stands."""
    if len(_dumps) > 60_000:
        _dumps.clear()
    if source not in _dumps:
        _dumps[source] = make()
    return _dumps[source]


def dump(value: object) -> str:
    """Return a field of a syntax tree as text, whatever its layout."""
    if isinstance(value, ast.AST):
        return ast.dump(value)
    if isinstance(value, list):
        return "[" + ", ".join(dump(item) for item in value) + "]"
    return repr(value)


@lru_cache(maxsize=64)  # a rebase holds the same few files against each other many times
def parse(text: str) -> Module | None:
    """Read a file; None when it is not Python that this interpreter understands, or has two statements on a line."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: too deep
        return None
    lines = tuple(text.splitlines(keepends=True))
    if "\f" in text or "\v" in text or len(lines) != text.count("\n") + (not text.endswith("\n") and bool(text)):
        return None  # where Python and str disagree on what a line is, no line number can be trusted
    body = _block(tree.body, lines)
    if body is None:
        return None
    return Module("Module", "", 0, len(lines), 0, {"body": body}, tree, lines=lines)


@lru_cache(maxsize=128)  # what stands after one patch stands before the next
def syntax_error(text: str) -> str:
    """Return why a file does not compile, "" where it does."""
    try:
        compile(text, "file", "exec", dont_inherit=True)
    except SyntaxError as error:
        return f"{error.msg} (line {error.lineno})"
    except (ValueError, RecursionError, MemoryError) as error:  # the last has no words
        return str(error) or "it is too deep"
    return ""


def _block(statements: Sequence[ast.AST], lines: Sequence[str], *, chained: bool = False) -> tuple[Node, ...] | None:
    nodes: list[Node] = []
    for statement in statements:
        node = _node(statement, lines, chained=chained)
        if node is None or (nodes and node.start < nodes[-1].end):
            return None
        nodes.append(node)
    return tuple(nodes)


def _node(tree: ast.AST, lines: Sequence[str], *, chained: bool) -> Node | None:
    start: int = getattr(tree, "lineno", 0)
    end: int = getattr(tree, "end_lineno", 0)
    if isinstance(tree, ast.match_case):
        start, end = tree.pattern.lineno, tree.body[-1].end_lineno or 0
    blocks: dict[str, tuple[Node, ...]] = {}
    for key in BLOCKS:
        inner = getattr(tree, key, None)
        if not isinstance(inner, list) or not inner:
            continue
        if getattr(inner[0], "lineno", 0) == start:
            blocks = {}  # `if x: y` on one line is taken as a whole
            break
        block = _block(inner, lines, chained=key == "orelse" and _elif(tree))
        if block is None:
            return None
        blocks[key] = block
    for decorator in getattr(tree, "decorator_list", []):
        start = min(start, decorator.lineno)
    name = getattr(tree, "name", "") if isinstance(tree, _DEFINITIONS) else ""
    last = min((block[0].start + 1 for block in blocks.values()), default=end)
    source = "".join(lines[start - 1 : last]).lstrip()
    kind, indent = type(tree).__name__, getattr(tree, "col_offset", 0)
    return Node(kind, name, start - 1, end, indent, blocks, tree, chained, source)


def _elif(tree: ast.AST) -> bool:
    return (
        isinstance(tree, ast.If)
        and len(tree.orelse) == 1
        and isinstance(tree.orelse[0], ast.If)
        and tree.orelse[0].col_offset == tree.col_offset
    )


def scopes(module: Module) -> tuple[str, ...]:
    """Return for each line the dotted name of the innermost function or class it is in ("" for the module)."""
    scope_of_line = [""] * len(module.lines)

    def visit(node: Node, scope: str) -> None:
        for child in node.children:
            inner = f"{scope}.{child.name}".lstrip(".") if child.name else scope
            if child.name:
                scope_of_line[child.start : child.end] = [inner] * (child.end - child.start)
            visit(child, inner)

    visit(module, "")
    return tuple(scope_of_line)


def own(node: Node) -> Iterator[Node]:
    """Yield the statements of a function, but not those of functions and classes in it."""
    for child in node.children:
        yield child
        if not child.name:
            yield from own(child)


def definitions(module: Node, scope: str = "") -> Iterator[tuple[str, Node]]:
    """Yield every function and class with its dotted name, outer ones first."""
    for child in module.children:
        inner = f"{scope}.{child.name}".lstrip(".") if child.name else scope
        if child.name:
            yield inner, child
        yield from definitions(child, inner)


Parents = dict[Node, tuple[Node, str]]


def parents(module: Module) -> Parents:
    """Return what each statement is in, and in which of its blocks."""
    return {child: (owner, key) for owner in module.walk() for key, block in owner.blocks.items() for child in block}


def outward(owner: Node, block: str, parents: Parents) -> Iterator[tuple[Node, str]]:
    """Yield what a block is in, from the inside out up to the function: statements, and in which of their blocks."""
    while not owner.name and owner.kind != "Module":
        yield owner, block
        owner, block = parents[owner]
