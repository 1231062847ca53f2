"""Syntax trees that two sides change, merged field by field. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from webui_fork.merge import tree as merge_tree


class UncertainError(Exception):
    """The place of an edit, or what it should become, is not certain; the message says why."""


class MeetingError(UncertainError):
    """Both change one expression, or the order of statements: a merge of lines that do not meet proves nothing."""


class ContestedError(UncertainError):
    """Both sides add statements in one place, and their order matters: no merge can know it, however clean."""


_APART = ("args", "keywords", "decorator_list", "returns")  # parts of a node that mean something without each other
_ONE_VALUE = (
    ast.AnnAssign, ast.Assign, ast.AsyncFor, ast.AugAssign, ast.BinOp, ast.Call, ast.Compare, ast.For, ast.IfExp,
    ast.Lambda, ast.NamedExpr, ast.Subscript, ast.comprehension,
)  # fmt: skip


def meet(base: ast.AST, ours: ast.AST, theirs: ast.AST) -> bool:
    """Tell whether both sides change one value in different parts of it: what is called and with what, say.

    Arguments and entries that have names are values of their own. Positions are not, where both sides add some.
    """
    if not type(base) is type(ours) is type(theirs) or ast.dump(ours) == ast.dump(theirs):
        return False
    fields = [key for key in base._fields if key not in ("ctx", "type_comment")]
    was, mine, other = ({key: merge_tree.dump(getattr(side, key)) for key in fields} for side in (base, ours, theirs))
    changed = [{key for key in fields if side[key] != was[key]} for side in (mine, other)]
    groups = [{"arguments" if key in _APART else key for key in keys} for keys in changed]
    if isinstance(base, _ONE_VALUE) and all(groups) and len(groups[0] | groups[1]) > 1:
        return True
    return any(_meet(*(getattr(side, key) for side in (base, ours, theirs))) for key in changed[0] & changed[1])


def _meet(base: object, ours: object, theirs: object) -> bool:
    if isinstance(base, ast.AST) and isinstance(ours, ast.AST) and isinstance(theirs, ast.AST):
        return meet(base, ours, theirs)
    if not (isinstance(base, list) and isinstance(ours, list) and isinstance(theirs, list)):
        return False
    if all(isinstance(item, ast.keyword) for side in (base, ours, theirs) for item in side):
        named = [{item.arg: item for item in side} for side in (base, ours, theirs)]
        return any(meet(*(side[key] for side in named)) for key in named[0].keys() & named[1].keys() & named[2].keys())
    if len(base) == len(ours) == len(theirs):
        return any(map(_meet, base, ours, theirs))
    return len(ours) != len(base) != len(theirs) and all(isinstance(item, ast.expr) for item in (*ours, *theirs))


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
        raise MeetingError("both change one expression in different ways")
    if isinstance(base, ast.Dict) and isinstance(ours, ast.Dict) and isinstance(theirs, ast.Dict):
        return _merge_dicts(base, ours, theirs)
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
    raise MeetingError("both change one value in different ways")


def _merge_lists(base: list[ast.AST], ours: list[ast.AST], theirs: list[ast.AST]) -> Sequence[object]:
    if len(base) == len(ours) == len(theirs):
        return [_merge_values(*three) for three in zip(base, ours, theirs, strict=True)]
    from merge3 import Merge3

    if all(isinstance(item, ast.alias) for items in (base, ours, theirs) for item in items):
        return _merge_names(base, ours, theirs)
    if all(isinstance(item, ast.keyword) for items in (base, ours, theirs) for item in items):
        return [part for _, part in _merge_keyed(*(_keywords(items) for items in (base, ours, theirs)))]
    one, two, three = ([merge_tree.dump(item) for item in items] for items in (base, ours, theirs))
    values = {merge_tree.dump(item): item for items in (base, ours, theirs) for item in items}
    merged: list[object] = []
    for group in Merge3(one, two, three).merge_groups():
        keys = _beside(*map(list, group[1:])) if group[0] == "conflict" else group[1]
        merged += [values[key] for key in keys]
    return merged


def _beside(was: list[str], mine: list[str], other: list[str]) -> list[str]:
    """Merge a part of a list to whose end or begin one side adds, and whose items the other changes.

    Raises:
        UncertainError: it is something else.
    """
    count = len(was)
    for adds, changes in ((mine, other), (other, mine)):
        if count and len(changes) == count and adds[:count] == was:
            return changes + adds[count:]
        if count and len(changes) == count and adds[-count:] == was:
            return adds[:-count] + changes
    raise MeetingError("both change one list in different ways")


_Keyed = dict[str, tuple[ast.expr | None, ast.AST]]  # key of a dictionary (None: `**`), and value; or a keyword


def _merge_dicts(base: ast.Dict, ours: ast.Dict, theirs: ast.Dict) -> ast.Dict:
    merged = _merge_keyed(*(_items(side) for side in (base, ours, theirs)))
    return ast.Dict([key for key, _ in merged], [value for _, value in merged if isinstance(value, ast.expr)])


def _items(side: ast.Dict) -> _Keyed:
    pairs = zip(side.keys, side.values, strict=True)
    return _unique(
        (merge_tree.dump(key) if key else f"**{merge_tree.dump(value)}", (key, value)) for key, value in pairs
    )


def _keywords(items: list[ast.AST]) -> _Keyed:
    pairs = ((item, item.arg or f"**{merge_tree.dump(item)}") for item in items if isinstance(item, ast.keyword))
    return _unique((name, (None, item)) for item, name in pairs)


def _unique(pairs: Iterable[tuple[str, tuple[ast.expr | None, ast.AST]]]) -> _Keyed:
    rows = list(pairs)
    if len(dict(rows)) < len(rows):
        raise MeetingError("both change one list, which has a name twice")
    return dict(rows)


def _merge_keyed(base: _Keyed, ours: _Keyed, theirs: _Keyed) -> list[tuple[ast.expr | None, ast.AST]]:
    """Merge what is known by names: the order is theirs, and what ours adds stands behind what it stood behind.

    Raises:
        ContestedError: both add or change one value, or what overrides those that are named (`**`).
        UncertainError: one side takes out what the other changes.
    """
    starred = [[key for key in side if key.startswith("**")] for side in (base, ours, theirs)]
    if any(side != starred[0] for side in starred):
        raise ContestedError("`**`, which overrides named values, is added or removed where both sides change them")
    gone = base.keys() - ours.keys()
    if any(key in theirs and merge_tree.dump(theirs[key][1]) != merge_tree.dump(base[key][1]) for key in gone):
        raise MeetingError("both change one value in different ways")
    merged = {key: pair for key, pair in theirs.items() if key not in gone}
    behind = ""
    for key, (name, value) in ours.items():
        if key in merged:
            old = base[key][1] if key in base else value
            if key not in base and merge_tree.dump(value) != merge_tree.dump(theirs[key][1]):
                raise ContestedError(f"both add {ast.unparse(name) if name else key} in different ways")
            merged[key] = name, merge_trees(old, value, theirs[key][1])
        elif key not in base:
            order = list(merged)
            order.insert(order.index(behind) + 1 if behind in merged else 0, key)
            merged = {one: merged.get(one, (name, value)) for one in order}
        elif merge_tree.dump(value) != merge_tree.dump(base[key][1]):
            raise MeetingError("both change one value in different ways")
        behind = key
    return list(merged.values())


def _merge_names(base: list[ast.AST], ours: list[ast.AST], theirs: list[ast.AST]) -> Sequence[object]:
    """Merge what a statement imports: a set, whose order has no meaning."""
    was, is_now, in_theirs = ({merge_tree.dump(item) for item in items} for items in (base, ours, theirs))
    if not (was - is_now) <= in_theirs:
        raise MeetingError("both change one import")
    kept = [item for item in theirs if merge_tree.dump(item) not in was - is_now]
    return kept + [item for item in ours if merge_tree.dump(item) not in was | in_theirs]
