"""`image.toml`: what an image is made of, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, field

from webui_fork.config import overrides, toml
from webui_fork.config.overrides import Override
from webui_fork.config.toml import Table, form
from webui_fork.core.errors import ImageError

REMEDY = "docs/image.md describes every key."
_MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}

Slug = Annotated[str, form(r"[a-z0-9]+([._-][a-z0-9]+)*")]
PackageName = Annotated[str, form(r"[a-z0-9][a-z0-9+.-]+")]
Url = Annotated[str, form(r"(https://[A-Za-z0-9./_-]+[A-Za-z0-9_-])?")]
Absolute = Annotated[str, form(r"/[A-Za-z0-9._/-]+")]
Strings = tuple[str, ...]
Id = Annotated[int, Meta(ge=0, le=65534)]
Seconds = Annotated[int, Meta(ge=1, le=3600)]


class Base(Table, frozen=True, kw_only=True):
    """A base made of Debian packages: suite, packages beside the essential ones, paths to leave out."""

    kind: Annotated[str, form("packages")]
    suite: Annotated[str, form(r"[a-z]+")]
    include: tuple[PackageName, ...]
    exclude: Strings = ()
    user: Slug
    uid: Annotated[int, Meta(ge=1, le=65534)]


class Python(Table, frozen=True, kw_only=True):
    """Python packages: the interpreter's version, a requirements file of the release or the image's folder, the folder.

    ``additions`` (`with`) are locked beside what the file names; ``without`` are locked with the rest and left out.
    """

    version: Annotated[str, form(r"3\.\d+")]
    origin: Annotated[str, form("release|image")] = field(default="release", name="from")
    requirements: str
    additions: tuple[PackageName, ...] = field(default=(), name="with")
    without: Strings = ()
    target: Absolute


class Copy(Table, frozen=True, kw_only=True):
    """Files taken from the release, its wheel, the image's own folder or the tiny model to a place in the image."""

    origin: Annotated[str, form("release|wheel|image|tiny-model")] = field(name="from")
    path: str
    to: Absolute
    exclude: Strings = ()
    group_writable: Strings = ()

    def __post_init__(self) -> None:
        """Refuse a path that leads out of its origin."""
        if ".." in Path(self.path).parts or Path(self.path).is_absolute():
            raise ValueError(f"`path` {self.path!r} leads out of its origin")

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


class Variant(Table, frozen=True, kw_only=True):
    """An image of somebody else's to put the series on: what it is called here, and its reference, with {version}."""

    name: Annotated[str, form(r"[a-z][a-z0-9]*")]
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
    overrides: tuple[Override, ...]
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


class _Folder(Table, frozen=True, kw_only=True):
    path: Absolute
    mode: Annotated[str, form(r"[0-7]{3,4}")]
    uid: Id
    gid: Id


class _Healthcheck(Table, frozen=True, kw_only=True):
    test: list[str]
    interval: Seconds
    timeout: Seconds
    start_period: Annotated[int, Meta(ge=0, le=3600)]
    retries: Annotated[int, Meta(ge=1, le=100)]


class _Run(Table, frozen=True, kw_only=True):
    entrypoint: list[str]
    cmd: list[str]
    workdir: Absolute
    ports: Strings
    stop_signal: str
    env: dict[str, str]
    healthcheck: _Healthcheck

    def config(self) -> dict[str, Any]:
        """Return the OCI config object."""
        health = self.healthcheck
        return {
            "Entrypoint": self.entrypoint,
            "Cmd": self.cmd,
            "WorkingDir": self.workdir,
            "ExposedPorts": {port: {} for port in self.ports},
            "StopSignal": self.stop_signal,
            "Env": [f"{key}={value}" for key, value in sorted(self.env.items())],
            # not in the OCI specification, which leaves room for it; Docker and Podman read it
            "Healthcheck": {
                "Test": health.test,
                "Interval": health.interval * 10**9,
                "Timeout": health.timeout * 10**9,
                "StartPeriod": health.start_period * 10**9,
                "Retries": health.retries,
            },
        }


class _Head(Table, frozen=True, kw_only=True):
    name: Slug
    home: Url = ""
    annotations: dict[str, str]


class _PackagesHead(_Head, frozen=True, kw_only=True):
    architecture: Annotated[str, form("amd64|arm64")]
    created: datetime | None = None

    def __post_init__(self) -> None:
        if self.created:
            toml.check_time("created", self.created)


class PackagesDocument(Table, frozen=True, kw_only=True):
    """An `image.toml` whose base is made of packages."""

    image: _PackagesHead
    base: Base
    python: Python | None = None
    application: tuple[Copy, ...] = ()
    folder: tuple[_Folder, ...] = ()
    run: _Run


class _RegistryBase(Table, frozen=True, kw_only=True):
    kind: Annotated[str, form("registry")]


class RegistryDocument(Table, frozen=True, kw_only=True):
    """An `image.toml` whose base stands in a registry."""

    image: _Head
    base: _RegistryBase
    variant: tuple[Variant, ...] = ()
    application: tuple[Copy, ...] = ()

    def __post_init__(self) -> None:
        """Refuse two variants of one name."""
        if not self.variant or len({variant.name for variant in self.variant}) != len(self.variant):
            raise ValueError("`variant` needs at least one entry, and each its own name")


class _AnyBase(msgspec.Struct):
    kind: Annotated[str, form("packages|registry")]


class _AnyDocument(msgspec.Struct):
    base: _AnyBase


def read(folder: Path) -> ImageSpec:
    """Read `image.toml` of an image that is made of packages.

    Raises:
        ImageError: missing, unreadable or odd; the message has the file, the line and the remedy.
        LockError: its overrides are.
    """
    _require(folder, "packages")
    document = toml.read(folder / "image.toml", PackagesDocument, ImageError, REMEDY)
    if document.python is None:
        _refuse_overrides(folder)
    return ImageSpec(
        folder=folder,
        name=document.image.name,
        home=document.image.home,
        architecture=document.image.architecture,
        created=document.image.created,
        annotations=tuple(sorted(document.image.annotations.items())),
        base=document.base,
        wheels=document.python,
        overrides=overrides.read(folder),
        copies=document.application,
        folders=tuple(Folder(one.path, int(one.mode, 8), one.uid, one.gid) for one in document.folder),
        run=document.run.config(),
    )


def kind(folder: Path) -> str:
    """Return the kind of an image's base, `packages` or `registry`.

    Raises:
        ImageError: it is neither.
    """
    return toml.read(folder / "image.toml", _AnyDocument, ImageError, REMEDY).base.kind


def _require(folder: Path, needed: str) -> None:
    """Refuse an image of another kind by its kind, before its keys are called unknown."""
    if (actual := kind(folder)) != needed:
        raise ImageError(
            f"{folder / 'image.toml'}: [base] kind is {actual!r}, where {needed!r} is needed.", remedy=REMEDY
        )


def _refuse_overrides(folder: Path) -> None:
    """Refuse overrides where they would do nothing."""
    if (folder / overrides.FILE).exists():
        raise ImageError(f"{folder / overrides.FILE} is beside an image without Python packages.", remedy=REMEDY)


def read_registry(folder: Path) -> RegistrySpec:
    """Read `image.toml` of an image whose base stands in a registry.

    Raises:
        ImageError: missing, unreadable or odd; the message has the file, the line and the remedy.
    """
    _require(folder, "registry")
    _refuse_overrides(folder)
    document = toml.read(folder / "image.toml", RegistryDocument, ImageError, REMEDY)
    return RegistrySpec(
        copies=document.application,
        folder=folder,
        name=document.image.name,
        home=document.image.home,
        annotations=tuple(sorted(document.image.annotations.items())),
        variants=document.variant,
    )
