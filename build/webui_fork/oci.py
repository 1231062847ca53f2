"""OCI images as values: descriptors, configuration, manifest, index, and the layout on disk.

Sources: OCI image-spec 1.1 (config.md, manifest.md, image-index.md, image-layout.md, annotations.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui_fork.errors import ImageError
from webui_fork.files import link_or_copy, sha256_bytes, sha256_file, write_atomic
from webui_fork.layers import Layer

CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
REF_NAME = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class Blob:
    """A small blob held in memory: media type and bytes."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        """Its digest."""
        return sha256_bytes(self.data)

    def descriptor(self, **extra: Any) -> dict[str, Any]:
        """Return the descriptor that points at it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data), **extra}


@dataclass(frozen=True, slots=True)
class NamedLayer:
    """A layer and what it is for."""

    name: str
    layer: Layer


@dataclass(frozen=True, slots=True)
class Image:
    """A complete image for one platform; the blobs of its layers are elsewhere."""

    config: Blob
    manifest: Blob
    layers: tuple[NamedLayer, ...]
    platform: tuple[str, str]

    @property
    def digest(self) -> str:
        """The digest of the manifest, by which the image is known."""
        return self.manifest.digest


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


def index(images: Mapping[str, Image]) -> Blob:
    """Return the index of a layout: tag to image."""
    manifests = [
        made.manifest.descriptor(
            platform={"os": made.platform[0], "architecture": made.platform[1]}, annotations={REF_NAME: tag}
        )
        for tag, made in sorted(images.items())
    ]
    return Blob(INDEX, canonical_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}))


def blob_path(root: Path, digest: str) -> Path:
    """Return where a blob stands below a layout or a blob cache."""
    algorithm, _, name = digest.partition(":")
    return root / "blobs" / algorithm / name


def write_layout(root: Path, images: Mapping[str, Image], cache: Path) -> None:
    """Write an OCI layout; `index.json` comes last, so that what it names is there.

    Blobs that the new index doesn't name are removed afterwards.

    Args:
        root: folder of the layout. images: tag to image. cache: where the layers' blobs are.

    Raises:
        DiskFullError, CacheError: it can't be written.
    """
    wanted: set[Path] = set()
    for made in images.values():
        for named in made.layers:
            path = blob_path(root, named.layer.digest)
            if not path.exists() or path.stat().st_size != named.layer.size:
                link_or_copy(blob_path(cache, named.layer.digest), path)
            wanted.add(path)
        for blob in (made.config, made.manifest):
            path = blob_path(root, blob.digest)
            if not path.exists():
                write_atomic(path, blob.data)
            wanted.add(path)
    write_atomic(root / "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    write_atomic(root / "index.json", index(images).data)
    for path in (root / "blobs" / "sha256").iterdir():
        if path not in wanted:
            path.unlink()


def verify_layout(root: Path) -> None:
    """Check every blob of a layout against its digest.

    Raises:
        ImageError: one is missing, short or altered.
    """

    def checked(descriptor: dict[str, Any]) -> Path:
        path = blob_path(root, descriptor["digest"])
        if not path.exists() or path.stat().st_size != descriptor["size"] or sha256_file(path) != descriptor["digest"]:
            raise ImageError(
                f"{path} is missing or is not what its name says.", remedy="Delete out/ and run `nox -s build` again."
            )
        return path

    for entry in json.loads((root / "index.json").read_bytes())["manifests"]:
        manifest = json.loads(checked(entry).read_bytes())
        for descriptor in (manifest["config"], *manifest["layers"]):
            checked(descriptor)
