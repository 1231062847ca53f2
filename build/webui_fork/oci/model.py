"""OCI images as values: descriptors, configuration, manifest, index.

Sources: OCI image-spec 1.1 (config.md, manifest.md, image-index.md, annotations.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from webui_fork.core import strict_json
from webui_fork.core.digest import Digest
from webui_fork.core.errors import ImageError
from webui_fork.core.files import sha256_bytes

CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
INDEXES = (INDEX, DOCKER_INDEX)
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
WHITEOUT = ".wh."  # begins the name of a file that removes another one (layer.md)
SMALL = 8 << 20  # bytes: manifests, configurations and attestations have less
_LARGEST = 1 << 40
_ROWS, _ROWS_BYTES = 64, 64 << 20  # of what is attached to an image
_PLATFORMS = 200  # rows of an index; the largest in use have some twenty
_WORD = re.compile(r"[a-z0-9]{1,32}")


@dataclass(frozen=True, slots=True)
class Layer:
    """A compressed layer: digest and size of the blob, ``diff_id`` of the tar inside."""

    digest: Digest
    size: int
    diff_id: Digest


@dataclass(frozen=True, slots=True)
class Blob:
    """A small blob held in memory: media type and bytes."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> Digest:
        """Its digest."""
        return sha256_bytes(self.data)

    def parsed(self) -> dict[str, Any]:
        """Return the JSON object it holds.

        Raises:
            ImageError: it holds none.
        """
        try:
            value = strict_json.loads(self.data)
        except (ValueError, RecursionError) as error:
            raise ImageError(
                f"{self.digest[:19]} is not JSON, or is JSON that readers would read in different ways.", why=str(error)
            ) from None
        if not isinstance(value, dict):
            raise ImageError(
                f"{self.digest[:19]} is not a JSON object.", why="It should be a manifest or a configuration."
            )
        return value

    def descriptor(self, **extra: Any) -> dict[str, Any]:
        """Return the descriptor that points at it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data), **extra}


@dataclass(frozen=True, slots=True)
class NamedLayer:
    """A layer and what it is for."""

    name: str
    layer: Layer


@dataclass(frozen=True, slots=True)
class Attached:
    """What cosign keeps beside an image: the kind (`sig` or `att`), its manifest and the small blobs it names."""

    kind: str
    manifest: Blob
    blobs: tuple[Blob, ...]


def attachments(manifest: Blob) -> tuple[Descriptor, ...]:
    """Return what the manifest of signatures or attestations points at; nobody has signed it, so it is bounded.

    Raises:
        ImageError: it is malformed, or has more rows or bytes than an image of many platforms and signers needs.
    """
    parsed = manifest.parsed()
    described = [descriptor(row) for row in (parsed.get("config"), *strict_json.items(parsed.get("layers")))]
    if len(described) > _ROWS or sum(row.size for row in described) > _ROWS_BYTES:
        raise ImageError(f"{manifest.digest[:19]} has too many signatures or attestations to read them.")
    return tuple(described)


@dataclass(frozen=True, slots=True)
class Image:
    """A complete image for one platform; the blobs of its layers are elsewhere."""

    config: Blob
    manifest: Blob
    layers: tuple[NamedLayer, ...]
    platform: tuple[str, str]

    @property
    def digest(self) -> Digest:
        """The digest of the manifest, by which the image is known."""
        return self.manifest.digest

    @property
    def root(self) -> Blob:
        """What a tag names: its manifest."""
        return self.manifest

    @property
    def images(self) -> tuple[Image, ...]:
        """It alone."""
        return (self,)


@dataclass(frozen=True, slots=True)
class Index:
    """An image for several platforms: the index that a tag names, and the image of each platform."""

    root: Blob
    images: tuple[Image, ...]

    @property
    def digest(self) -> Digest:
        """The digest of the index, by which it is known."""
        return self.root.digest


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What points at a blob: media type, digest, size in bytes."""

    media_type: str
    digest: Digest
    size: int


Fetch = Callable[[Descriptor], Blob]


def descriptor(value: Any) -> Descriptor:
    """Read a descriptor that somebody else wrote; only sha256 is taken, which every registry has.

    Raises:
        ImageError: it is not one.
    """
    if isinstance(value, dict):
        kind, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
        if isinstance(kind, str) and type(size) is int and 0 <= size <= _LARGEST:
            with suppress(ValueError):
                return Descriptor(kind, Digest(digest), size)
    raise ImageError("A manifest contains something that is not a descriptor.", why=repr(value)[:200])


def rows(root: Blob) -> tuple[dict[str, Any], ...]:
    """Return the rows of an index, each a descriptor with what belongs to it.

    Raises:
        ImageError: it is no index.
    """
    listed = root.parsed().get("manifests")
    if not isinstance(listed, list) or len(listed) > _PLATFORMS:
        raise ImageError(f"{root.digest[:19]} is not an index of images.")
    for row in listed:
        descriptor(row)
        if not isinstance(row.get("annotations", {}), dict) or not isinstance(row.get("platform", {}), dict):
            raise ImageError(f"{root.digest[:19]} has a malformed row.", why=repr(row)[:200])
    return tuple(listed)


def whole(root: Blob, manifest: Fetch, config: Fetch) -> Image | Index:
    """Return the image that a root manifest is, or its index with the image of each platform.

    Args:
        root: the manifest.
        manifest: gets one that an index names.
        config: gets a configuration.

    Raises:
        ImageError: it is malformed, is no index of images, or calls an image another platform's.
    """

    def one(blob: Blob) -> Image:
        return image_of(blob, config(descriptor(blob.parsed().get("config"))))

    if root.media_type not in INDEXES:
        return one(root)
    images: list[Image] = []
    for row in rows(root):
        blob = manifest(descriptor(row))
        if blob.media_type in INDEXES:
            raise ImageError(f"{root.digest[:19]} is an index of indexes.")
        images.append(one(blob))
        stated = row.get("platform")  # by which engines choose
        if stated and {**stated, **platform_of(images[-1])} != stated:
            raise ImageError(f"{root.digest[:19]} has an image for another platform than it says.")
    if not images:
        raise ImageError(f"{root.digest[:19]} is an index without an image.")
    return Index(root, tuple(images))


def media_type(data: bytes) -> str:
    """Return what a manifest is: by its own word, else by its shape, but not by a registry's header."""
    try:
        document = Blob("", data).parsed()
    except ImageError:
        return MANIFEST
    own = document.get("mediaType")
    return own if isinstance(own, str) else INDEX if "manifests" in document else MANIFEST


def canonical_json(value: Any) -> bytes:
    """Return JSON with sorted keys and no spaces: one byte form for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def image(
    layers: Iterable[NamedLayer],
    *,
    platform: tuple[str, str],
    created: str,
    run: Mapping[str, Any],
    annotations: Mapping[str, str],
) -> Image:
    """Put an image together.

    Args:
        layers: from the lowest up. platform: (operating system, architecture) in Go's words.
        created: RFC 3339 time. run: the `config` object (Env, Cmd, …).
        annotations: for the manifest; also the image's labels.
    """
    stack = tuple(layers)
    config = Blob(
        CONFIG,
        canonical_json(
            {
                "os": platform[0],
                "architecture": platform[1],
                "created": created,
                "config": {**run, "Labels": dict(annotations)},
                "rootfs": {"type": "layers", "diff_ids": [item.layer.diff_id for item in stack]},
                "history": [{"created": created, "created_by": f"webui_fork: {item.name}"} for item in stack],
            }
        ),
    )
    manifest = Blob(
        MANIFEST,
        canonical_json(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": config.descriptor(),
                "layers": [
                    {"mediaType": LAYER, "digest": item.layer.digest, "size": item.layer.size} for item in stack
                ],
                "annotations": dict(annotations),
            }
        ),
    )
    return Image(config, manifest, stack, platform)


def platform_of(image: Image) -> dict[str, str]:
    """Return the platform of an image as an index has it."""
    return {"os": image.platform[0], "architecture": image.platform[1]}


def index(images: Iterable[Image], annotations: Mapping[str, str]) -> Index:
    """Put the index of images together.

    Args:
        images: one for each platform. annotations: for the index itself.
    """
    platforms = tuple(images)
    value = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [one.manifest.descriptor(platform=platform_of(one)) for one in platforms],
        "annotations": dict(annotations),
    }
    return Index(Blob(INDEX, canonical_json(value)), platforms)


def image_of(manifest: Blob, config: Blob) -> Image:
    """Read an image back from its manifest and configuration.

    A layer is called what its history says we called it, else by its number.

    Raises:
        ImageError: they are malformed, or do not belong together.
    """
    parsed, settings = manifest.parsed(), config.parsed()
    try:
        if descriptor(parsed["config"]).digest != config.digest:
            raise ImageError(f"The configuration {config.digest[:19]} is not the one of {manifest.digest[:19]}.")
        descriptors = [descriptor(row) for row in parsed["layers"]]
        diff_ids = settings["rootfs"]["diff_ids"]
        history = [row for row in settings.get("history", ()) if not row.get("empty_layer")]
        names = [row.get("created_by", "").partition("webui_fork: ")[2] for row in history]
        names += [""] * (len(descriptors) - len(names))
        layers = tuple(
            NamedLayer(name or f"layer {number}", Layer(row.digest, row.size, Digest(diff_id)))
            for number, (name, row, diff_id) in enumerate(zip(names, descriptors, diff_ids, strict=True), 1)
        )
        platform = (settings["os"], settings["architecture"])
        if not all(isinstance(word, str) and _WORD.fullmatch(word) for word in platform):
            raise ImageError(f"{manifest.digest[:19]} is for no platform.", why=repr(platform)[:200])
        return Image(config, manifest, layers, platform)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ImageError(f"{manifest.digest[:19]} is not an image's manifest.", why=f"{error}") from error
