"""`overrides.toml`: wheels above what the release asks for, each for an advisory, with a reason and an end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from webui_fork.config import toml
from webui_fork.config.toml import Table, form
from webui_fork.core.errors import LockError

REMEDY = "docs/image.md describes every key."
FILE = "overrides.toml"


class Override(Table, frozen=True, kw_only=True):
    """A distribution, the version it is raised to, the advisory that asks for it, why, and the last day it holds."""

    package: Annotated[str, form(r"[a-z0-9]+(-[a-z0-9]+)*")]
    version: Annotated[str, form(r"\d+(\.\d+)*(\.?(post|rc|a|b)\d+)?")]
    advisory: Annotated[str, form(r"[A-Z][A-Za-z0-9]*(-[A-Za-z0-9]+)+")]
    reason: Annotated[str, form(r"[^\s\x00-\x1f][^\x00-\x1f]*")]
    expires: date

    @property
    def pin(self) -> str:
        """The distribution at its version, as a requirements file has it."""
        return f"{self.package}=={self.version}"


class OverridesDocument(Table, frozen=True, kw_only=True):
    """Wheels above what the release asks for."""

    override: tuple[Override, ...]

    def __post_init__(self) -> None:
        if len({one.package for one in self.override}) != len(self.override):
            raise ValueError("`override` names a package twice")


def read(folder: Path) -> tuple[Override, ...]:
    """Read the overrides of an image; none where it has no such file.

    Args:
        folder: of the image's description.

    Raises:
        LockError: the file is odd; the message has the file, the line and the remedy.
    """
    file = folder / FILE
    return toml.read(file, OverridesDocument, LockError, REMEDY).override if file.exists() else ()


def constraints(overrides: Iterable[Override], requirements: str) -> str:
    """Return the file that uv takes overrides from.

    An override stands in place of what the requirements ask for, so it has to ask for the same extras.

    Args:
        overrides: of an image.
        requirements: the text of the release's requirements file.
    """
    rows = []
    for one in overrides:
        extras = sorted({extra for own in _requirements(requirements, one.package) for extra in own.extras})
        rows.append(f"{one.package}[{','.join(extras)}]=={one.version}\n" if extras else f"{one.pin}\n")
    return "".join(rows)


def refuse(overrides: Iterable[Override], requirements: str, today: date) -> None:
    """Refuse overrides that the release's own requirements have caught up with, or whose day has passed.

    Args:
        overrides: of an image.
        requirements: the text of the release's requirements file.
        today: the day.

    Raises:
        LockError: there are such; the message names all of them.
    """
    rows = []
    for one in overrides:
        ahead = [own for own in _requirements(requirements, one.package) if _reaches(own, Version(one.version))]
        if today > one.expires:
            rows.append(f"{one.pin} ({one.advisory}) ended on {one.expires}")
        elif ahead:
            rows.append(f"{one.pin} ({one.advisory}): the release itself asks for {ahead[0]}")
    if rows:
        raise needless(rows)


def split(overrides: Iterable[Override], resolved: Mapping[str, str]) -> tuple[tuple[Override, ...], tuple[str, ...]]:
    """Return the overrides that are needed, and a line for each that is not.

    Args:
        overrides: of an image.
        resolved: the newest version of each distribution that the release's requirements admit.
    """
    needed, rows = [], []
    for one in overrides:
        own = resolved.get(one.package)
        if own is None:
            rows.append(f"{one.pin} ({one.advisory}): the release's requirements do not bring {one.package}")
        elif Version(own) >= Version(one.version):
            rows.append(f"{one.pin} ({one.advisory}): without it the release's requirements give {own}")
        else:
            needed.append(one)
    return tuple(needed), tuple(rows)


def needless(rows: Sequence[str]) -> LockError:
    """Return the error about overrides that should go.

    Args:
        rows: a line for each.
    """
    return LockError(
        f"{FILE} has {len(rows)} overrides that should go.",
        why="\n".join(rows),
        remedy="Remove them and run `nox -s lock`; one that is still needed gets a new date and a reason for it.",
    )


def _requirements(text: str, name: str) -> list[Requirement]:
    """Return what a requirements file asks for of a distribution; there may be several lines, each for a marker."""
    own = []
    for line in text.splitlines():
        try:
            requirement = Requirement(line.partition(" #")[0].strip())
        except InvalidRequirement:  # a comment, an option, an empty line
            continue
        if canonicalize_name(requirement.name) == name:
            own.append(requirement)
    return own


def _reaches(requirement: Requirement, version: Version) -> bool:
    """Tell whether a requirement asks for a version or a newer one; one that just admits it may still give an older."""
    bounds = [one for one in requirement.specifier if one.operator in ("==", ">=", "~=", ">")]
    return any(Version(one.version.removesuffix(".*")) >= version for one in bounds)
