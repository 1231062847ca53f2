"""What an image was built from, beside the image: an OCI artifact whose layers are the inputs, each under its digest.

Source: OCI image-spec 1.1, "Guidelines for Artifact Usage". The registry need not know of referrers: the artifact has a
tag of its own, as cosign's have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from webui_fork.core.errors import SourceError
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Advance, Terminal
from webui_fork.image.inputs import Inputs
from webui_fork.oci import content, layout, model
from webui_fork.oci.model import Blob
from webui_fork.oci.registry import Registry
from webui_fork.sources import download, wheels

ARTIFACT = "application/vnd.webui-fork.inputs.v1"
KIND = "inputs"
_EMPTY = Blob("application/vnd.oci.empty.v1+json", b"{}")
_TITLE = "org.opencontainers.image.title"
_DEB, _WHEEL, _SDIST = "application/vnd.debian.binary-package", "application/zip", "application/gzip"


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that an image was built from: where it is, its name, media type, digest and size in bytes."""

    path: Path
    name: str
    media_type: str
    digest: str
    size: int

    def descriptor(self) -> dict[str, object]:
        """Return its OCI descriptor."""
        return {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
            "annotations": {_TITLE: self.name},
        }


def of_build(settings: Settings, inputs: Inputs, ui: Terminal) -> tuple[InputFile, ...]:
    """Return what an image of these inputs is built from: the release, Debian packages, wheels.

    Raises:
        SourceError: a file that the build had is not in the cache any more. ToolError: a wheel can't be fetched.
    """
    lock, spec, text = inputs.lock, inputs.spec, inputs.packaged.requirements
    files = [(lock.sdist.sha256, lock.sdist.name, _SDIST), (lock.wheel.sha256, lock.wheel.name, _WHEEL)]
    files += [(deb.sha256, Path(deb.path).name, _DEB) for deb in inputs.packaged.debian.debs]
    for path in wheels.obtain(settings, text, spec.python.version, spec.machine, ui):
        files.append((path.name, wheels.filename(path), _WHEEL))
    return tuple(_file(settings, *row) for row in files)


def _file(settings: Settings, sha256: str, name: str, media_type: str) -> InputFile:
    path = download.cached(settings.cache, sha256)
    try:
        return InputFile(path, name, media_type, f"sha256:{sha256}", path.stat().st_size)
    except OSError as error:
        raise SourceError(
            f"{name}, which the image was built from, is not in the cache.",
            why=str(error),
            remedy="Run `nox -s build -- --locked` again: it downloads what is missing.",
        ) from error


def manifest(subject: Blob, files: Iterable[InputFile]) -> Blob:
    """Return the manifest of an artifact that refers to an image.

    Args:
        subject: the image's manifest. files: its inputs.
    """
    value = {
        "schemaVersion": 2,
        "mediaType": model.MANIFEST,
        "artifactType": ARTIFACT,
        "config": _EMPTY.descriptor(),
        "layers": [file.descriptor() for file in files],
        "subject": subject.descriptor(),
    }
    return Blob(model.MANIFEST, model.canonical_json(value))


Progress = Callable[[str, int], AbstractContextManager[Advance]]


def push(registry: Registry, subject: Blob, files: tuple[InputFile, ...], progress: Progress) -> tuple[Blob, int]:
    """Put an image's inputs beside it: what the registry lacks, the manifest last; return it, and the bytes sent.

    Raises:
        RegistryError: it keeps failing. DigestError: a cached file was damaged; it is removed.
    """
    sent = 0
    for file in files:
        if registry.has("blobs", file.digest):
            continue
        with progress(file.name, file.size) as advance:
            registry.put(file.digest, content.checked(file.path, file.digest), advance)
        sent += file.size
    if not registry.has("blobs", _EMPTY.digest):
        registry.put_blob(_EMPTY)
    artifact = manifest(subject, files)
    tag = layout.attached_tag(subject.digest, KIND)
    if (existing := registry.manifest(tag)) is None or existing.digest != artifact.digest:
        registry.put_manifest(tag, artifact)
    return artifact, sent
