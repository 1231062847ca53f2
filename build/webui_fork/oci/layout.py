"""An image as an OCI layout on disk: index, manifest, configuration and blobs, written and read.

Source: OCI image-spec 1.1 (image-layout.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from webui_fork.core.digest import Digest
from webui_fork.core.errors import ImageError
from webui_fork.core.files import link_or_copy, read_plain, write_atomic
from webui_fork.oci.model import (
    INDEX,
    INDEXES,
    SMALL,
    Attached,
    Blob,
    Descriptor,
    Image,
    Index,
    Layer,
    attachments,
    canonical_json,
    descriptor,
    platform_of,
    rows,
    whole,
)

REF_NAME = "org.opencontainers.image.ref.name"
VERSION_FILE = "oci-layout"
COSIGN = "dev.cosignproject.cosign/"


def attached_tag(digest: Digest, kind: str) -> str:
    """Return the tag under which cosign looks for what is attached to a digest."""
    return f"{digest.replace(':', '-')}.{kind}"


def index(tag: str, image: Image | Index, attached: Iterable[Attached] = ()) -> Blob:
    """Return the index of a layout, in the form that `cosign save` gives it and `--local-image` reads."""
    annotations = {REF_NAME: tag, "kind": f"{COSIGN}{'imageIndex' if isinstance(image, Index) else 'image'}"}
    platform = {} if isinstance(image, Index) else {"platform": platform_of(image)}
    manifests = [image.root.descriptor(**platform, annotations=annotations)]
    manifests += [item.manifest.descriptor(annotations={"kind": f"{COSIGN}{item.kind}s"}) for item in attached]
    return Blob(INDEX, canonical_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}))


def blob_path(root: Path, digest: Digest) -> Path:
    """Return where a blob stands below a layout or a blob cache."""
    return root / "blobs/sha256" / digest.hex


def write_layout(root: Path, tag: str, image: Image | Index, cache: Path, attached: Iterable[Attached] = ()) -> None:
    """Write an OCI layout; `index.json` comes last, so that what it names is there.

    Blobs that the new index doesn't name are removed afterwards.

    Args:
        root: folder of the layout. cache: where the layers' blobs are. attached: signatures and attestations.

    Raises:
        DiskFullError, CacheError: it can't be written.
    """
    attached = tuple(attached)
    current: set[Path] = set()
    for named in (layer for one in image.images for layer in one.layers):
        path = blob_path(root, named.layer.digest)
        if not path.exists() or path.stat().st_size != named.layer.size:
            link_or_copy(blob_path(cache, named.layer.digest), path)
        current.add(path)
    small = [image.root, *(blob for one in image.images for blob in (one.config, one.manifest))]
    small += [blob for item in attached for blob in (item.manifest, *item.blobs)]
    for blob in small:
        path = blob_path(root, blob.digest)
        if not path.exists():
            write_atomic(path, blob.data)
        current.add(path)
    write_atomic(root / VERSION_FILE, b'{"imageLayoutVersion":"1.0.0"}')
    write_atomic(root / "index.json", index(tag, image, attached).data)
    for path in (root / "blobs" / "sha256").iterdir():
        if path not in current:
            path.unlink()


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout read back: its tag, its image, and what is attached to it."""

    root: Path
    tag: str
    image: Image | Index
    attached: tuple[Attached, ...]


def read_layout(root: Path) -> Layout:
    """Read a layout; small blobs are held against their digests, layers are not read.

    Raises:
        ImageError: it is not a layout with one image and nothing else, or a blob of it is not what its name says.
    """
    try:
        _only_layout(root)
        entries = rows(Blob(INDEX, read_plain(root / "index.json", SMALL)))
        kinds: dict[str, dict[str, Any]] = {}
        for row in entries:
            kind = str(row.get("annotations", {}).get("kind", f"{COSIGN}image")).removeprefix(COSIGN)
            place = "image" if kind == "imageIndex" else kind
            # cosign and we must look at the same one
            if place not in ("image", "sigs", "atts") or place in kinds:
                raise ImageError(f"{root} does not hold exactly one image with its signatures and attestations.")
            if place == "image" and (row["mediaType"] in INDEXES) != (kind == "imageIndex"):
                raise ImageError(f"{root} calls an index an image, or an image an index.")
            kinds[place] = row
        image = kinds["image"]
        attached = []
        for kind in ("sig", "att"):
            if attachment := kinds.get(f"{kind}s"):
                blob = _blob(root, descriptor(attachment))
                attached.append(Attached(kind, blob, tuple(_blob(root, one) for one in attachments(blob))))
        tag = str(image.get("annotations", {}).get(REF_NAME, ""))
        return Layout(root, tag, _whole(root, image), tuple(attached))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ImageError(
            f"{root} is not an OCI layout with an image.",
            why=str(error),
            remedy="`nox -s build` writes one to out/image.",
        ) from error


def _only_layout(root: Path) -> None:
    """Refuse files that are not of a layout: an engine takes a folder with a manifest.json for Docker's older form.

    Raises:
        ImageError: there is one.
    """
    names = {path.name for path in root.iterdir()}
    strangers = names - {"blobs", "index.json", VERSION_FILE}
    strangers |= {path.name for path in (root / "blobs").iterdir()} - {"sha256"}
    if strangers:
        raise ImageError(
            f"{root} has files that are not of an OCI layout.",
            why=", ".join(sorted(map(repr, strangers)))[:200],
            remedy="Another program might take another image from it. Get it anew from where it was published.",
        )
    if Blob("", read_plain(root / VERSION_FILE, SMALL)).parsed() != {"imageLayoutVersion": "1.0.0"}:
        raise ImageError(f"{root / VERSION_FILE} is of another version than 1.0.0.")


def _whole(root: Path, row: Any) -> Image | Index:
    blob = partial(_blob, root)
    return whole(blob(descriptor(row)), blob, blob)


def write_root(root: Path, image: Image | Index, own: Iterable[Layer], cache: Path) -> None:
    """Write a layout of what was put on an image in a registry: its manifests, configurations and our layers.

    The base's own layers are not in it.

    Args:
        own: the layers that are ours; their blobs are in the cache.

    Raises:
        DiskFullError, CacheError: it can't be written.
    """
    for layer in own:
        link_or_copy(blob_path(cache, layer.digest), blob_path(root, layer.digest))
    for blob in (image.root, *(part for one in image.images for part in (one.manifest, one.config))):
        write_atomic(blob_path(root, blob.digest), blob.data)
    write_atomic(root / VERSION_FILE, b'{"imageLayoutVersion":"1.0.0"}')
    value = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [image.root.descriptor()]}
    write_atomic(root / "index.json", canonical_json(value))


def read_image(root: Path) -> Image | Index:
    """Return the image that a layout begins with, whatever else it holds, and whether or not it has its layers.

    Raises:
        ImageError: it is not a layout, or damaged.
    """
    try:
        return _whole(root, rows(Blob(INDEX, read_plain(root / "index.json", SMALL)))[0])
    except (OSError, IndexError) as error:
        raise ImageError(f"{root} is not an OCI layout with an image.", why=str(error)) from error


def _blob(root: Path, described: Descriptor) -> Blob:
    path = blob_path(root, described.digest)
    blob = Blob(described.media_type, read_plain(path, min(described.size, SMALL)))
    if blob.digest != described.digest:
        raise ImageError(f"{path} does not match the digest in its name.", why=f"It is {blob.digest}.")
    return blob
