"""Provenance: the predicate of an in-toto statement that says what an image was made of, and by whom. Pure.

Sources: SLSA provenance v1 (https://slsa.dev/spec/v1.0/provenance), in-toto attestation v1.
docs/provenance.md describes our build type.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from webui_fork.core.digest import Digest
from webui_fork.core.files import sha256_bytes
from webui_fork.oci import model
from webui_fork.oci.model import Image
from webui_fork.series import patch as series_patch

if TYPE_CHECKING:
    from webui_fork.config.upstream_lock import Lock, PinnedFile

BUILD_TYPE = "https://fork.invalid/webui_fork/build/v1"
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}|")
_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]*|")
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


@dataclass(frozen=True, slots=True)
class Input:
    """One thing that went in: a URI, what it is called, its digests by algorithm."""

    uri: str
    name: str
    digest: tuple[tuple[str, str], ...]

    def descriptor(self) -> dict[str, Any]:
        """Return its in-toto resource descriptor."""
        return {"uri": self.uri, "name": self.name, "digest": dict(self.digest)}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a provenance is written from.

    ``inputs`` are those beside the release and the series: packages, the checkout's files, a base image.
    ``commit`` is the checkout's, "" where it is none; ``dirty`` says that its files are not that commit's.
    ``parameters`` are what the user chose beside the lock (the image's name, a flavour, a variant, the base).
    ``tag`` is the one that never moves.
    """

    lock: Lock
    images: tuple[Image, ...]
    patches: tuple[series_patch.Patch, ...]
    parameters: tuple[tuple[str, str], ...]
    inputs: tuple[Input, ...]
    home: str
    commit: str
    dirty: bool
    builder: str
    invocation: str
    versions: tuple[tuple[str, str], ...]
    tag: str


def patch_input(patch: series_patch.Patch) -> Input:
    """Return a patch as an input."""
    return Input(f"patches/{patch.name}", patch.name, (("sha256", _bare(patch.data)),))


def _bare(data: bytes) -> str:
    return sha256_bytes(data).hex


def _file(version: str, file: PinnedFile) -> Input:
    uri = f"pkg:pypi/open-webui@{version}?file_name={file.name}"
    return Input(uri, file.name, (("sha256", file.sha256),))


def _dependencies(facts: Facts) -> Iterable[Input]:
    if facts.commit:
        yield Input(f"git+{facts.home}", "repository", (("gitCommit", facts.commit),))
    yield _file(facts.lock.version, facts.lock.sdist)
    yield _file(facts.lock.version, facts.lock.wheel)
    if facts.lock.git:
        yield Input(f"git+{facts.lock.git.remote}", "release", (("gitCommit", facts.lock.git.commit),))
    yield from (patch_input(patch) for patch in facts.patches)
    yield from facts.inputs


def write(facts: Facts) -> bytes:
    """Return the SLSA v1 predicate as canonical JSON."""
    layers = {item.layer.digest: item.name for image in facts.images for item in image.layers}
    internal: dict[str, Any] = {"sourceDateEpoch": facts.lock.epoch}
    if facts.dirty:
        internal["uncommittedChanges"] = True
    metadata = {"invocationId": facts.invocation} if facts.invocation else {}
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "release": facts.lock.version,
                "revision": facts.lock.revision,
                "tag": facts.tag,
                "series": [patch.name for patch in facts.patches],
                **dict(facts.parameters),
            },
            "internalParameters": internal,
            "resolvedDependencies": [item.descriptor() for item in _dependencies(facts)],
        },
        "runDetails": {
            "builder": {"id": facts.builder, "version": dict(facts.versions)},
            "metadata": metadata,
            "byproducts": [
                {"name": f"layer {name}", "digest": {"sha256": digest.hex}} for digest, name in layers.items()
            ],
        },
    }
    return model.canonical_json(predicate)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a provenance says, read back.

    ``architecture`` is set of an image that is one of several under its tag.
    ``patches`` are (name, bare sha256) in order; ``files`` the checkout's own inputs by path; ``layers`` their digests.
    """

    release: str
    tag: str
    variant: str
    flavour: str
    architecture: str
    image: str
    sdist: str
    patches: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str], ...]
    layers: tuple[Digest, ...]
    commit: str
    dirty: bool
    builder: str


def read(predicate: Mapping[str, Any]) -> Claim | None:
    """Read a predicate back; None where it is not of our build type or lacks a field."""
    try:
        definition, run = predicate["buildDefinition"], predicate["runDetails"]
        if definition["buildType"] != BUILD_TYPE:
            return None
        outside = definition["externalParameters"]
        rows = [(row["uri"], row["name"], row["digest"]) for row in definition["resolvedDependencies"]]
        claim = Claim(
            release=outside["release"],
            tag=outside["tag"],
            variant=outside.get("variant", ""),
            flavour=outside.get("flavour", ""),
            architecture=outside.get("architecture", ""),
            image=outside["image"],
            sdist=next(_hex(d) for uri, name, d in rows if _is_sdist(uri, name)),
            patches=tuple((name, _hex(d)) for uri, name, d in rows if uri.startswith("patches/")),
            files=tuple((uri, _hex(d)) for uri, _, d in rows if uri.startswith(("images/", "upstream.lock"))),
            layers=tuple(Digest.of_hex(row["digest"]["sha256"]) for row in run["byproducts"]),
            commit=next((d["gitCommit"] for _, name, d in rows if name == "repository"), ""),
            dirty=bool(definition.get("internalParameters", {}).get("uncommittedChanges")),
            builder=str(run["builder"]["id"]),
        )
        return claim if _sound(claim) else None
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration):
        return None


def _hex(digests: Mapping[str, Any]) -> str:
    return Digest.of_hex(digests["sha256"]).hex


def _is_sdist(uri: str, name: str) -> bool:
    return uri.startswith("pkg:pypi/open-webui@") and name.endswith(".tar.gz")


def _sound(claim: Claim) -> bool:
    """Tell whether what becomes a path, an argument or a reference is one: an identity that may sign can be wide."""
    words = (
        (_SLUG, claim.variant),
        (_SLUG, claim.flavour),
        (_SLUG, claim.architecture),
        (_SLUG, claim.image),
        (_COMMIT, claim.commit),
        (_SLUG, claim.release),
        (_SLUG, claim.tag),
    )
    paths = [name for name, _ in (*claim.patches, *claim.files)]
    return (
        bool(claim.image and claim.tag)
        and all(pattern.fullmatch(word) for pattern, word in words)
        and all(_PATH.fullmatch(path) for path in paths)
    )
