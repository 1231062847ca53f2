"""Syntax trees that two sides change, merged field by field. Pure."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from webui_fork.merge import tree as merge_tree


class UncertainError(Exception):
    """The place of an edit, or what it should become, is not certain; the message says why."""


class ContestedError(UncertainError):
    """Both sides add statements in one place, and their order matters: no merge can know it, however clean."""


def merge_trees(base: ast.AST, ours: ast.AST, theirs: ast.AST) -> ast.AST:
    """Merge three versions of an expression or a simple statement, field by field.

    Raises:
        UncertainError: both change the same part in different ways.
    """
    one, two, three = (ast.dump(tree) for tree in (base, ours, theirs))
    if one == two or two == three:
        return theirs
    if one == three:
        return ours
    if not type(base) is type(ours) is type(theirs):
        raise UncertainError("both change one expression in different ways")
    if isinstance(base, ast.Dict):  # its keys and values are two lists that only belong together by their order
        raise UncertainError("both change one dictionary")
    fields = {key: _merge_values(getattr(base, key), getattr(ours, key), getattr(theirs, key)) for key in base._fields}
    return type(base)(**fields)


def _merge_values(base: object, ours: object, theirs: object) -> object:
    if isinstance(base, ast.AST) and isinstance(ours, ast.AST) and isinstance(theirs, ast.AST):
        return merge_trees(base, ours, theirs)
    if isinstance(base, list) and isinstance(ours, list) and isinstance(theirs, list):
        return _merge_lists(base, ours, theirs)
    one, two, three = (merge_tree.dump(value) for value in (base, ours, theirs))
    if one == two or two == three:
        return theirs
    if one == three:
        return ours
    raise UncertainError("both change one value in different ways")


def _merge_lists(base: list[ast.AST], ours: list[ast.AST], theirs: list[ast.AST]) -> Sequence[object]:
    if len(base) == len(ours) == len(theirs):
        return [_merge_values(*three) for three in zip(base, ours, theirs, strict=True)]
    from merge3 import Merge3

    if all(isinstance(item, ast.alias) for items in (base, ours, theirs) for item in items):
        return _merge_names(base, ours, theirs)
    one, two, three = ([merge_tree.dump(item) for item in items] for items in (base, ours, theirs))
    values = {merge_tree.dump(item): item for items in (base, ours, theirs) for item in items}
    merged: list[object] = []
    for group in Merge3(one, two, three).merge_groups():
        if group[0] == "conflict":
            raise UncertainError("both change one list in different ways")
        merged += [values[key] for key in group[1]]
    return merged


def _merge_names(base: list[ast.AST], ours: list[ast.AST], theirs: list[ast.AST]) -> Sequence[object]:
    """Merge what a statement imports: a set, whose order has no meaning."""
    was, is_now, in_theirs = ({merge_tree.dump(item) for item in items} for items in (base, ours, theirs))
    if not (was - is_now) <= in_theirs:
        raise UncertainError("both change one import")
    kept = [item for item in theirs if merge_tree.dump(item) not in was - is_now]
    return kept + [item for item in ours if merge_tree.dump(item) not in was | in_theirs]
