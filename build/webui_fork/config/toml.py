"""TOML files as typed values: read by `tomllib`, held against a model by msgspec; an error names file, line and key.

docs/adr/0012-typed-configuration.md
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from webui_fork.core.errors import ForkError

_T = TypeVar("_T")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_HEAD = re.compile(r"\s*(\[\[?)([^\[\]]+)\]\]?\s*(#.*)?")
_Path = tuple[str | int, ...]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """A table of a file: its fields, and no others."""


def form(pattern: str) -> msgspec.Meta:
    """Return the constraint that a whole string is of a form, a line end at its end included."""
    return msgspec.Meta(pattern=f"^(?:{pattern})$(?!\\n)")


def check_time(key: str, value: datetime) -> None:
    """Check that a time is an instant in UTC, to the second.

    Raises:
        ValueError: it is not.
    """
    if value.tzinfo is None or value.microsecond or value.utcoffset() != UTC.utcoffset(None):
        raise ValueError(f"`{key}` should be UTC and whole seconds, such as 2026-10-25T08:09:34Z")


def parse(text: str, file: Path, model: type[_T], error: type[ForkError], remedy: str) -> _T:
    """Return a document as a value of a model.

    Args:
        text: the document.
        file: its path, for messages.
        model: a :class:`Table`.
        error: the class of error to raise.
        remedy: what to do about any of them.

    Raises:
        ForkError: of class ``error``: it is not TOML, or not as the model has it.
    """
    data = _document(text, file, error, remedy)
    try:
        # a time or a day is TOML's own, never a string that looks like one
        return msgspec.convert(data, model, builtin_types=(datetime, date))
    except msgspec.ValidationError as cause:
        path, why = _explain(data, model, str(cause))
        names = [step for step in path if isinstance(step, str)]
        where = f"[{'.'.join(names[:-1])}] {names[-1]}" if names[:-1] else "".join(names)
        raise error(f"{file}:{_line(text, path)}: {where}: {why}", remedy=remedy) from None


def read(file: Path, model: type[_T], error: type[ForkError], remedy: str) -> _T:
    """Read a file as a value of a model.

    Args:
        file: its path.
        model: a :class:`Table`.
        error: the class of error to raise.
        remedy: what to do about any of them.

    Raises:
        ForkError: of class ``error``: missing, unreadable, not UTF-8, not TOML, or not as the model has it.
    """
    return parse(text_of(file, error, remedy), file, model, error, remedy)


def text_of(file: Path, error: type[ForkError], remedy: str) -> str:
    """Return the text of a file.

    Args:
        file: its path.
        error: the class of error to raise.
        remedy: what to do about any of them.

    Raises:
        ForkError: of class ``error``: missing, unreadable, or not UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise error(f"{file} is missing.", remedy=remedy) from None
    except (OSError, UnicodeDecodeError) as cause:
        raise error(f"{file} can't be read.", why=str(cause), remedy=remedy) from None


def _document(text: str, file: Path, error: type[ForkError], remedy: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as cause:  # too deep, or a number of 5,000 digits
        match = re.search(r"\(at line (\d+), column \d+\)", str(cause))
        line = match.group(1) if match else str(text.count("\n") + 1)
        why = re.sub(r" \(at .*\)", "", str(cause))
        raise error(f"{file}:{line}: is not TOML: {why}", remedy=remedy) from None


def _explain(data: dict[str, Any], model: Any, words: str) -> tuple[_Path, str]:
    """Return the place that msgspec's words are about, and the words as a user of the file needs them."""
    words = words.replace(" - at `key` in `$", " - at `$")
    why, _, place = words.rpartition(" - at `$") if words.endswith("`") and " - at `$" in words else (words, "", "")
    path: _Path = tuple(name or int(n) for name, n in re.findall(r"\.([^.\[`]+)|\[(\d+)\]", place.split("[...]")[0]))
    pattern = re.search(r"""matching regex ['"]\^\(\?:(.*)\)\$\(\?!""", why)
    shown = pattern.group(1).replace("\\\\", "\\") if pattern else ""
    value = _value(data, path)
    if "[...]" in place and isinstance(value, dict):  # a value of a mapping, whose key msgspec leaves out
        whole = re.compile(shown or ".*", re.DOTALL)
        rest = tuple(re.findall(r"\.([^.\[`]+)", place.split("[...]")[1]))
        texts = {key: _value(one, rest) for key, one in value.items()}
        odd = (key for key, text in texts.items() if not ((rest and text is None) or _fits(text, whole)))
        path = (*path, next(odd, ""), *rest)
        value = _value(data, path)
    if table := re.fullmatch(r"Object (contains unknown|missing required) field `(.*)`", why, re.S):
        fields = ", ".join(_fields(msgspec.inspect.type_info(model), path))
        unknown = table.group(1) == "contains unknown"
        return (*path, table.group(2)), f"is not a known key (known: {fields})" if unknown else "is missing"
    if own := re.fullmatch(r"`(\w+)` (.*)", why, re.S):  # a model's own words
        return (*path, own.group(1)), own.group(2)
    if shown and isinstance(value, dict):  # it is a key that is odd
        value = next((key for key in value if not re.fullmatch(shown, key, re.DOTALL)), "")
        path = (*path, value)
    if shown:
        return path, f"{value!r:.80} is not of the form {shown}"
    if expected := re.fullmatch(r"Expected (.*?)(, got `.*`)?", why, re.S):
        return path, f"should be {expected.group(1)}, not {value!r}"
    return path, why


def _fits(text: object, whole: re.Pattern[str]) -> bool:
    return isinstance(text, str) and whole.fullmatch(text) is not None


def _value(data: Any, path: _Path) -> Any:
    for step in path:
        try:
            data = data[step]
        except (LookupError, TypeError):
            return None
    return data


def _fields(kind: Any, path: _Path) -> list[str]:
    """Return the names of the fields of a table, as the file has them."""
    if isinstance(kind, msgspec.inspect.UnionType):
        kind = next((one for one in kind.types if isinstance(one, msgspec.inspect.StructType)), kind)
    if isinstance(kind, msgspec.inspect.DictType):
        return _fields(kind.value_type, path[1:])
    if path and isinstance(path[0], int):
        return _fields(kind.item_type, path[1:])
    if path:
        return _fields(next(one.type for one in kind.fields if one.encode_name == path[0]), path[1:])
    return sorted(one.encode_name for one in kind.fields)


def _line(text: str, path: _Path) -> int:
    """Return the line of a place, the first being 1; where it is not in the text, of what would hold it."""
    lines: dict[_Path, int] = {}
    for place, number in _places(text):
        lines.setdefault(place, number)
    return next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), 1)


def _places(text: str) -> Iterator[tuple[_Path, int]]:
    """Yield each table and key of a document with its line; the entries of an array of tables are numbered."""
    table: _Path = ()
    counts: dict[_Path, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        head, key = _HEAD.fullmatch(line), _KEY.match(line)
        dotted = head.group(2).strip() if head else key.group(1) if key else ""
        try:
            names = _keys(dotted) if dotted else ()
        except tomllib.TOMLDecodeError:  # a line of a text or an array that only looks like one
            continue
        if head:
            table = names
            if head.group(1) == "[[":
                yield table, number
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            yield table, number
        elif key:
            yield (*table, *names), number


def _keys(dotted: str) -> _Path:
    """Return the parts of a dotted key, as TOML reads them."""
    value: Any = tomllib.loads(f"{dotted} = 0")
    keys = []
    while isinstance(value, dict):
        ((key, value),) = value.items()
        keys.append(key)
    return tuple(keys)
