"""Carry the change of one file from one release to another: every method, and which result can be trusted.

The text merge and the transplant of the syntax tree are two opinions. A clean text merge is taken when the
transplant agrees with it or has nothing to say; what only the transplant gives needs a proof; anything that the
guards doubt is a conflict (docs/adr/0006-carrying-patches.md).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace

from webui_fork.merge import guards, reach, swapped, transplant
from webui_fork.merge import tree as merge_tree
from webui_fork.merge.expressions import ContestedError, MeetingError, UncertainError
from webui_fork.merge.text import Merger
from webui_fork.merge.tree import Module


class Method(enum.IntEnum):
    """How a file was carried, from the least to the most that had to be done."""

    NONE = 0  # the release did not change it
    LINES = 1  # three-way merge of lines
    FORMATTED = 2  # the same, after laying both out as the new release does
    FUNCTIONS = 3  # the same, function by function, and token by token where the lines of one conflict
    TRANSPLANT = 5  # the edit of the syntax tree, made again
    PERSON = 6

    @property
    def word(self) -> str:
        """Its name for people."""
        return _WORDS[self]


class Deleted(enum.Enum):
    """In place of a file's text: the file is deleted."""

    DELETED = "deleted"


FRONT_END = (".svelte", ".ts", ".js", ".css", ".html")  # of the front end
_WORDS = {
    Method.NONE: "nothing to do",
    Method.LINES: "3-way",
    Method.FORMATTED: "3-way, formatted",
    Method.FUNCTIONS: "3-way, by function",
    Method.TRANSPLANT: "syntax tree",
    Method.PERSON: "a person",
}


@dataclass(frozen=True, slots=True)
class File:
    """What became of one file.

    ``text`` is the result, None where a person decides; ``marked`` is the merge with conflict markers then.
    ``needs_proof``: only the patch's proof can say that it is right. ``why`` says what the doubt is.
    """

    path: str
    method: Method
    text: str | Deleted | None
    why: str = ""
    marked: str = ""
    needs_proof: bool = False
    proposal: str | Deleted | None = None


def carry(merger: Merger, path: str, base: str, ours: str, theirs: str) -> File:
    """Carry the change from base to ours of a file to theirs.

    Raises:
        ToolError: git or the formatter failed.
    """
    if base == theirs:
        return File(path, Method.NONE, ours)
    if ours == theirs:
        return File(path, Method.LINES, theirs)
    if any("\0" in version for version in (base, ours, theirs)):
        return File(path, Method.PERSON, None, "a NUL character is in it, which git takes for no text")
    marked, clean = merger.lines(base, ours, theirs)
    try:
        parsed = (merge_tree.parse(text) for text in (base, ours, theirs)) if path.endswith(".py") else ()
        trees = [tree for tree in parsed if tree]
        if len(trees) < 3:
            return _plain(path, base, ours, theirs, marked if clean else None, marked)
        file = _python(merger, path, (base, ours, theirs), trees, marked if clean else None)
        return file if file.text is not None else replace(file, marked=marked)
    except RecursionError:
        return File(path, Method.PERSON, None, "an expression or a chain of it is nested too deep", marked)


def _python(
    merger: Merger, path: str, versions: tuple[str, str, str], trees: Sequence[Module], lines: str | None
) -> File:
    """Carry the change of a Python file; ``lines`` is the merge of lines where it is clean."""
    text, method = (lines, Method.LINES) if lines is not None else _finer(merger, *versions)
    # both take it away at one place, and the release has it at another, too
    moved = guards.moved_away(*trees) if text == versions[2] else ""
    if lines == versions[2] and not moved:  # the release has all of it
        return File(path, Method.LINES, lines)
    file = _decide(merger, path, versions, None if moved else text, method)
    if not isinstance(file.text, str):
        why = f"the new release still has {moved!r}, which the patch removes" if moved else file.why
        return replace(file, why=why)
    base, ours, theirs = trees
    if doubts := _doubts(base, ours, theirs, file.text):
        return replace(file, method=Method.PERSON, text=None, why="; ".join(doubts), proposal=file.text)
    head, result = guards.another_context(base, ours, theirs), merge_tree.parse(file.text)
    why = f"the new release has other conditions around {head!r}" if head else ""
    if why := why or (reach.doubt(base, ours, theirs, result) if result else ""):
        return replace(file, needs_proof=True, why=f"{file.why}; {why}".removeprefix("; "))
    return file


def _doubts(base: Module, ours: Module, theirs: Module, text: str) -> tuple[str, ...]:
    """Return what is doubtful about a result, in words."""
    if alike := guards.look_alikes(base, ours, theirs):
        places = "; ".join(alike[:3])
        return (f"the new release has added what looks like a place that the patch changes: {places}",)
    if error := merge_tree.syntax_error(text):
        return (f"the result does not compile: {error}",)
    result = merge_tree.parse(text)
    if result is None or guards.dead_code(theirs, result):
        return ("the new release leaves the block before what the patch adds is reached",)
    return tuple(guards.contests(base, ours, theirs, result)[:3])


def _plain(path: str, base: str, ours: str, theirs: str, text: str | None, marked: str) -> File:
    """Decide on a file that is not Python: only lines to go by."""
    if text is None:
        return File(path, Method.PERSON, None, "both change the same lines", marked)
    if text == theirs:  # the release has all of it
        return File(path, Method.LINES, theirs)
    if not guards.same_change(base, ours, theirs, text, scoped=False):
        return File(path, Method.PERSON, None, "upstream has taken a part of it, or repeats its lines", marked)
    if path.endswith((*FRONT_END, ".py")):  # Python of two statements on a line, say, has none either
        return File(path, Method.LINES, text, "no syntax tree of such a file gives a second opinion", needs_proof=True)
    return File(path, Method.LINES, text)


def _finer(merger: Merger, base: str, ours: str, theirs: str) -> tuple[str | None, Method]:
    text = merger.formatted_lines(base, ours, theirs)
    if text is not None:
        return text, Method.FORMATTED
    return merger.functions(base, ours, theirs), Method.FUNCTIONS


def _decide(merger: Merger, path: str, versions: tuple[str, str, str], text: str | None, method: Method) -> File:
    theirs = versions[2]
    base, ours, theirs_formatted = (merger.formatted(version) for version in versions)
    merged, doubt, meets = None, "", False
    try:
        merged = transplant.transplant(base, ours, theirs, merger.formatted)
    except ContestedError as error:
        return File(path, Method.PERSON, None, str(error), proposal=text)
    except UncertainError as error:
        doubt, meets = str(error), isinstance(error, MeetingError)
    if text is not None and merge_tree.parse(text) is None:
        text, doubt = None, doubt or "the merged lines are no longer Python"
    if text is None:
        if merged is None:
            return File(path, Method.PERSON, None, f"both change the same lines, and {doubt}")
        if not guards.complete(base, ours, theirs_formatted, merger.formatted(merged.text)):
            why = "the lines conflict, and the merge of the syntax tree would lose some"
            return File(path, Method.PERSON, None, why, proposal=merged.text)
        sure = not merged.doubts and swapped.agrees(base, ours, theirs_formatted, merged.text, merger.formatted)
        return File(path, Method.TRANSPLANT, merged.text, needs_proof=not sure)
    if merged is not None:
        if not guards.same_tree(text, merged.text):
            why = "the merge of the lines and that of the syntax tree disagree"
            return File(path, Method.PERSON, None, why, proposal=merged.text)
        doubts = merged.doubts
        if not doubts and not guards.same_tree(text, merged.text, logs=True):
            doubts = ("the merge of the lines and the merge of the syntax tree put a log line in different places",)
        return File(path, method, text, "; ".join(doubts), needs_proof=bool(doubts))
    # tokens that no tree vouches for may have gone to another one of several equal places
    if method is not Method.FUNCTIONS and guards.same_change(base, ours, theirs_formatted, merger.formatted(text)):
        return File(path, method, text, doubt if meets else "", needs_proof=meets)
    return File(path, Method.PERSON, None, f"the lines merge to something else than the patch, and {doubt}")
