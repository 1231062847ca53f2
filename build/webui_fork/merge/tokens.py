"""The tokens of Python source, and their three-way merge. Pure."""

from __future__ import annotations

import io
import tokenize
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class _Token:
    """A token and the white space before it; equal when the tokens are."""

    key: tuple[int, str]
    before: str = field(compare=False)

    def __hash__(self) -> int:
        return hash(self.key)


_LAYOUT = (tokenize.INDENT, tokenize.DEDENT, tokenize.NL, tokenize.ENDMARKER)


def _tokens(text: str) -> list[_Token] | None:
    lines = text.splitlines(keepends=True)
    tokens: list[_Token] = []
    row, column = 1, 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            # the end of a line with nothing but a comment belongs to the comment
            ends_comment = token.type == tokenize.NL and tokens and tokens[-1].key[0] == tokenize.COMMENT
            if token.type in _LAYOUT and not ends_comment:
                # a change of depth is a token of its own; where it stands is not
                if token.type in (tokenize.INDENT, tokenize.DEDENT):
                    tokens.append(_Token((token.type, ""), ""))
                continue
            start, end = token.start, token.end
            if start[0] > row:
                gap = lines[row - 1][column:] + "".join(lines[row : start[0] - 1]) + lines[start[0] - 1][: start[1]]
            else:
                gap = lines[row - 1][column : start[1]]
            tokens.append(_Token((token.type, token.string), gap))
            row, column = end
            if token.type in (tokenize.NEWLINE, tokenize.NL):
                row, column = row + 1, 0
    except (tokenize.TokenError, SyntaxError, IndexError):
        return None
    return tokens


def token_keys(text: str) -> list[tuple[int, str]]:
    """Return the tokens and the comments of a file, but for its layout; none where it is not Python."""
    return [token.key for token in _tokens(text) or () if token.key[1].strip()]


def merge_tokens(base: str, ours: str, theirs: str) -> str | None:
    """Merge one function token by token; None where both change the same tokens.

    The result is a proposal: two changes of one statement can be merged to nonsense, so that a caller must hold it
    against a merge of the syntax trees.
    """
    from merge3 import Merge3

    sides = [_tokens(text) for text in (base, ours, theirs)]
    if any(side is None for side in sides):
        return None
    one, two, three = (side for side in sides if side is not None)
    merge = Merge3(one, two, three)  # type: ignore[type-var]  # its bound is lines; it only compares and hashes
    kept = {z + n: b + n for z, zend, _, _, b, _ in merge.find_sync_regions() for n in range(zend - z)}
    merged: list[_Token] = []
    for region in merge.merge_regions():
        kind, start, end = region[0], region[1], region[2]
        if kind == "conflict":
            return None
        if kind == "unchanged":
            merged += [three[kept[n]] for n in range(start, end)]
        else:  # "same" counts in ours, as "a" does
            merged += (three if kind == "b" else two)[start:end]
    return "".join(token.before + token.key[1] for token in merged)
