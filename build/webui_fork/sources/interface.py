"""What whoever runs a release relies on, read off its code: migrations, settings, endpoints, requirements. Pure.

Nothing of the release is run, so what it puts together at run time (a setting's name, a path) is not seen.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from webui_fork.core.text import printable

# the order in a report: of a release, of this tool's own locks, of the images that were built
_OF_LOCKS = ("wheel", "Debian package")
OF_IMAGES = ("licence", "native wheel", "measure")
KINDS = ("unread file", "migration", "setting", "endpoint", "requirement", *_OF_LOCKS, *OF_IMAGES)
REQUIREMENTS = "backend/requirements.txt"
_START = "backend/start.sh"
_ROOT = "backend/open_webui/"
_MIGRATIONS = f"{_ROOT}migrations/versions/"
_MARKS = (b"environ", b"getenv", b"@router.", b"@app.", b"include_router")
_METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "websocket", "api_route")
_READS = ("os.getenv", "getenv", "os.environ.get", "environ.get", "os.environ.pop", "os.environ.setdefault")
_MAPPINGS = ("os.environ", "environ")
_LOGS = ("log.", "logger.", "logging.", "print")
_TELLING = (ast.Call, ast.Subscript, ast.FunctionDef, ast.AsyncFunctionDef)  # the nodes that say something here
_REQUIRED = "required"
_DEFAULTS = re.compile(r"\$\{([A-Z][A-Z0-9_]+):[-=]([^{}]*)\}")  # of a shell's parameter expansion

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
        """Whether it can change what runs: a migration, a required setting, and what was there before."""
        is_package = self.kind in ("requirement", *_OF_LOCKS)
        return self.kind in KINDS[:2] or self.after == _REQUIRED or (bool(self.before) and not is_package)


def selects(path: str) -> bool:
    """Tell whether a file of a release says something of its interface."""
    return path in (REQUIREMENTS, _START) or (path.startswith(_ROOT) and path.endswith(".py"))


def differences(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> tuple[Difference, ...]:
    """Return what differs between two releases, by kind and name.

    Args:
        old, new: the files that :func:`selects` admits, by path.
    """
    before, after = _read(old), _read(new)
    for key in [key for key in before.keys() & after.keys() if key[0] == "migration"]:
        before[key] = after[key]  # the words for one that has run are of no interest
    return compared(before, after)


def compared(before: Rows, after: Rows) -> tuple[Difference, ...]:
    """Return the differences between two sets of rows, by kind and name."""
    names = sorted(before.keys() | after.keys(), key=lambda key: (KINDS.index(key[0]), key[1]))
    rows = (
        Difference(kind, printable(name), _words(before.get((kind, name))), _words(after.get((kind, name))))
        for kind, name in names
    )
    return tuple(row for row in rows if row.before != row.after)


def _words(values: set[str] | None) -> str:
    optional = (values or set()) - {_REQUIRED}  # one that is looked for first is not required
    return printable(", ".join(sorted(optional or values or ())))


def _read(files: Mapping[str, bytes]) -> Rows:
    rows: Rows = {}
    every = {path: _file(path, data) for path, data in sorted(files.items())}
    includes = {
        module: (_module(path), owner, prefix)
        for path, file in every.items()
        for module, owner, prefix in file.includes
    }
    for path, file in every.items():
        for kind, name, value in file.rows:
            rows.setdefault((kind, name), set()).add(value)
        for owner, method, route in file.routes:
            prefix = "" if owner == "app" else _prefix(_module(path), includes)
            rows["endpoint", f"{method} {prefix}{route}"] = {"yes"}
    return rows


def _module(path: str) -> str:
    """Return the word for a module in the calls that include its router: of a package, that of its folder."""
    return path.removesuffix(".py").removesuffix("/__init__").rpartition("/")[2]


def _prefix(module: str, includes: Mapping[str, tuple[str, str, str]]) -> str:
    """Return below which path a module's routes are; `…` where no call that can be read says so."""
    prefix = ""
    for _ in includes:  # as deep as they can be nested
        if module not in includes:
            break
        module, owner, own = includes[module]
        prefix = own + prefix
        if owner == "app":
            return prefix
    return f"…{prefix}"


@dataclass(frozen=True, slots=True)
class _File:
    """What one file says.

    ``rows`` are of kind, name and value; ``includes`` of a module, into what its router goes, and below which path;
    ``routes`` of what they belong to, method and path.
    """

    rows: tuple[tuple[str, str, str], ...] = ()
    includes: tuple[tuple[str, str, str], ...] = ()
    routes: tuple[tuple[str, str, str], ...] = ()


@lru_cache(maxsize=1024)  # most files are the same in both releases
def _file(path: str, data: bytes) -> _File:
    try:
        if path == REQUIREMENTS:
            return _File(tuple(("requirement", name, version) for name, version in _requirements(data)))
        if path == _START:
            defaults = _DEFAULTS.findall(data.decode("utf-8", "replace"))
            return _File(tuple(("setting", name, repr(default)) for name, default in defaults))
        if path.startswith(_MIGRATIONS):
            return _File((("migration", path.removeprefix(_MIGRATIONS), _migration(ast.parse(data))),))
        if not any(mark in data for mark in _MARKS):
            return _File()
        nodes = [node for node in ast.walk(ast.parse(data)) if isinstance(node, _TELLING)]
        readers = (*_READS, *(node.name for node in nodes if isinstance(node, ast.FunctionDef) and _is_reader(node)))
        rows = tuple(("setting", name, default) for node in nodes for name, default in _settings(node, readers))
        includes = tuple(row for node in nodes for row in _includes(node))
        return _File(rows, includes, tuple(route for node in nodes for route in _routes(node)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _File((("unread file", path, "no Python that can be read"),))


def _requirements(data: bytes) -> Iterator[tuple[str, str]]:
    for line in data.decode("utf-8", "replace").splitlines():
        try:
            requirement = Requirement(line.partition(" #")[0].partition(" --")[0].strip())
        except InvalidRequirement:  # an empty line, a comment, or an option of pip's
            continue
        extras = f"[{', '.join(sorted(requirement.extras))}] " if requirement.extras else ""
        marker = f"; {requirement.marker}" if requirement.marker else ""
        yield (
            canonicalize_name(requirement.name),
            f"{extras}{requirement.url or requirement.specifier or 'any'}{marker}",
        )


def _migration(module: ast.Module) -> str:
    """Say in a line what a migration is for, and whether it has a way back."""
    title = (ast.get_docstring(module) or "no description").partition("\n")[0].rstrip(".")
    down = next((node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "downgrade"), None)
    return title if down and any(map(_does_something, down.body)) else f"{title} (no way back)"


def _does_something(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call) and not _dotted(node.value.func).startswith(_LOGS)
    return not isinstance(node, ast.Pass | ast.Raise | ast.Return)


def _is_reader(function: ast.FunctionDef) -> bool:
    """Tell whether a function reads the variable that its first argument names."""
    calls = (node for node in ast.walk(function) if isinstance(node, ast.Call) and _dotted(node.func) in _READS)
    own = [argument.arg for argument in function.args.args[:1]]
    return any(isinstance(name, ast.Name) and name.id in own for call in calls for name in call.args[:1])


def _settings(node: ast.AST, readers: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield a variable of the environment that an expression reads, and its default as the code has it."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and _dotted(node.value) in _MAPPINGS:
        name, default = node.slice, _REQUIRED
    elif isinstance(node, ast.Call) and _dotted(node.func) in readers:
        name = _argument(node, 0, "key")
        default = ast.unparse(_argument(node, 1, "default")).replace("os.environ.get(", "os.getenv(")
    else:
        return
    if isinstance(name, ast.Constant) and isinstance(name.value, str):
        yield name.value, default


def _argument(call: ast.Call, number: int, name: str) -> ast.expr:
    """Return an argument by its place or name; None, as code, where a call has it not."""
    by_name = {keyword.arg: keyword.value for keyword in call.keywords}
    return call.args[number] if len(call.args) > number else by_name.get(name, ast.Constant(None))


def _includes(node: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Yield a module whose router a call includes: `app.include_router(chats.router, prefix='/api/v1/chats')`."""
    if not isinstance(node, ast.Call) or not node.args:
        return
    owner, _, method = _dotted(node.func).rpartition(".")
    if method == "include_router" and owner in ("app", "router"):
        prefixes = [keyword.value for keyword in node.keywords if keyword.arg == "prefix"]
        module = _dotted(node.args[0]).removesuffix(".router").rpartition(".")[2]
        yield module, owner, "".join(map(_path, prefixes))


def _routes(node: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Yield the endpoints that a function is."""
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else ()
    for call in decorators:
        if not isinstance(call, ast.Call) or not call.args:
            continue
        owner, _, method = _dotted(call.func).rpartition(".")
        if owner in ("router", "app") and method in _METHODS:
            yield owner, method.upper().replace("API_ROUTE", "ANY"), _path(call.args[0])


def _path(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ast.unparse(node)


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
