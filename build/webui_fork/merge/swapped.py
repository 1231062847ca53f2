"""A second opinion on what only the syntax tree can place: the same with the sides swapped. Pure."""

from __future__ import annotations

from collections.abc import Callable

from webui_fork.merge import guards, transplant, tree
from webui_fork.merge.change import Change, Place, window
from webui_fork.merge.dataflow import commute
from webui_fork.merge.expressions import UncertainError
from webui_fork.merge.tree import Module


def agrees(base: str, ours: str, theirs: str, merged: str, form: Callable[[str], str]) -> bool:
    """Tell whether the release's change made in ours is the patch's made in theirs, and the patch stands apart.

    Args:
        base, ours, theirs: whole files, laid out alike.
        merged: what became of the patch in theirs.
        form: lays out a statement as theirs is laid out.
    """
    modules = [module for text in (base, ours, theirs) if (module := tree.parse(text))]
    if len(modules) < 3 or not apart(*modules):
        return False
    try:
        swapped = transplant.transplant(base, theirs, ours, form)
    except UncertainError:
        return False
    return not swapped.doubts and guards.same_tree(merged, swapped.text, logs=True)


def apart(base: Module, ours: Module, theirs: Module) -> bool:
    """Tell whether the new release has each place of a patch as it was, and nothing beside it that the change regards.

    What the patch replaces or removes is unchanged. What stands beside the change is what stood there, or may stand on
    either side of what the patch adds.
    """
    change = Change(base, ours, theirs)
    return all(_stands_apart(place, change) for place in change.places)


def _stands_apart(place: Place, change: Change) -> bool:
    run = [*place.removed] or [node for node in (place.before, place.behind) if node]
    new = [change.mapping.of[node] for node in run if node in change.mapping.of]
    if not run or len(new) < len(run):
        return False
    first, *middle, last = window(new, change.parents[1])
    before, *_, behind = window(run, change.parents[0])
    others = [
        now
        for was, now in zip(run, new, strict=True)
        if (was.dump != now.dump if place.is_gap else was.head != now.head)
    ]
    if middle != new or (others and place.removed):
        return False
    beside = [
        now
        for was, now in ((before, first), (behind, last))
        if now and change.mapping.of.get(was or change.base) is not now
    ]
    return commute(place.added, [*others, *beside], calls=not place.removed)
