"""Only errors in lines of the series count."""

from __future__ import annotations

import pytest

from webui_fork.frontend import types

OUTPUT = """\
1795976446986 START "/mnt/work"
1795976446986 ERROR "src/a b.svelte" 3:7 "Type 'string' is not\\n  assignable to \\"x\\"."
1795976446986 ERROR "src/a b.svelte" 4:1 "Upstream's own."
1795976446986 ERROR "src/other.ts" 3:1 "In another file."
1795976446986 WARNING "src/a b.svelte" 3:1 "Self-closing."
1795976446986 COMPLETED 3508 FILES 3 ERRORS 1 WARNINGS 2 FILES_WITH_PROBLEMS
"""


def test_errors_in_some_lines() -> None:
    assert types.errors(OUTPUT, {"src/a b.svelte": frozenset({1, 3})}) == ["src/a b.svelte:3:7: Type 'string' is not"]
    assert types.errors(OUTPUT, {"src/a b.svelte": frozenset({2})}) == []
    assert types.errors(OUTPUT, {}) == []


def test_a_checker_that_did_not_end() -> None:
    assert types.errors(OUTPUT.rpartition("1795976446986 COMPLETED")[0], {}) is None
    assert types.errors("", {}) is None


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (b"", b"a\nb\n", {1, 2}),
        (b"a\nb\n", b"a\nb\n", set()),
        (b"a\nb\n", b"a\nx\nb\n", {2}),
        (b"a\nb\nc\n", b"a\nB\nc\nd", {2, 4}),
        (b"a\nb\n", b"b\n", set()),
        (b"a\n", b"", set()),
    ],
)
def test_lines_that_are_added(before: bytes, after: bytes, lines: set[int]) -> None:
    assert types.added_lines(before, after) == lines
