"""What upstream's type checker says of the lines that the series adds; upstream's own have thousands of errors. Pure.

Source: svelte-check's machine output.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher

ARGUMENTS = ("--tsconfig", "./tsconfig.json", "--output", "machine", "--threshold", "error")
_ERROR = re.compile(r'\d+ ERROR ("(?:[^"\\]|\\.)*") (\d+):(\d+) ("(?:[^"\\]|\\.)*")')
_END = re.compile(r"^\d+ COMPLETED ", re.MULTILINE)


def added_lines(before: bytes, after: bytes) -> frozenset[int]:
    """Return the numbers (from 1) of the lines that a text has and another has not."""
    old, new = before.splitlines(), after.splitlines()
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return frozenset(number + 1 for kind, _, _, start, end in blocks if kind != "equal" for number in range(start, end))


def errors(output: str, added: Mapping[str, frozenset[int]]) -> list[str] | None:
    """Return the errors in some lines, as `path:line:column: words`; None where the checker did not get to its end.

    Args:
        output: what it wrote.
        added: the lines, by path.
    """
    return list(_errors(output, added)) if _END.search(output) else None


def _errors(output: str, added: Mapping[str, frozenset[int]]) -> Iterator[str]:
    for line in output.splitlines():
        if match := _ERROR.fullmatch(line):
            path, words = json.loads(match.group(1)), json.loads(match.group(4))
            if int(match.group(2)) in added.get(path, frozenset()):
                first, *_ = words.split("\n")
                yield f"{path}:{match.group(2)}:{match.group(3)}: {first}"
