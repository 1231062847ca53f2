"""`overrides.toml`: wheels above what the release asks for, each for an advisory, with a reason and an end. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


def refuse(overrides: Iterable[Override], requirements: str, today: date) -> None:
    """Refuse overrides that the release's own requirements have caught up with, or whose day has passed.

    Args:
        overrides: of an image.
        requirements: the text of the release's requirements file.
        today: the day.

    Raises:
        LockError: there are such; the message names all of them.
    """
    released = _requirements(requirements)
    rows = []
    for one in overrides:
        if today > one.expires:
            rows.append(f"{one.pin} ({one.advisory}) ended on {one.expires}")
        elif (own := released.get(one.package)) and _reaches(own, Version(one.version)):
            rows.append(f"{one.pin} ({one.advisory}): the release itself asks for {own}")
    _refuse(rows)


def refuse_needless(overrides: Iterable[Override], resolved: Mapping[str, str]) -> None:
    """Refuse overrides of what resolves to that version, or to a newer one, by itself.

    Args:
        overrides: of an image.
        resolved: the newest version of each distribution that the release's requirements admit.

    Raises:
        LockError: there are such; the message names all of them.
    """
    own = {one: resolved[one.package] for one in overrides if one.package in resolved}
    _refuse(
        f"{one.pin} ({one.advisory}): without it the release's requirements give {version}"
        for one, version in own.items()
        if Version(version) >= Version(one.version)
    )


def _refuse(lines: Iterable[str]) -> None:
    if rows := list(lines):
        raise LockError(
            f"{FILE} has {len(rows)} overrides that should go.",
            why="\n".join(rows),
            remedy="Remove them and run `nox -s lock`; one that is still needed gets a new date and a reason for it.",
        )


def _requirements(text: str) -> dict[str, Requirement]:
    released: dict[str, Requirement] = {}
    for line in text.splitlines():
        try:
            requirement = Requirement(line.partition(" #")[0].strip())
        except InvalidRequirement:  # a comment, an option, an empty line
            continue
        released[canonicalize_name(requirement.name)] = requirement
    return released


def _reaches(requirement: Requirement, version: Version) -> bool:
    """Tell whether a requirement admits a version, or asks for a newer one."""
    if requirement.specifier.contains(version, prereleases=True):
        return True
    lowest = [Version(one.version) for one in requirement.specifier if one.operator in ("==", ">=", "~=", ">")]
    return any(bound >= version for bound in lowest)
