"""`image.toml`: what an image is made of, parsed and validated into frozen values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from webui_fork.config import toml
from webui_fork.config.toml import Table
from webui_fork.core.errors import ImageError

REMEDY = "docs/image.md describes every key."

_SLUG = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
_VARIANT = re.compile(r"[a-z][a-z0-9]*")
_ARCH = re.compile(r"amd64|arm64")
_SUITE = re.compile(r"[a-z]+")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_URL = re.compile(r"https://[A-Za-z0-9./_-]+[A-Za-z0-9_-]")
_ABSOLUTE = re.compile(r"/[A-Za-z0-9._/-]+")
_MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True, slots=True)
class Base:
    """A base made of Debian packages: suite, packages beside the essential ones, dpkg path-excludes.

    ``remove`` are patterns of what the packages' own scripts make when they are installed, such as keys.
    """

    suite: str
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    remove: tuple[str, ...]
    user: str
    uid: int


@dataclass(frozen=True, slots=True)
class Python:
    """Python packages: the interpreter's version, a requirements file of the release or the image's folder, the folder.

    ``without`` are distributions that are locked with the rest and left out.
    """

    version: str
    origin: str
    requirements: str
    without: tuple[str, ...]
    target: str


@dataclass(frozen=True, slots=True)
class Copy:
    """Files taken from the release, its wheel, the image's own folder or the tiny model to a place in the image."""

    origin: str
    path: str
    to: str
    exclude: tuple[str, ...]
    group_writable: tuple[str, ...]

    def place(self, path: str) -> str | None:
        """Return where a path of the origin stands in the image (no leading slash), or None."""
        if path == self.path:
            return self.to.lstrip("/")
        prefix = self.path.rstrip("/") + "/"
        if not path.startswith(prefix):
            return None
        inside = path[len(prefix) :]
        if any(fnmatch(inside, pattern) for pattern in self.exclude):
            return None
        return f"{self.to.strip('/')}/{inside}"

    def writable(self, path: str) -> bool:
        """Tell whether group 0 may write to a path of the origin, as upstream has it for OpenShift."""
        inside = path.removeprefix(self.path.rstrip("/") + "/")
        return any(inside == part or inside.startswith(part + "/") for part in self.group_writable)


@dataclass(frozen=True, slots=True)
class Folder:
    """An empty folder with an owner."""

    path: str
    mode: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Where files of the release stand in an image."""

    copies: tuple[Copy, ...]

    def writable(self, path: str) -> bool:
        """Tell whether group 0 may write to a path of the release."""
        return any(copy.origin == "release" and copy.place(path) and copy.writable(path) for copy in self.copies)

    def place(self, path: str) -> str | None:
        """Return where a path of the release stands in the image, or None if it is not in it."""
        for copy in self.copies:
            if copy.origin == "release" and (placed := copy.place(path)):
                return placed
        return None


@dataclass(frozen=True, slots=True)
class Variant:
    """An image of somebody else's to put the series on: what it is called here, and its reference, with {version}."""

    name: str
    reference: str


@dataclass(frozen=True, slots=True)
class RegistrySpec(Placement):
    """A parsed `image.toml` whose base stands in a registry."""

    folder: Path
    name: str
    home: str
    annotations: tuple[tuple[str, str], ...]
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class ImageSpec(Placement):
    """A parsed `image.toml` whose base is made of packages; ``run`` is the OCI config object, with placeholders."""

    folder: Path
    name: str
    home: str
    architecture: str
    created: datetime | None
    annotations: tuple[tuple[str, str], ...]
    base: Base
    wheels: Python | None
    folders: tuple[Folder, ...]
    run: dict[str, Any]

    @property
    def python(self) -> Python:
        """Its Python packages.

        Raises:
            ImageError: it has none.
        """
        if self.wheels is None:
            raise ImageError(f"{self.folder / 'image.toml'} has no [python].", remedy=REMEDY)
        return self.wheels

    @property
    def platform(self) -> tuple[str, str]:
        """(operating system, architecture) in Go's words."""
        return ("linux", self.architecture)

    @property
    def machine(self) -> str:
        """The architecture in uname's words."""
        return _MACHINE[self.architecture]


def _base(table: Table) -> Base:
    kind = table.string("kind")
    if kind != "packages":
        raise table.fail("kind", f"{kind!r} is not one that is built from packages here")
    base = Base(
        suite=table.string("suite", pattern=_SUITE),
        include=table.strings("include"),
        exclude=table.strings("exclude", []),
        remove=table.strings("remove", []),
        user=table.string("user", pattern=_SLUG),
        uid=table.integer("uid", 1, 65534),
    )
    for name in base.include:
        if not _PACKAGE.fullmatch(name):
            raise table.fail("include", f"{name!r} is not the name of a Debian package")
    table.done()
    return base


def _copy(table: Table) -> Copy:
    origin = table.string("from")
    if origin not in ("release", "wheel", "image", "tiny-model"):
        raise table.fail("from", f"{origin!r} is not one of release, wheel, image, tiny-model")
    copy = Copy(
        origin,
        table.string("path"),
        table.string("to", pattern=_ABSOLUTE),
        table.strings("exclude", []),
        table.strings("group-writable", []),
    )
    if ".." in Path(copy.path).parts or Path(copy.path).is_absolute():
        raise table.fail("path", f"{copy.path!r} leads out of its origin")
    table.done()
    return copy


def _python(table: Table) -> Python:
    origin = table.string("from", "release")
    if origin not in ("release", "image"):
        raise table.fail("from", f"{origin!r} is not one of release, image")
    python = Python(
        table.string("version", pattern=re.compile(r"3\.\d+")),
        origin,
        table.string("requirements"),
        table.strings("without", []),
        table.string("target", pattern=_ABSOLUTE),
    )
    table.done()
    return python


def _folder(table: Table) -> Folder:
    mode = table.string("mode", pattern=re.compile(r"[0-7]{3,4}"))
    folder = Folder(
        table.string("path", pattern=_ABSOLUTE),
        int(mode, 8),
        table.integer("uid", 0, 65534),
        table.integer("gid", 0, 65534),
    )
    table.done()
    return folder


def _run(table: Table) -> dict[str, Any]:
    health = table.table("healthcheck")
    run: dict[str, Any] = {
        "Entrypoint": list(table.strings("entrypoint")),
        "Cmd": list(table.strings("cmd")),
        "WorkingDir": table.string("workdir", pattern=_ABSOLUTE),
        "ExposedPorts": {port: {} for port in table.strings("ports")},
        "StopSignal": table.string("stop-signal"),
        "Env": [f"{key}={value}" for key, value in sorted(table.mapping("env").items())],
        # not in the OCI specification, which leaves room for it; Docker and Podman read it
        "Healthcheck": {
            "Test": list(health.strings("test")),
            "Interval": health.integer("interval", 1, 3600) * 10**9,
            "Timeout": health.integer("timeout", 1, 3600) * 10**9,
            "StartPeriod": health.integer("start-period", 0, 3600) * 10**9,
            "Retries": health.integer("retries", 1, 100),
        },
    }
    health.done()
    table.done()
    return run


def _build(document: Table, folder: Path) -> ImageSpec:
    head = document.table("image")
    spec = ImageSpec(
        folder=folder,
        name=head.string("name", pattern=_SLUG),
        home=head.string("home", "", pattern=_URL),
        architecture=head.string("architecture", pattern=_ARCH),
        created=head.time("created") if head.has("created") else None,
        annotations=tuple(sorted(head.mapping("annotations").items())),
        base=_base(document.table("base")),
        wheels=_python(document.table("python")) if document.has("python") else None,
        copies=tuple(_copy(table) for table in document.tables("application")),
        folders=tuple(_folder(table) for table in document.tables("folder")),
        run=_run(document.table("run")),
    )
    head.done()
    return spec


def read(folder: Path) -> ImageSpec:
    """Read `image.toml` of an image that is made of packages.

    Raises:
        ImageError: missing, unreadable or odd; the message has the file, the line and the remedy.
    """
    spec: ImageSpec = toml.read(folder / "image.toml", ImageError, REMEDY, lambda document: _build(document, folder))
    return spec


def kind(folder: Path) -> str:
    """Return the kind of an image's base, `packages` or `registry`.

    Raises:
        ImageError: it is neither.
    """

    def ask(document: Table) -> str:
        base = document.table("base")
        kind_name = base.string("kind")
        if kind_name not in ("packages", "registry"):
            raise base.fail("kind", f"{kind_name!r} is not one of packages, registry")
        return kind_name

    return str(toml.peek(folder / "image.toml", ImageError, REMEDY, ask))


def _registry(document: Table, folder: Path) -> RegistrySpec:
    head, base = document.table("image"), document.table("base")
    base.string("kind", pattern=re.compile("registry"))
    variants = []
    for table in document.tables("variant"):
        variants.append(Variant(table.string("name", pattern=_VARIANT), table.string("reference")))
        table.done()
    spec = RegistrySpec(
        copies=tuple(_copy(table) for table in document.tables("application")),
        folder=folder,
        name=head.string("name", pattern=_SLUG),
        home=head.string("home", "", pattern=_URL),
        annotations=tuple(sorted(head.mapping("annotations").items())),
        variants=tuple(variants),
    )
    if len({variant.name for variant in variants}) != len(variants) or not variants:
        raise document.fail("variant", "needs at least one entry, and each its own name")
    head.done()
    base.done()
    return spec


def read_registry(folder: Path) -> RegistrySpec:
    """Read `image.toml` of an image whose base stands in a registry.

    Raises:
        ImageError: missing, unreadable or odd; the message has the file, the line and the remedy.
    """
    spec: RegistrySpec = toml.read(
        folder / "image.toml", ImageError, REMEDY, lambda document: _registry(document, folder)
    )
    return spec
