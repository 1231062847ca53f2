"""Move images between a cache, a layout and registries: blob by blob, and only what the other side lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from webui_fork.core.digest import Digest
from webui_fork.core.terminal import Advance, ignore
from webui_fork.oci import content, layout, model
from webui_fork.oci.content import Content
from webui_fork.oci.model import Attached, Image, Index, Layer
from webui_fork.oci.registry import Registry

Progress = Callable[[str, int], AbstractContextManager[Advance]]
Find = Callable[[Layer], Content]


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did: the reference by digest, blobs and bytes sent or mounted, and whether anything was new."""

    ref: str
    blobs: int
    bytes: int
    new: bool
    mounted: int = 0


def quiet(_name: str, _size: int) -> AbstractContextManager[Advance]:
    """Show nothing."""
    return nullcontext(ignore)


def in_cache(folder: Path) -> Find:
    """Find layers in a cache or layout, each held against its digest before it goes."""
    return lambda layer: content.checked(layout.blob_path(folder, layer.digest), layer.digest)


def send(
    registry: Registry, image: Image | Index, find: Find, progress: Progress, mount_from: Iterable[str] = ()
) -> tuple[int, int, int]:
    """Give a registry what it lacks of an image, but for its root: blobs, and the manifests that an index names.

    Args:
        find: gives a layer's bytes. progress: shows the name and size of each blob while it is sent.
        mount_from: other repositories of the same registry that may have them.

    Returns:
        How many blobs were sent, their bytes, and how many the registry took over from another repository.

    Raises:
        RegistryError: it keeps failing. DigestError: a cached blob was damaged; it is removed, and made again.
    """
    count = sent = mounted = 0
    sources = tuple(mount_from)
    for named in (layer for one in image.images for layer in one.layers):
        digest = named.layer.digest
        if registry.has("blobs", digest):
            continue
        if any(registry.mount(digest, repository) for repository in sources):
            mounted += 1
            continue
        with progress(named.name, named.layer.size) as advance:
            registry.put(digest, find(named.layer), advance)
        count, sent = count + 1, sent + named.layer.size
    for one in image.images:
        if not registry.has("blobs", one.config.digest):
            registry.put_blob(one.config)
            count, sent = count + 1, sent + len(one.config.data)
        if one.manifest != image.root and not registry.has("manifests", one.digest):
            registry.put_manifest(one.digest, one.manifest)
    return count, sent, mounted


def push(registry: Registry, image: Image | Index, tag: str, cache: Path, progress: Progress) -> Pushed:
    """Push an image under a tag, its root manifest last.

    Args:
        cache: where the layers' blobs are. progress: see :func:`send`.

    Raises:
        RegistryError: it keeps failing; the tag still names what it named before.
        DigestError: see :func:`send`.
    """
    ref = f"{registry.name}@{image.digest}"
    existing = registry.manifest(tag)
    if existing and existing.data == image.root.data:
        return Pushed(ref, 0, 0, False)
    count, sent, mounted = send(registry, image, in_cache(cache), progress)
    registry.put_manifest(tag, image.root)
    return Pushed(ref, count, sent, True, mounted)


def attached(registry: Registry, digest: Digest) -> tuple[Attached, ...]:
    """Return what cosign keeps in a registry beside a digest.

    Raises:
        RegistryError: it keeps failing, or lies. ImageError: it is malformed.
    """
    attachments = []
    for kind in ("sig", "att"):
        manifest = registry.manifest(layout.attached_tag(digest, kind))
        if manifest:
            parts = tuple(registry.small_blob(row) for row in model.attachments(manifest))
            attachments.append(Attached(kind, manifest, parts))
    return tuple(attachments)


def attach(registry: Registry, digest: Digest, item: Attached) -> None:
    """Put a signature or attestations beside a digest, the manifest last.

    Raises:
        RegistryError: it keeps failing.
    """
    for blob in item.blobs:
        if not registry.has("blobs", blob.digest):
            registry.put_blob(blob)
    registry.put_manifest(layout.attached_tag(digest, item.kind), item.manifest)
