"""What whoever runs a release relies on, read off its code: migrations, settings, endpoints, requirements. Pure.

Nothing of the release is run, so what it puts together at run time (a setting's name, a path) is not seen.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from packaging.requirements import InvalidRequirement, Requirement

KINDS = ("migration", "setting", "endpoint", "requirement")  # the order in a report
REQUIREMENTS = "backend/requirements.txt"
_ROOT = "backend/open_webui/"
_MIGRATIONS = f"{_ROOT}migrations/versions/"
_MARKS = (b"environ", b"getenv", b"@router.", b"@app.", b"include_router")
_METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "websocket")

Rows = dict[tuple[str, str], set[str]]  # by kind and name


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two releases: its kind, its name, and what it is in each; "" where it does not exist."""

    kind: str
    name: str
    before: str
    after: str

    @property
    def needs_attention(self) -> bool:
        """Whether it can change what runs: a migration, a setting or an endpoint that was there before."""
        return self.kind == "migration" or (self.kind != "requirement" and bool(self.before))


def selects(path: str) -> bool:
    """Tell whether a file of a release says something of its interface."""
    return path == REQUIREMENTS or (path.startswith(_ROOT) and path.endswith(".py"))


def differences(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> tuple[Difference, ...]:
    """Return what differs between two releases, by kind and name.

    Args:
        old, new: the files that :func:`selects` admits, by path.
    """
    before, after = _read(old), _read(new)
    for key in [key for key in before.keys() & after.keys() if key[0] == "migration"]:
        before[key] = after[key]  # the words for one that has run are of no interest
    names = sorted(before.keys() | after.keys(), key=lambda key: (KINDS.index(key[0]), key[1]))
    rows = (Difference(*key, _words(before.get(key)), _words(after.get(key))) for key in names)
    # the words of a migration that has run are of no interest
    return tuple(
        row for row in rows if row.before != row.after and not (row.kind == "migration" and row.before and row.after)
    )


def _words(values: set[str] | None) -> str:
    return ", ".join(sorted(values or ()))


def _read(files: Mapping[str, bytes]) -> Rows:
    rows: Rows = {}
    every = [(path, _file(path, data)) for path, data in sorted(files.items())]
    prefixes = {module: prefix for _, file in every for module, prefix in file.prefixes}
    for path, file in every:
        for kind, name, value in file.rows:
            rows.setdefault((kind, name), set()).add(value)
        router = path.removeprefix(f"{_ROOT}routers/").removesuffix(".py")
        for method, route in file.routes:
            rows["endpoint", f"{method} {prefixes.get(router, '')}{route}"] = {"yes"}
    return rows


@dataclass(frozen=True, slots=True)
class _File:
    """What one file says: rows of kind, name and value; prefixes of modules' routes; routes of its own."""

    rows: tuple[tuple[str, str, str], ...] = ()
    prefixes: tuple[tuple[str, str], ...] = ()
    routes: tuple[tuple[str, str], ...] = ()


@lru_cache(maxsize=1024)  # most files are the same in both releases
def _file(path: str, data: bytes) -> _File:
    if path == REQUIREMENTS:
        return _File(tuple(("requirement", name, version) for name, version in _requirements(data)))
    if path.startswith(_MIGRATIONS):
        return _File((("migration", path.removeprefix(_MIGRATIONS), _migration(_parsed(data))),))
    if not any(mark in data for mark in _MARKS):
        return _File()
    nodes = list(ast.walk(_parsed(data)))
    rows = tuple(("setting", name, default) for node in nodes for name, default in _settings(node))
    prefixes = tuple(item for node in nodes for item in _prefixes(node).items())
    return _File(rows, prefixes, tuple(route for node in nodes for route in _routes(node)))


def _parsed(data: bytes) -> ast.Module:
    try:
        return ast.parse(data)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _requirements(data: bytes) -> Iterator[tuple[str, str]]:
    for line in data.decode("utf-8", "replace").splitlines():
        try:
            requirement = Requirement(line.partition("#")[0].strip())
        except InvalidRequirement:  # an empty line, or an option of pip's
            continue
        marker = f"; {requirement.marker}" if requirement.marker else ""
        yield requirement.name.lower(), f"{requirement.specifier or 'any'}{marker}"


def _migration(module: ast.Module) -> str:
    """Say in a line what a migration is for, and whether it has a way back."""
    title = (ast.get_docstring(module) or "no description").partition("\n")[0].rstrip(".")
    down = next((node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "downgrade"), None)
    return title if down and any(map(_does_something, down.body)) else f"{title} (no way back)"


def _does_something(node: ast.stmt) -> bool:
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return not text and not isinstance(node, ast.Pass | ast.Raise | ast.Return)


def _settings(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield a variable of the environment that an expression reads, and its default as the code has it."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and _dotted(node.value) == "os.environ":
        names, default = [node.slice], "required"
    elif isinstance(node, ast.Call) and _dotted(node.func) in ("os.getenv", "os.environ.get"):
        default = ast.unparse(node.args[1]).replace("os.environ.get(", "os.getenv(") if len(node.args) > 1 else "None"
        names = node.args[:1]
    else:
        return
    yield from (
        (name.value, default) for name in names if isinstance(name, ast.Constant) and isinstance(name.value, str)
    )


def _prefixes(node: ast.AST) -> dict[str, str]:
    """Return below which path a module's routes are, where a call says so: `app.include_router(chats.router, …)`."""
    if not isinstance(node, ast.Call) or not _dotted(node.func).endswith(".include_router") or not node.args:
        return {}
    module = _dotted(node.args[0]).removesuffix(".router")
    prefix = next((word.value for word in node.keywords if word.arg == "prefix"), None)
    return {module: prefix.value} if isinstance(prefix, ast.Constant) and isinstance(prefix.value, str) else {}


def _routes(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield method and path of the endpoints that a function is."""
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else ()
    for call in decorators:
        if not isinstance(call, ast.Call) or not call.args:
            continue
        owner, _, method = _dotted(call.func).rpartition(".")
        if owner in ("router", "app") and method in _METHODS:
            path = call.args[0]
            yield method.upper(), str(path.value) if isinstance(path, ast.Constant) else ast.unparse(path)


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
