"""What `image.toml` may hold: its tables and keys, each with its form."""

from __future__ import annotations

from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, field

from webui_fork.config import toml
from webui_fork.config.toml import Table, form
from webui_fork.core.digest import Digest

Slug = Annotated[str, form(r"[a-z0-9]+([._-][a-z0-9]+)*")]
PackageName = Annotated[str, form(r"[a-z0-9][a-z0-9+.-]+")]
Requirement = Annotated[str, form(r"[a-z0-9][a-z0-9._-]+(={2,3}[0-9][0-9A-Za-z.+!]*)?( ?; ?[a-z0-9_ =!'.]+)?")]
Sha256 = Annotated[str, form(r"[0-9a-f]{64}")]
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


class Sdist(Table, frozen=True, kw_only=True):
    """A pure Python distribution that the index has no wheel of: its source, by digest, and its package there."""

    name: PackageName
    version: Annotated[str, form(r"[0-9][0-9A-Za-z.+!]*")]
    sha256: Sha256
    package: Annotated[str, form(r"[a-z_][a-z0-9_]*")]

    @property
    def digest(self) -> Digest:
        """Its digest."""
        return Digest.of_hex(self.sha256)


class Python(Table, frozen=True, kw_only=True):
    """Python packages: the interpreter's version, a requirements file of the release or the image's folder, the folder.

    ``additions`` (`with`) are locked beside what the file names; ``without`` are locked with the rest and left out.
    """

    version: Annotated[str, form(r"3\.\d+")]
    origin: Annotated[str, form("release|image")] = field(default="release", name="from")
    requirements: str
    additions: tuple[Requirement, ...] = field(default=(), name="with")
    without: Strings = ()
    sources: tuple[Sdist, ...] = field(default=(), name="from-sdist")
    target: Absolute


class Frontend(Table, frozen=True, kw_only=True):
    """How the front end is built where the series changes its sources.

    ``node`` is the distribution on the Python package index whose wheels have Node.js and npm in them; ``sha256`` is
    the wheel for each kind of machine, in uname's words.
    """

    node: Annotated[str, form(r"[a-z0-9-]+==[0-9][0-9A-Za-z.]*")]
    sha256: dict[Annotated[str, form("x86_64|aarch64")], Sha256]

    def digest(self, machine: str) -> Digest:
        """Return the digest of the wheel for a kind of machine."""
        return Digest.of_hex(self.sha256[machine])


class Link(Table, frozen=True, kw_only=True):
    """A symbolic link: where it stands in the image, and the absolute path that it leads to."""

    path: Absolute
    to: Absolute


class Flavour(Table, frozen=True, kw_only=True):
    """What one of several images of a description has beside what they share; ``env`` goes over the shared one.

    ``tag`` ends its tags, as in v0.12.4-p17-slim; "" for none.
    """

    tag: Annotated[str, form(r"([a-z][a-z0-9]*)?")] = ""
    include: tuple[PackageName, ...] = ()
    requirements: str = ""
    additions: tuple[Requirement, ...] = field(default=(), name="with")
    sources: tuple[Sdist, ...] = field(default=(), name="from-sdist")
    link: tuple[Link, ...] = ()
    env: dict[str, str] = field(default_factory=dict)


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


class Variant(Table, frozen=True, kw_only=True):
    """An image of somebody else's to put the series on: what it is called here, and its reference, with {version}."""

    name: Annotated[str, form(r"[a-z][a-z0-9]*")]
    reference: str


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
    architectures: tuple[Annotated[str, form("amd64|arm64")], ...]
    created: datetime | None = None

    def __post_init__(self) -> None:
        if not self.architectures or len(set(self.architectures)) != len(self.architectures):
            raise ValueError("`architectures` needs at least one, and each once")
        if self.created:
            toml.check_time("created", self.created)


class PackagesDocument(Table, frozen=True, kw_only=True):
    """An `image.toml` whose base is made of packages."""

    image: _PackagesHead
    base: Base
    python: Python | None = None
    frontend: Frontend | None = None
    flavour: dict[Slug, Flavour] = field(default_factory=dict)
    application: tuple[Copy, ...] = ()
    folder: tuple[_Folder, ...] = ()
    link: tuple[Link, ...] = ()
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


class AnyDocument(msgspec.Struct):
    """Any `image.toml`, for its kind."""

    base: _AnyBase
