"""A strict reader over TOML: every value is asked for by type, what is left over is an error.

Errors name file, line and remedy. TOML itself (`tomllib`) refuses duplicated tables and keys.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from webui_fork.core.errors import ForkError

SHA256 = re.compile(r"[0-9a-f]{64}")


class Table:
    """One table of a TOML document, read strictly.

    Args:
        data: its content. name: its dotted name, "" for the document.
        text: the document's text, for line numbers. file: its path, for messages.
        error: the class of error to raise. remedy: what to do about any of them.
    """

    def __init__(
        self, data: dict[str, Any], name: str, text: str, file: Path, error: type[ForkError], remedy: str
    ) -> None:
        self._data, self.name, self._text, self._file = data, name, text, file
        self._error, self._remedy = error, remedy
        self._asked: set[str] = set()

    def fail(self, key: str | None, why: str) -> ForkError:
        """Build the error for a key of this table, with the line it stands on."""
        what = f"[{self.name}] {key}" if key and self.name else key or f"[{self.name}]"
        return self._error(f"{self._file}:{self._line(key)}: {what}: {why}", remedy=self._remedy)

    def _line(self, key: str | None) -> int:
        lines = self._text.splitlines()
        start = 0
        if self.name:
            heads = {f"[{self.name}]", f"[[{self.name}]]"}
            start = next((i for i, line in enumerate(lines) if line.split("#")[0].strip() in heads), 0)
        if key is not None:
            pattern = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=""")
            for i in range(start, len(lines)):
                if i > start and lines[i].lstrip().startswith("["):
                    break
                if pattern.match(lines[i]):
                    return i + 1
            child = f"{self.name}.{key}" if self.name else key
            for i, line in enumerate(lines):
                if line.strip().strip("[]") == child:
                    return i + 1
        return start + 1

    def _get(self, key: str, kind: type | tuple[type, ...], called: str, default: Any) -> Any:
        self._asked.add(key)
        if key not in self._data:
            if default is not _REQUIRED:
                return default
            raise self.fail(key, "is missing")
        value = self._data[key]
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if type(value) not in kinds:
            raise self.fail(key, f"should be {called}, not {value!r}")
        return value

    def has(self, key: str) -> bool:
        """Tell whether a key is there."""
        return key in self._data

    def string(self, key: str, default: Any = ..., pattern: re.Pattern[str] | None = None) -> str:
        """Return a string; with ``pattern``, one that matches it whole."""
        value = self._get(key, str, "a string", default)
        if pattern and value is not default and not pattern.fullmatch(value):
            raise self.fail(key, f"{value!r} is not of the form {pattern.pattern}")
        return value  # type: ignore[no-any-return]

    def digest(self, key: str = "sha256") -> str:
        """Return a bare 64-digit sha256."""
        value = self._get(key, str, "a string", ...)
        if not SHA256.fullmatch(value):
            raise self.fail(key, f"{value!r} is not a sha256: 64 lower-case hexadecimal digits")
        return value  # type: ignore[no-any-return]

    def integer(self, key: str, low: int, high: int) -> int:
        """Return an integer within bounds."""
        value = self._get(key, int, "an integer", ...)
        if not low <= value <= high:
            raise self.fail(key, f"{value} is not between {low} and {high}")
        return value  # type: ignore[no-any-return]

    def time(self, key: str) -> datetime:
        """Return an instant in UTC, to the second."""
        value: datetime = self._get(key, datetime, "a UTC time such as 2026-10-25T08:09:34Z", ...)
        if value.tzinfo is None or value.microsecond or value.utcoffset() != UTC.utcoffset(None):
            raise self.fail(key, "should be UTC and whole seconds, such as 2026-10-25T08:09:34Z")
        return value.astimezone(UTC)

    def strings(self, key: str, default: Any = ...) -> tuple[str, ...]:
        """Return an array of strings."""
        value = self._get(key, list, "an array of strings", default)
        if any(type(item) is not str for item in value):
            raise self.fail(key, "should be an array of strings")
        return tuple(value)

    def mapping(self, key: str, default: Any = ...) -> dict[str, str]:
        """Return a table of strings."""
        value = self._get(key, dict, "a table of strings", default)
        if any(type(item) is not str for item in value.values()):
            raise self.fail(key, "should hold only strings")
        return dict(value)

    def table(self, key: str) -> Table:
        """Return a table inside this one."""
        return self._child(key, self._get(key, dict, "a table", ...))

    def table_or_none(self, key: str) -> Table | None:
        """Return a table inside this one, or None where it is absent."""
        value = self._get(key, dict, "a table", None)
        return None if value is None else self._child(key, value)

    def tables(self, key: str) -> list[Table]:
        """Return an array of tables; an absent one is empty."""
        value = self._get(key, list, "an array of tables", [])
        if any(type(item) is not dict for item in value):
            raise self.fail(key, "should be an array of tables")
        return [self._child(key, item) for item in value]

    def _child(self, key: str, data: dict[str, Any]) -> Table:
        name = f"{self.name}.{key}" if self.name else key
        return Table(data, name, self._text, self._file, self._error, self._remedy)

    def done(self) -> None:
        """Refuse what nobody asked for."""
        for key in self._data:
            if key not in self._asked:
                known = ", ".join(sorted(self._asked)) or "none"
                raise self.fail(key, f"is not a known key (known: {known})")


_REQUIRED: Any = ...


def parse(text: str, file: Path, error: type[ForkError], remedy: str) -> Table:
    """Parse a TOML document.

    Raises:
        ForkError: of class ``error``, where it is not TOML.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as cause:
        match = re.search(r"\(at line (\d+), column \d+\)", str(cause))
        line = match.group(1) if match else str(text.count("\n") + 1)
        why = re.sub(r" \(at .*\)", "", str(cause))
        raise error(f"{file}:{line}: is not TOML: {why}", remedy=remedy) from None
    return Table(data, "", text, file, error, remedy)


def read(file: Path, error: type[ForkError], remedy: str, build: Callable[[Table], Any]) -> Any:
    """Read a file and build a value from it; nothing left over is accepted.

    Raises:
        ForkError: of class ``error``: missing, unreadable, not UTF-8, not TOML, or not as expected.
    """
    table = _open(file, error, remedy)
    value = build(table)
    table.done()
    return value


def peek(file: Path, error: type[ForkError], remedy: str, ask: Callable[[Table], Any]) -> Any:
    """Read a file and ask for one value of it, whatever else it holds.

    Raises:
        ForkError: see :func:`read`.
    """
    return ask(_open(file, error, remedy))


def _open(file: Path, error: type[ForkError], remedy: str) -> Table:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise error(f"{file} is missing.", remedy=remedy) from None
    except (OSError, UnicodeDecodeError) as cause:
        raise error(f"{file} can't be read.", why=str(cause), remedy=remedy) from None
    return parse(text, file, error, remedy)
