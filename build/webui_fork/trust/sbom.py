"""The software bill of materials: CycloneDX 1.6 from what the builder knows. Pure: one input, one byte form.

No clock and no random number: the time is the release's, the serial number comes from the image's digest.
Source: CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/), purl (https://github.com/package-url/purl-spec).
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import (
    AttachedText,
    Encoding,
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    Property,
    XsUri,
)
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import (
    Component,
    ComponentType,
    Diff,
    Patch,
    PatchClassification,
    Pedigree,
)
from cyclonedx.model.issue import IssueClassification, IssueType
from cyclonedx.model.license import DisjunctiveLicense, License, LicenseExpression
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from webui_fork.oci.model import Image
from webui_fork.rootfs import package as image_package
from webui_fork.rootfs.package import Package
from webui_fork.series import patch as series_patch

if TYPE_CHECKING:
    from webui_fork.config.overrides import Override
    from webui_fork.config.upstream_lock import Lock, PinnedFile

LICENSE = "LicenseRef-Open-WebUI"
_TYPES = {"upstream": PatchClassification.BACKPORT, "backport": PatchClassification.BACKPORT}


@dataclass(frozen=True, slots=True)
class Material:
    """What an SBOM is written from.

    ``components`` are those of the packages, as :func:`components` writes them. ``license_text`` is the release's own.
    """

    name: str
    tag: str
    home: str
    tool_version: str
    lock: Lock
    image: Image
    patches: tuple[series_patch.Patch, ...]
    components: bytes
    license_text: str


def write(material: Material) -> bytes:
    """Return the SBOM's JSON.

    Every component has a stable `bom-ref`; the image depends on all of them.
    """
    image, application = _image(material), _application(material)
    bom = Bom(
        components=[application],
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"pkg:oci/{material.name}@{material.image.digest}"),
        metadata=BomMetaData(
            component=image, timestamp=material.lock.time, tools=ToolRepository(components=[_tool(material)])
        ),
    )
    bom.register_dependency(image, [application])
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    rows = sorted([*document["components"], *json.loads(material.components)], key=itemgetter("bom-ref"))
    refs = [row["bom-ref"] for row in rows]
    whole = {"ref": image.bom_ref.value, "dependsOn": refs}
    dependencies = sorted([whole, *({"ref": ref} for ref in refs)], key=itemgetter("ref"))
    return json.dumps({**document, "components": rows, "dependencies": dependencies}, sort_keys=True).encode()


def components(packages: Iterable[Package], distribution: str, overrides: Iterable[Override] = ()) -> bytes:
    """Return the components of packages as JSON: most of an SBOM, and of its making; a patch changes nothing of them.

    Args:
        packages: the inventories of the layers.
        distribution: the Debian version of the base, as `12`.
        overrides: wheels above what the release asks for.
    """
    bom = Bom(components=list(_packages(packages, distribution, overrides)))
    return json.dumps(json.loads(JsonV1Dot6(bom).output_as_string()).get("components", [])).encode()


def _tool(material: Material) -> Component:
    return Component(name="webui_fork", version=material.tool_version, type=ComponentType.APPLICATION, bom_ref="tool")


def _image(material: Material) -> Component:
    digest = material.image.digest
    url = PackageURL("oci", name=material.name, version=digest, qualifiers={"tag": material.tag})
    return Component(
        name=material.name,
        version=material.tag,
        type=ComponentType.CONTAINER,
        bom_ref=url.to_string(),
        purl=url,
        hashes=[_sha256(digest.hex)],
        properties=[
            Property(name=f"webui_fork:layer:{item.name}", value=item.layer.digest) for item in material.image.layers
        ],
        external_references=_references(material.home),
    )


def _references(home: str) -> list[ExternalReference]:
    return [ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(home))] if home else []


def _sha256(value: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=value)


def _application(material: Material) -> Component:
    """Return Open WebUI as it stands in the image: its ancestor is the release, its pedigree the series."""
    release = material.lock
    url = PackageURL("pypi", name="open-webui", version=release.version)
    licence = DisjunctiveLicense(name=LICENSE, text=AttachedText(content=material.license_text))
    ancestor = Component(
        name="open-webui",
        version=release.version,
        type=ComponentType.APPLICATION,
        bom_ref=f"release:{release.version}",
        purl=url,
        hashes=[_sha256(release.sdist.sha256)],
        external_references=[_distribution(release.sdist), _distribution(release.wheel)],
    )
    pedigree = Pedigree(ancestors=[ancestor], patches=[_patch(patch) for patch in material.patches])
    return Component(
        name="open-webui",
        version=release.version,
        type=ComponentType.APPLICATION,
        bom_ref=url.to_string(),
        purl=url,
        description=f"Open WebUI {release.version}, {len(material.patches)} patches; npm packages by its source maps.",
        licenses=[licence],
        pedigree=pedigree,
    )


def _distribution(file: PinnedFile) -> ExternalReference:
    return ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(file.name),
        hashes=[_sha256(file.sha256)],
        comment="on the Python package index",
    )


def _patch(patch: series_patch.Patch) -> Patch:
    """Return a patch with its whole text, and what it resolves: its bug, or the defect its description names."""
    bug = patch.field("Bug")
    origin = re.split(r"[,:]", patch.field("Origin"))[0]
    issue = IssueType(
        type=IssueClassification.DEFECT,
        id=patch.name.removesuffix(".patch"),
        name=patch.subject,
        description=patch.field("Description"),
        references=[XsUri(bug)] if bug.startswith("http") else [],
    )
    text = AttachedText(
        content=base64.b64encode(patch.data).decode(), content_type="text/x-diff", encoding=Encoding.BASE_64
    )
    return Patch(type=_TYPES.get(origin, PatchClassification.UNOFFICIAL), diff=Diff(text=text), resolves=[issue])


def _packages(packages: Iterable[Package], distribution: str, overrides: Iterable[Override]) -> Iterable[Component]:
    """Yield a component for each package; one that stands in several places comes once, with all of them."""
    merged: dict[str, list[Package]] = {}
    for package in packages:
        merged.setdefault(image_package.of(package, distribution).to_string(), []).append(package)
    raised = {one.package: one for one in overrides}
    for key, merged_package in merged.items():
        package = max(merged_package, key=lambda item: (bool(item.sha256 or item.sha512), item.paths))
        places = {path for item in merged_package for path in item.paths}
        properties = [Property(name="webui_fork:path", value="/" + path) for path in sorted(places)]
        one = raised.get(canonicalize_name(package.name)) if package.kind == "pypi" else None
        if one and SpecifierSet(f"=={one.version}").contains(package.version, prereleases=True):
            words = f"{one.advisory}: {one.reason} Until {one.expires}."
            properties.append(Property(name="webui_fork:override", value=words))
        yield Component(
            name=package.name,
            version=package.version,
            type=ComponentType.LIBRARY,
            bom_ref=key,
            purl=image_package.of(package, distribution),
            hashes=_hashes(package),
            licenses=_licenses(package.licenses),
            properties=properties,
        )


def _hashes(package: Package) -> list[HashType]:
    rows = ((HashAlgorithm.SHA_256, package.sha256), (HashAlgorithm.SHA_512, package.sha512))
    return [HashType(alg=algorithm, content=value) for algorithm, value in rows if value]


def _licenses(words: Iterable[str]) -> list[License]:
    """Return licences as found; an expression stands alone, as CycloneDX has it."""
    licenses = [LicenseFactory().make_from_string(word) for word in words]
    if len(licenses) == 1:
        return licenses
    return [DisjunctiveLicense(name=item.value) if isinstance(item, LicenseExpression) else item for item in licenses]
