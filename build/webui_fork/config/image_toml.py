"""`image.toml`: what an image is made of, as frozen values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from webui_fork.config import overrides, toml
from webui_fork.config.image_tables import (
    AnyDocument,
    Base,
    Copy,
    Flavour,
    Frontend,
    Link,
    PackagesDocument,
    Python,
    RegistryDocument,
    Variant,
)
from webui_fork.config.overrides import Override
from webui_fork.core.errors import ImageError

REMEDY = "docs/image.md describes every key."
FRONT_END = ("src/", "static/")  # its sources in the release
BUILT_FRONT_END = "open_webui/frontend"  # in the release's wheel
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}  # Go's words, and uname's


@dataclass(frozen=True, slots=True)
class Folder:
    """An empty folder with an owner."""

    path: str
    mode: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Where files of the release stand in an image, and how its front end is built (None: it can't be)."""

    copies: tuple[Copy, ...]
    frontend: Frontend | None

    def writable(self, path: str) -> bool:
        """Tell whether group 0 may write to a path of the release."""
        return any(copy.origin == "release" and copy.place(path) and copy.writable(path) for copy in self.copies)

    def place(self, path: str) -> str | None:
        """Return where a path of the release stands in the image, or None if it is not in it."""
        for copy in self.copies:
            if copy.origin == "release" and (placed := copy.place(path)):
                return placed
        return None

    def builds(self, path: str) -> bool:
        """Tell whether a path of the release is a source of the front end, and that is built where it is changed."""
        return self.frontend is not None and path.startswith(FRONT_END)

    def front_end_of(self, paths: Iterable[str]) -> Frontend | None:
        """Return how the front end is built where some paths of the release change, None where it is the wheel's."""
        return self.frontend if any(map(self.builds, paths)) else None

    def place_built(self, path: str) -> str | None:
        """Return where a file of the built front end stands in the image, or None if it is not in it."""
        for copy in self.copies:
            if copy.origin == "wheel" and (placed := copy.place(f"{BUILT_FRONT_END}/{path}")):
                return placed
        return None


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
    """A parsed `image.toml` whose base is made of packages; ``run`` is the OCI config object, with placeholders.

    ``flavour`` is which of its images this is, "" where it has one only; ``subfolder`` is where the results of one
    go that is not the first; ``architectures`` are all that it is built for, of which this is one; ``locks`` begins
    the names of its locks, and ``ending`` ends its tags.
    """

    folder: Path
    name: str
    flavour: str
    subfolder: str
    locks: str
    ending: str
    home: str
    architecture: str
    architectures: tuple[str, ...]
    created: datetime | None
    annotations: tuple[tuple[str, str], ...]
    base: Base
    wheels: Python | None
    overrides: tuple[Override, ...]
    folders: tuple[Folder, ...]
    links: tuple[Link, ...]
    run: dict[str, Any]

    @property
    def title(self) -> str:
        """What people call it: its name, its flavour and its architecture."""
        return f"{self.name} ({', '.join(filter(None, (self.flavour, self.architecture)))})"

    def lock(self, kind: str) -> Path:
        """Return where one of its locks is.

        Args:
            kind: `debian` or `requirements`.
        """
        return self.folder / f"{self.locks}{kind}.lock"

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
        return MACHINES[self.architecture]


def flavours(folder: Path) -> tuple[str, ...]:
    """Return the flavours of an image that is made of packages, its default first; "" alone where it has none.

    Raises:
        ImageError: see :func:`read`.
    """
    _require(folder, "packages")
    return tuple(toml.read(folder / "image.toml", PackagesDocument, ImageError, REMEDY).flavour) or ("",)


def architecture_of(machine: str) -> str:
    """Return the architecture of a machine in Go's words.

    Args:
        machine: in uname's words.
    """
    return next((name for name, other in MACHINES.items() if other == machine), machine)


def architectures(folder: Path) -> tuple[str, ...]:
    """Return the architectures, in Go's words, that an image made of packages is built for, its default first.

    Raises:
        ImageError: see :func:`read`.
    """
    _require(folder, "packages")
    return toml.read(folder / "image.toml", PackagesDocument, ImageError, REMEDY).image.architectures


def read(folder: Path, flavour: str = "", architecture: str = "") -> ImageSpec:
    """Read `image.toml` of an image that is made of packages.

    Args:
        folder: below `images/`.
        flavour: one that it has; "" for its first.
        architecture: one that it is built for, in Go's words; "" for its first.

    Raises:
        ImageError: missing, unreadable or odd; the message has the file, the line and the remedy.
        LockError: its overrides are.
    """
    _require(folder, "packages")
    document = toml.read(folder / "image.toml", PackagesDocument, ImageError, REMEDY)
    names = tuple(document.flavour) or ("",)
    flavour = flavour or names[0]
    if flavour not in names:
        remedy = f"It has {', '.join(names)}." if names[0] else "It has one image only: leave --flavour out."
        raise ImageError(f"{folder / 'image.toml'} has no flavour {flavour!r}.", remedy=remedy)
    built_for = document.image.architectures
    architecture = architecture or built_for[0]
    if architecture not in built_for:
        remedy = f"It is built for {', '.join(built_for)}."
        raise ImageError(f"{folder / 'image.toml'} is not built for {architecture!r}.", remedy=remedy)
    own = document.flavour.get(flavour, Flavour())
    document = _flavoured(document, own)
    if document.python is None:
        _refuse_overrides(folder)
    _refuse_links(folder, document.application)
    return ImageSpec(
        folder=folder,
        name=document.image.name,
        flavour=flavour,
        subfolder="" if flavour == names[0] else flavour,
        locks="".join(f"{one}." for one in (flavour, architecture) if one not in (names[0], built_for[0])),
        ending=own.tag,
        home=document.image.home,
        architecture=architecture,
        architectures=built_for,
        created=document.image.created,
        annotations=tuple(sorted(document.image.annotations.items())),
        base=document.base,
        wheels=document.python,
        overrides=overrides.read(folder),
        copies=document.application,
        frontend=document.frontend,
        folders=tuple(Folder(one.path, int(one.mode, 8), one.uid, one.gid) for one in document.folder),
        links=document.link,
        run=document.run.config(),
    )


def _flavoured(document: PackagesDocument, own: Flavour) -> PackagesDocument:
    """Return a description with what a flavour has beside the rest."""
    python = document.python and msgspec.structs.replace(
        document.python,
        requirements=own.requirements or document.python.requirements,
        additions=(*document.python.additions, *own.additions),
        sources=(*document.python.sources, *own.sources),
    )
    return msgspec.structs.replace(
        document,
        base=msgspec.structs.replace(document.base, include=(*document.base.include, *own.include)),
        python=python,
        link=(*document.link, *own.link),
        run=msgspec.structs.replace(document.run, env={**document.run.env, **own.env}),
    )


def kind(folder: Path) -> str:
    """Return the kind of an image's base, `packages` or `registry`.

    Raises:
        ImageError: it is neither.
    """
    return toml.read(folder / "image.toml", AnyDocument, ImageError, REMEDY).base.kind


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


def _refuse_links(folder: Path, copies: Iterable[Copy]) -> None:
    """Refuse a file of the image's folder that is a link: it could put a file of this machine into the image.

    Raises:
        ImageError: there is one.
    """
    for copy in copies:
        file = folder / copy.path
        if copy.origin == "image" and file.resolve() != folder.resolve() / copy.path:
            raise ImageError(f"{file} is a link.", remedy="Put the file itself there.")


def read_registry(folder: Path) -> RegistrySpec:
    """Read `image.toml` of an image whose base stands in a registry.

    Raises:
        ImageError: missing, unreadable or odd; the message has the file, the line and the remedy.
    """
    _require(folder, "registry")
    _refuse_overrides(folder)
    document = toml.read(folder / "image.toml", RegistryDocument, ImageError, REMEDY)
    _refuse_links(folder, document.application)
    return RegistrySpec(
        copies=document.application,
        frontend=None,
        folder=folder,
        name=document.image.name,
        home=document.image.home,
        annotations=tuple(sorted(document.image.annotations.items())),
        variants=document.variant,
    )
