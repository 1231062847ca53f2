"""OCI images as values: descriptors, configuration, manifest, index, and the layout on disk.

Sources: OCI image-spec 1.1 (config.md, manifest.md, image-index.md, image-layout.md, annotations.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui_fork.core.errors import ImageError
from webui_fork.core.files import link_or_copy, sha256_bytes, sha256_file, write_atomic
from webui_fork.layers import Layer

CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
REF_NAME = "org.opencontainers.image.ref.name"
COSIGN = "dev.cosignproject.cosign/"
SMALL = 8 << 20  # bytes: manifests, configurations and attestations have less
_LARGEST = 1 << 40
_PLATFORMS = 200  # rows of an index; the largest in use have some twenty
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Blob:
    """A small blob held in memory: media type and bytes."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        """Its digest."""
        return sha256_bytes(self.data)

    def parsed(self) -> dict[str, Any]:
        """Return the JSON object it holds.

        Raises:
            ImageError: it holds none.
        """
        try:
            value = json.loads(self.data)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise ImageError(
                f"{self.digest[:19]} is no JSON object.", why="It should be a manifest or a configuration."
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


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What points at a blob: media type, digest, size in bytes."""

    media_type: str
    digest: str
    size: int


def descriptor(value: Any) -> Descriptor:
    """Read a descriptor that somebody else wrote; only sha256 is taken, which every registry has.

    Raises:
        ImageError: it is not one.
    """
    if isinstance(value, dict):
        kind, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
        named = isinstance(kind, str) and isinstance(digest, str) and _DIGEST.fullmatch(digest)
        if named and type(size) is int and 0 <= size <= _LARGEST:
            return Descriptor(str(kind), str(digest), size)
    raise ImageError("A manifest has something that is no descriptor.", why=repr(value)[:200])


def rows(root: Blob) -> tuple[dict[str, Any], ...]:
    """Return the rows of an index, each a descriptor with what belongs to it.

    Raises:
        ImageError: it is no index.
    """
    listed = root.parsed().get("manifests")
    if not isinstance(listed, list) or len(listed) > _PLATFORMS:
        raise ImageError(f"{root.digest[:19]} is no index of images.")
    for row in listed:
        descriptor(row)
        if not isinstance(row.get("annotations", {}), dict) or not isinstance(row.get("platform", {}), dict):
            raise ImageError(f"{root.digest[:19]} has a malformed row.", why=repr(row)[:200])
    return tuple(listed)


def media_type(data: bytes) -> str:
    """Return what a manifest is: by its own word, else by its shape, but not by a registry's header."""
    try:
        said = Blob("", data).parsed()
    except ImageError:
        return MANIFEST
    own = said.get("mediaType")
    return own if isinstance(own, str) else INDEX if "manifests" in said else MANIFEST


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


def image_of(manifest: Blob, config: Blob) -> Image:
    """Read an image back from its manifest and configuration.

    A layer is called what its history says we called it, else by its number.

    Raises:
        ImageError: they are malformed, or do not belong together.
    """
    said, settings = manifest.parsed(), config.parsed()
    try:
        if descriptor(said["config"]).digest != config.digest:
            raise ImageError(f"The configuration {config.digest[:19]} is not the one of {manifest.digest[:19]}.")
        found = [descriptor(row) for row in said["layers"]]
        diff_ids = settings["rootfs"]["diff_ids"]
        history = [row for row in settings.get("history", ()) if not row.get("empty_layer")]
        names = [row.get("created_by", "").partition("webui_fork: ")[2] for row in history]
        names += [""] * (len(found) - len(names))
        layers = tuple(
            NamedLayer(name or f"layer {number}", Layer(row.digest, row.size, str(diff_id)))
            for number, (name, row, diff_id) in enumerate(zip(names, found, diff_ids, strict=True), 1)
        )
        return Image(config, manifest, layers, (str(settings["os"]), str(settings["architecture"])))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ImageError(f"{manifest.digest[:19]} is not an image's manifest.", why=f"{error}") from error


def attached_tag(digest: str, kind: str) -> str:
    """Return the tag under which cosign looks for what is attached to a digest."""
    return f"{digest.replace(':', '-')}.{kind}"


def index(tag: str, image: Image, attached: Iterable[Attached] = ()) -> Blob:
    """Return the index of a layout, in the form that `cosign save` gives it and `--local-image` reads."""
    platform = {"os": image.platform[0], "architecture": image.platform[1]}
    annotations = {REF_NAME: tag, "kind": f"{COSIGN}image"}
    manifests = [image.manifest.descriptor(platform=platform, annotations=annotations)]
    manifests += [item.manifest.descriptor(annotations={"kind": f"{COSIGN}{item.kind}s"}) for item in attached]
    return Blob(INDEX, canonical_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}))


def blob_path(root: Path, digest: str) -> Path:
    """Return where a blob stands below a layout or a blob cache."""
    algorithm, _, name = digest.partition(":")
    return root / "blobs" / algorithm / name


def write_layout(root: Path, tag: str, image: Image, cache: Path, attached: Iterable[Attached] = ()) -> None:
    """Write an OCI layout; `index.json` comes last, so that what it names is there.

    Blobs that the new index doesn't name are removed afterwards.

    Args:
        root: folder of the layout. cache: where the layers' blobs are. attached: signatures and attestations.

    Raises:
        DiskFullError, CacheError: it can't be written.
    """
    attached = tuple(attached)
    wanted: set[Path] = set()
    for named in image.layers:
        path = blob_path(root, named.layer.digest)
        if not path.exists() or path.stat().st_size != named.layer.size:
            link_or_copy(blob_path(cache, named.layer.digest), path)
        wanted.add(path)
    small = [image.config, image.manifest, *(blob for item in attached for blob in (item.manifest, *item.blobs))]
    for blob in small:
        path = blob_path(root, blob.digest)
        if not path.exists():
            write_atomic(path, blob.data)
        wanted.add(path)
    write_atomic(root / "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    write_atomic(root / "index.json", index(tag, image, attached).data)
    for path in (root / "blobs" / "sha256").iterdir():
        if path not in wanted:
            path.unlink()


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout read back: its tag, its image, and what is attached to it."""

    root: Path
    tag: str
    image: Image
    attached: tuple[Attached, ...]


def read_layout(root: Path) -> Layout:
    """Read a layout; small blobs are held against their digests, layers are not read.

    Raises:
        ImageError: it is not a layout with one image, or a blob of it is not what its name says.
    """
    try:
        entries = rows(Blob(INDEX, (root / "index.json").read_bytes()))
        kinds: dict[str, dict[str, Any]] = {}
        for row in entries:
            kind = str(row.get("annotations", {}).get("kind", f"{COSIGN}image")).removeprefix(COSIGN)
            # cosign and we must look at the same one
            if kind not in ("image", "sigs", "atts") or kind in kinds:
                raise ImageError(f"{root} does not hold just one image with what belongs to it.")
            kinds[kind] = row
        image = kinds["image"]
        manifest = _small(root, image)
        config = _small(root, manifest.parsed()["config"])
        attached = []
        for kind in ("sig", "att"):
            if f"{kind}s" in kinds:
                held = _small(root, kinds[f"{kind}s"])
                said = held.parsed()
                attached.append(Attached(kind, held, tuple(_small(root, d) for d in (said["config"], *said["layers"]))))
        tag = str(image.get("annotations", {}).get(REF_NAME, ""))
        return Layout(root, tag, image_of(manifest, config), tuple(attached))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ImageError(
            f"{root} is not an OCI layout with an image.",
            why=str(error),
            remedy="`nox -s build` writes one to out/image.",
        ) from error


def write_root(root: Path, top: Blob, images: Iterable[Image], own: Iterable[Layer], cache: Path) -> None:
    """Write a layout of what was put on an image in a registry: its manifests, configurations and our layers.

    The base's own layers are not in it.

    Args:
        top: the root manifest. own: the layers that are ours; their blobs are in the cache.

    Raises:
        DiskFullError, CacheError: it can't be written.
    """
    for layer in own:
        link_or_copy(blob_path(cache, layer.digest), blob_path(root, layer.digest))
    for blob in (top, *(part for image in images for part in (image.manifest, image.config))):
        write_atomic(blob_path(root, blob.digest), blob.data)
    write_atomic(root / "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    write_atomic(
        root / "index.json", canonical_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [top.descriptor()]})
    )


def read_root(root: Path) -> Blob:
    """Return the root manifest of a layout.

    Raises:
        ImageError: it is not a layout, or damaged.
    """
    try:
        return _small(root, rows(Blob(INDEX, (root / "index.json").read_bytes()))[0])
    except (OSError, IndexError) as error:
        raise ImageError(f"{root} is not an OCI layout with an image.", why=str(error)) from error


def read_small(root: Path, digest: str) -> Blob:
    """Return a manifest or configuration of a layout by its digest.

    Raises:
        ImageError: it is not there, or is another.
    """
    try:
        data = blob_path(root, digest).read_bytes()
    except OSError as error:
        raise ImageError(f"{root} has no {digest}.", why=str(error)) from error
    return _small(root, {"mediaType": media_type(data), "digest": digest, "size": len(data)})


def _small(root: Path, value: Any) -> Blob:
    wanted = descriptor(value)
    path = blob_path(root, wanted.digest)
    if path.stat().st_size > SMALL:
        raise ImageError(f"{path} is larger than a manifest or an attestation may be.")
    blob = Blob(wanted.media_type, path.read_bytes())
    if blob.digest != wanted.digest:
        raise ImageError(f"{path} is not what its name says.", why=f"It is {blob.digest}.")
    return blob


def verify_layout(root: Path) -> None:
    """Check every blob of a layout against its digest.

    Raises:
        ImageError: one is missing, short or altered.
    """

    def checked(value: Any) -> Path:
        wanted = descriptor(value)
        path = blob_path(root, wanted.digest)
        if not path.exists() or path.stat().st_size != wanted.size or sha256_file(path) != wanted.digest:
            raise ImageError(
                f"{path} is missing or is not what its name says.", remedy="Delete out/ and run `nox -s build` again."
            )
        return path

    for entry in rows(Blob(INDEX, (root / "index.json").read_bytes())):
        manifest = json.loads(checked(entry).read_bytes())
        for part in (manifest["config"], *manifest["layers"]):
            checked(part)
