"""Where an image is looked at: a registry, or an OCI layout on disk. Read only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn, Protocol

from webui_fork.config import reference
from webui_fork.core.digest import Digest
from webui_fork.core.errors import UsageError, VerifyError
from webui_fork.core.settings import Settings
from webui_fork.oci import connect, model
from webui_fork.oci import layout as oci_layout
from webui_fork.oci.content import FileContent
from webui_fork.oci.layout import Layout
from webui_fork.oci.model import SMALL, Blob, Descriptor, Image, Index
from webui_fork.oci.registry import Registry


class Reader(Protocol):
    """An image where it lives: how people call it, its tag ("" by digest), its root manifest, what cosign is told."""

    name: str
    tag: str
    root: Blob
    what: str
    ca: str | None

    def manifest(self, digest: Digest) -> Blob:
        """Return a manifest by digest.

        Raises:
            RegistryError, VerifyError: it is not there, or is another.
        """

    def blob(self, digest: Digest, limit: int) -> Iterator[bytes]:
        """Yield a blob's bytes.

        Args:
            digest: the blob's.
            limit: how many it may have; a byte more is given where there are more.

        Raises:
            RegistryError, VerifyError: it is not there, or (in a registry) is another, or larger.
        """

    def tags(self) -> tuple[str, ...]:
        """Return the tags beside it; a layout has but one."""


@dataclass(slots=True)
class RegistryReader:
    """An image in a registry."""

    name: str
    tag: str
    root: Blob
    what: str
    ca: str | None
    registry: Registry

    def manifest(self, digest: Digest) -> Blob:
        """Return a manifest by digest."""
        manifest = self.root if digest == self.root.digest else self.registry.manifest(digest)
        return manifest or _lacks(self, digest)

    def blob(self, digest: Digest, limit: int) -> Iterator[bytes]:
        """Yield a blob's bytes."""
        return self.registry.blob(digest, limit=limit)

    def tags(self) -> tuple[str, ...]:
        """Return the tags of its repository."""
        return self.registry.tags()


@dataclass(slots=True)
class LayoutReader:
    """An image in an OCI layout on disk."""

    name: str
    tag: str
    root: Blob
    what: str
    layout: Layout
    ca: str | None = None

    def manifest(self, digest: Digest) -> Blob:
        """Return a manifest by digest: its root, or one that its index names."""
        manifests = {blob.digest: blob for blob in (self.root, *(one.manifest for one in self.layout.image.images))}
        return manifests.get(digest) or _lacks(self, digest)

    def blob(self, digest: Digest, limit: int) -> Iterator[bytes]:
        """Yield a blob's bytes."""
        path = oci_layout.blob_path(self.layout.root, digest)
        if not path.exists():
            raise VerifyError(f"{path} is missing.", remedy="`nox -s build` writes the layout anew.")
        if path.stat().st_size > limit:
            raise VerifyError(f"{path} is larger than the {limit} bytes that it should have.")
        return FileContent(path).read(0)

    def tags(self) -> tuple[str, ...]:
        """Return its one tag."""
        return (self.tag,)


def _lacks(reader: Reader, digest: Digest) -> NoReturn:
    raise VerifyError(f"{reader.name} has no manifest {digest}.", remedy="It was pushed in part: publish it again.")


def small(reader: Reader, described: Descriptor) -> Blob:
    """Return a small blob whole, which is what its digest says.

    Raises:
        RegistryError, VerifyError: it is not.
    """
    blob = Blob(described.media_type, b"".join(reader.blob(described.digest, min(described.size, SMALL))))
    if blob.digest != described.digest:
        raise VerifyError(f"{reader.name} has other bytes than {described.digest}.")
    return blob


def image(reader: Reader) -> Image | Index:
    """Return the image that a reader's root is, or the index with the image of each of its platforms.

    Raises:
        RegistryError, VerifyError: a part of it is not there. ImageError: it is malformed.
    """
    return model.whole(reader.root, lambda described: reader.manifest(described.digest), partial(small, reader))


@contextmanager
def opened(settings: Settings, text: str) -> Iterator[Reader]:
    """Open what a user names: `REGISTRY/NAME:TAG`, `REGISTRY/NAME@sha256:…`, `oci:FOLDER`, or a folder's path.

    Raises:
        UsageError: it is no reference. RegistryError: the registry fails, lies or denies access.
        VerifyError: there is no such image. ImageError: the folder is no layout.
    """
    folder = text.removeprefix(reference.LAYOUT)
    if folder != text or (text.startswith((".", "/")) and Path(text).is_dir()):
        layout = oci_layout.read_layout(Path(folder))
        yield LayoutReader(folder, layout.tag, layout.image.root, reference.LAYOUT + folder, layout)
        return
    if "/" not in text and Path(text).is_dir():
        raise UsageError(f"{text} is a folder here, and no REGISTRY/NAME.", remedy=f"A layout is oci:{text}.")
    target = reference.parse(text)
    with connect.connect(settings, target) as registry:
        root = registry.manifest(target.target)
        if root is None:
            raise VerifyError(
                f"{target.name} has no {target.target}.", remedy="Check the name; `docker login` if it is private."
            )
        ca = connect.certificates(settings, target.registry)
        tag = "" if target.digest else target.target  # what is asked for by digest is not looked up by tag
        yield RegistryReader(str(target), tag, root, target.at(root.digest).pinned, ca, registry)
