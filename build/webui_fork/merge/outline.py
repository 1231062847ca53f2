"""The blocks around a line of a file that is laid out by a formatter, by its indentation alone. Pure."""

from __future__ import annotations

from collections.abc import Sequence

_CLOSERS = (")", "]", "}", ">", "/>", "{:", "{/", "</")


def around(lines: Sequence[str], number: int) -> tuple[str, ...]:
    """Return the heads of the blocks that a line is in, stripped, the innermost first.

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
