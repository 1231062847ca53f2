"""A patch's change of a file, beside the release's: where it stands, and what the release has there. Pure."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from webui_fork.merge import matching, transplant, tree
from webui_fork.merge.dataflow import is_log
from webui_fork.merge.transplant import Edit, Gap
from webui_fork.merge.tree import Module, Node, Parents


@dataclass(frozen=True, slots=True)
class Place:
    """An edit of a patch, and what is around it in the base; of what is changed, ``removed`` is the old statement."""

    removed: tuple[Node, ...]
    added: tuple[Node, ...]
    before: Node | None
    behind: Node | None
    owner: Node
    block: str
    is_gap: bool

    def parts(self, added: bool) -> list[ast.AST]:
        """Return what it adds or removes; of a statement that it changes, without what is in its blocks."""
        nodes = self.added if added else self.removed
        return [node.tree if self.is_gap else transplant.bare(node) for node in nodes]


@dataclass(frozen=True)
class Change:
    """A patch's change of a file, beside the release's."""

    base: Module
    ours: Module
    theirs: Module

    @cached_property
    def mapping(self) -> matching.Mapping:
        """Which statement of theirs is which of the base."""
        return matching.match(self.base, self.theirs)

    @cached_property
    def parents(self) -> tuple[Parents, Parents]:
        """Of the base, and of theirs."""
        return tree.parents(self.base), tree.parents(self.theirs)

    @cached_property
    def edits(self) -> tuple[Edit, ...]:
        """What the patch changes."""
        return transplant.edits(self.base, self.ours)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Where it changes something."""
        return tuple(map(self._place, self.edits))

    def _place(self, edit: Edit) -> Place:
        if isinstance(edit, Gap):
            return Place(edit.removed, edit.added, edit.before, edit.after, edit.owner, edit.block, True)
        before, _, behind = window([edit.old], self.parents[0])
        return Place((edit.old,), (edit.new,), before, behind, *self.parents[0][edit.old], False)

    @cached_property
    def old(self) -> dict[Node, Node]:
        """Of each statement of theirs that the base has, too, the one there."""
        return {now: was for was, now in self.mapping.of.items()}

    def line(self, node: Node) -> str:
        """Return the first line of a statement of theirs."""
        return self.theirs.lines[node.start].strip()

    def below(self, node: Node) -> Iterator[tuple[Node | None, Node]]:
        """Yield what the release adds or changes in a statement of the base, but for log lines: what it was, and is."""
        counterpart = self.mapping.get(node)
        for inner in counterpart.walk() if counterpart else ():
            was = self.old.get(inner)
            if inner is not counterpart and not is_log(inner.tree) and (was is None or was.head != inner.head):
                yield was, inner

    @cached_property
    def more_uses(self) -> tuple[dict[str, Counter[str]], ...]:
        """Which names each function uses more often than in the base: in ours, and in theirs."""
        was = dict(tree.definitions(self.base))
        return tuple(
            {
                name: _uses(node) - (_uses(was[name]) if name in was else Counter())
                for name, node in tree.definitions(side)
                if name not in was or was[name].dump != node.dump  # counting takes long
            }
            for side in (self.ours, self.theirs)
        )


def window(run: Sequence[Node], parents: Parents) -> list[Node | None]:
    """Return statements of one block, with the one before and the one behind (None at the block's ends)."""
    owner, key = parents[run[0]]
    block = (None, *owner.blocks[key], None)
    start = block.index(run[0])
    return list(block[start - 1 : start + len(run) + 1])


def _uses(function: Node) -> Counter[str]:
    return Counter(part.id for part in ast.walk(function.tree) if isinstance(part, ast.Name))
