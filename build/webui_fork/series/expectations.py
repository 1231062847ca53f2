"""What a right result of a merge has, as a person wrote it beside a patch: the judge of a backtest."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from webui_fork.core.errors import SeriesError
from webui_fork.merge import tree as merge_tree

_CLOSERS = (")", "]", "}", ">", "/>", "{:", "{/", "</")  # of a file that a formatter laid out


@dataclass(frozen=True, slots=True)
class Expect:
    """What a right result has, wherever the code went.

    In ``path``, exactly one statement without blocks (or head of one with blocks) has the text ``has``; it is in the
    function ``within``; the statement before it has the text ``after``, the one behind it ``before``; and no
    statement of the function has the text ``gone``. Text is `ast.unparse`'s; an empty one is not looked at. Of a file
    that is not Python all of this is of lines, and ``within`` is in the head of a block around it.
    """

    path: str
    within: str
    has: str
    after: str = ""
    before: str = ""
    gone: str = ""

    def problem(self, text: str | None) -> str:
        """Say what is wrong with a file; "" when it is right."""
        if not self.path.endswith(".py"):
            return self._problem_of_lines([line for line in (text or "").split("\n") if line.strip()])
        everything = _all_places(text or "")
        if not everything:
            return "it is not Python"
        places = [place for place in everything if self.has in _head(place.node)]
        if len(places) != 1:
            return f"{self.has!r} is there {len(places)} times"
        (place,) = places
        if self.within and place.scope.rpartition(".")[2] != self.within:
            return f"{self.has!r} is in {place.scope or 'no function'}"
        if self.after and (place.before is None or self.after not in _head(place.before)):
            return f"{self.after!r} is not before it"
        if self.before and (place.behind is None or self.before not in _head(place.behind)):
            return f"{self.before!r} is not behind it"
        if self.gone and any(self.gone in _head(p.node) for p in everything if p.scope == place.scope):
            return f"{self.gone!r} is still there"
        return ""

    def _problem_of_lines(self, lines: Sequence[str]) -> str:
        numbers = [number for number, line in enumerate(lines) if self.has in line]
        if len(numbers) != 1:
            return f"{self.has!r} is there {len(numbers)} times"
        (number,) = numbers
        if self.within and not any(self.within in head for head in around(lines, number)):
            return f"{self.has!r} is not in {self.within!r}"
        if self.after and self.after not in "".join(lines[:number][-1:]):
            return f"{self.after!r} is not before it"
        if self.before and self.before not in "".join(lines[number + 1 :][:1]):
            return f"{self.before!r} is not behind it"
        if self.gone and any(self.gone in line for line in lines):
            return f"{self.gone!r} is still there"
        return ""


@dataclass(frozen=True, slots=True)
class _Place:
    scope: str
    node: merge_tree.Node
    before: merge_tree.Node | None
    behind: merge_tree.Node | None


@lru_cache(maxsize=16)
def _all_places(text: str) -> tuple[_Place, ...]:
    module = merge_tree.parse(text)
    return tuple(_places(module, "")) if module else ()


def _places(owner: merge_tree.Node, scope: str) -> Iterator[_Place]:
    inner = f"{scope}.{owner.name}".strip(".")
    for block in owner.blocks.values():
        for number, node in enumerate(block):
            behind = block[number + 1] if number + 1 < len(block) else None
            yield _Place(inner, node, block[number - 1] if number else None, behind)
            yield from _places(node, inner)


@lru_cache(maxsize=100_000)
def _head(node: merge_tree.Node) -> str:
    text = ast.unparse(node.tree)
    return text.partition("\n")[0] if node.blocks else text


def read(file: Path) -> dict[str, tuple[Expect, ...]]:
    """Read what is expected of each patch, by its name without `.patch`; variants are alternatives.

    Raises:
        SeriesError: the file is missing or not of that form.
    """
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
        return {name: tuple(Expect(**row) for row in rows) for name, rows in data.items()}
    except (OSError, ValueError, TypeError) as error:
        raise SeriesError(f"{file} can't be read.", why=str(error), remedy="docs/rebase.md has its form.") from None


def around(lines: Sequence[str], number: int) -> tuple[str, ...]:
    """Return the heads of the blocks that a line of a formatted file is in, stripped, the innermost first.

    The head of a block is the nearest line above that is indented less. Where that closes something (`) => {`,
    `{:else}`, the `>` of a long tag), the line that opened it is one, too.

    Args:
        lines: the file's.
        number: of the line, from 0.
    """
    heads: list[str] = []
    depth = _depth(lines[number])
    for line in reversed(lines[:number]):
        if not (text := line.strip()):
            continue
        closes = bool(heads) and heads[-1].startswith(_CLOSERS) and _depth(line) == depth
        if _depth(line) < depth or closes:
            heads.append(text)
            depth = _depth(line)
    return tuple(heads)


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
