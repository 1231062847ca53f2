"""What an image was built from, beside the image: an OCI artifact whose layers are the inputs, each under its digest.

Source: OCI image-spec 1.1, "Guidelines for Artifact Usage". The registry need not know of referrers: the artifact has a
tag of its own, as cosign's have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from webui_fork.core.digest import Digest
from webui_fork.core.files import temp_folder
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Advance, Terminal
from webui_fork.frontend import node
from webui_fork.image import python as image_python
from webui_fork.image.inputs import Inputs
from webui_fork.oci import content, layout, model
from webui_fork.oci.model import Blob
from webui_fork.oci.registry import Registry
from webui_fork.sources import debian, package_index, release, wheels

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
    digest: Digest
    size: int

    def descriptor(self) -> dict[str, object]:
        """Return its OCI descriptor."""
        return {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
            "annotations": {_TITLE: self.name},
        }


def of_builds(settings: Settings, every: Iterable[Inputs], ui: Terminal) -> tuple[InputFile, ...]:
    """Return what images of these inputs are built from, each file once.

    Raises:
        ForkError: see :func:`of_build`.
    """
    files = {file.digest: file for inputs in every for file in of_build(settings, inputs, ui)}
    return tuple(files.values())


def of_build(settings: Settings, inputs: Inputs, ui: Terminal) -> tuple[InputFile, ...]:
    """Return what an image of these inputs is built from; what the cache lacks is fetched: another machine built it.

    Raises:
        SourceError, DigestError: a pinned file can't be obtained. DriftError: a Debian package can't.
        ToolError: a wheel can't.
    """
    lock, spec, packaged = inputs.lock, inputs.spec, inputs.packaged
    sdist, wheel = release.pinned_files(settings, [lock.sdist, lock.wheel], ui)
    debs = debian.obtain(settings, spec, packaged.debian, ui, locked=True)
    files = [_file(sdist, lock.sdist.name, _SDIST), _file(wheel, lock.wheel.name, _WHEEL)]
    files += [
        _file(path, Path(deb.path).name, _DEB) for deb, path in zip(packaged.debian.debs, debs.files, strict=True)
    ]
    for source in spec.python.sources:
        path = package_index.sdist(settings, source, ui)
        files.append(_file(path, f"{source.name}-{source.version}.tar.gz", _SDIST))
    if front_end := spec.front_end_of(path for one in inputs.patches for path in one.paths):
        for machine in front_end.sha256:
            path = node.wheel(settings, front_end, machine, ui)
            files.append(_file(path, f"{front_end.node}-{machine}.whl", _WHEEL))
    with temp_folder(settings.cache / "tmp", "built") as work:
        image_python.make_wheels(settings, spec, work, ui)  # no index has them
    for path in wheels.obtain(settings, packaged.requirements, spec.python.version, spec.machine, ui):
        files.append(_file(path, wheels.filename(path), _WHEEL))
    return tuple(files)


def _file(path: Path, name: str, media_type: str) -> InputFile:
    """Return a file of the cache, where its name is its digest."""
    return InputFile(path, name, media_type, Digest.of_hex(path.name), path.stat().st_size)


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


def push(registry: Registry, subject: Blob, files: tuple[InputFile, ...], progress: Progress) -> tuple[Blob, int, int]:
    """Put an image's inputs beside it: what the registry lacks, the manifest last; return it, blobs and bytes sent.

    Raises:
        RegistryError: it keeps failing. DigestError: a cached file was damaged; it is removed.
    """
    count = sent = 0
    for file in files:
        if registry.has("blobs", file.digest):
            continue
        with progress(file.name, file.size) as advance:
            registry.put(file.digest, content.checked(file.path, file.digest), advance)
        count, sent = count + 1, sent + file.size
    if not registry.has("blobs", _EMPTY.digest):
        registry.put_blob(_EMPTY)
    artifact = manifest(subject, files)
    tag = layout.attached_tag(subject.digest, KIND)
    if (existing := registry.manifest(tag)) is None or existing.digest != artifact.digest:
        registry.put_manifest(tag, artifact)
    return artifact, count, sent
