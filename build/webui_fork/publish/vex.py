"""What we judge of known vulnerabilities: an OpenVEX document in the checkout, and as it is attested of an image.

Source: OpenVEX 0.2.0 (https://github.com/openvex/spec).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field
from packageurl import PackageURL

from webui_fork.config.reference import Reference
from webui_fork.core.errors import AuditError
from webui_fork.core.settings import Settings

FILE = "vex.openvex.json"
CONTEXT = "https://openvex.dev/ns/v0.2.0"
_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$(?!\n)"
_SETTLED = ("not_affected", "fixed")
_REMEDY = "docs/trust.md has an example of a statement."


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A part of the document: its fields, and no others."""


class Vulnerability(_Struct, frozen=True, kw_only=True):
    """A vulnerability by its names."""

    name: Annotated[str, Meta(min_length=1)]
    aliases: tuple[str, ...] = ()


class Package(_Struct, frozen=True, kw_only=True):
    """A package by its purl; one without a version is every version."""

    purl: str = field(name="@id")

    def __post_init__(self) -> None:
        """Refuse what is no purl."""
        PackageURL.from_string(self.purl)


class Statement(_Struct, frozen=True, kw_only=True):
    """What is judged of one vulnerability in some packages, and why."""

    vulnerability: Vulnerability
    products: Annotated[tuple[Package, ...], Meta(min_length=1)]
    status: Literal["not_affected", "affected", "fixed", "under_investigation"]
    justification: (
        Literal[
            "component_not_present",
            "vulnerable_code_not_present",
            "vulnerable_code_not_in_execute_path",
            "vulnerable_code_cannot_be_controlled_by_adversary",
            "inline_mitigations_already_exist",
        ]
        | None
    ) = None
    impact_statement: str = ""
    action_statement: str = ""
    status_notes: str = ""

    def __post_init__(self) -> None:
        """Refuse a status without the words that it needs."""
        if self.status == "not_affected" and not (self.justification or self.impact_statement):
            raise ValueError("`not_affected` needs a `justification` or an `impact_statement`")
        if self.status == "affected" and not self.action_statement:
            raise ValueError("`affected` needs an `action_statement`")

    @property
    def settled(self) -> bool:
        """Whether the vulnerability does not matter here."""
        return self.status in _SETTLED

    @property
    def words(self) -> str:
        """The status and its reason."""
        why = self.impact_statement or self.justification or self.action_statement or self.status_notes
        return f"{self.status}: {why}" if why else self.status


class Document(_Struct, frozen=True, kw_only=True):
    """An OpenVEX document."""

    context: Literal["https://openvex.dev/ns/v0.2.0"] = field(name="@context")
    id: Annotated[str, Meta(min_length=1)] = field(name="@id")
    author: Annotated[str, Meta(min_length=1)]
    timestamp: Annotated[str, Meta(pattern=_TIME)]
    version: Annotated[int, Meta(ge=1)]
    statements: tuple[Statement, ...]


def read(settings: Settings) -> Document:
    """Read what we judge.

    Raises:
        AuditError: the document is missing, or is not OpenVEX as this module has it.
    """
    return parse(settings.root / "images/open-webui" / FILE)


def parse(file: Path) -> Document:
    """Read a document.

    Raises:
        AuditError: see :func:`read`.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=Document)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise AuditError(f"{file} can't be read.", why=str(error), remedy=_REMEDY) from error


def predicate(document: Document, target: Reference) -> bytes:
    """Return what is attested of an image: each judgement with the image as its product, and the package inside it.

    Args:
        document: what we judge.
        target: where the image is published. Its digest is the attestation's own subject.
    """
    name = target.repository.rpartition("/")[2]
    image = PackageURL("oci", None, name, None, {"repository_url": target.name}).to_string()
    whole = msgspec.to_builtins(document)
    for statement in whole["statements"]:
        statement["products"] = [{"@id": image, "subcomponents": statement["products"]}]
    return msgspec.json.encode(whole)
