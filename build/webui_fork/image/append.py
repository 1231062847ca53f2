"""Put the series on an image that stands in a registry: its layers for every platform, and nothing unpacked.

Only index, manifests and configurations of the base are read, and the layers from the top down to those that hold
what the series replaces: a base of another release must not get these patches.
Sources: OCI image-spec 1.1 (image-index.md, manifest.md, config.md), Docker's image manifest v2.2.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any, cast

from webui_fork.core import strict_json
from webui_fork.core.digest import Digest
from webui_fork.core.errors import ImageError
from webui_fork.oci import model
from webui_fork.oci.model import INDEX, INDEXES, LAYER, MANIFEST, WHITEOUT, Blob, Image, Index, Layer, NamedLayer
from webui_fork.oci.registry import DOCKER_MANIFEST, Registry

DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_OPAQUE = f"{WHITEOUT}{WHITEOUT}.opq"
_KIND = "vnd.docker.reference.type"


@dataclass(frozen=True, slots=True)
class Platform:
    """One platform of a base: its descriptor in the index (empty without an index), manifest and configuration."""

    descriptor: Mapping[str, Any]
    manifest: Blob
    config: Blob

    @property
    def image(self) -> Image:
        """It as an image."""
        return model.image_of(self.manifest, self.config)

    @property
    def name(self) -> str:
        """As linux/arm64."""
        return "/".join(self.image.platform)


@dataclass(frozen=True, slots=True)
class Base:
    """An image in a registry: its root (an index, or the manifest of its only platform) and its platforms."""

    root: Blob
    platforms: tuple[Platform, ...]

    @property
    def indexed(self) -> bool:
        """Tell whether its root is an index."""
        return self.root.media_type in INDEXES


def read(registry: Registry, digest: Digest) -> Base:
    """Read a base: index, manifests, configurations.

    Raises:
        ImageError: it is not there, or no image. RegistryError: the registry fails or lies.
    """
    root = _manifest(registry, digest)
    if root.media_type not in INDEXES:
        return Base(root, (_platform(registry, {}, root),))
    rows = [row for row in model.rows(root) if _is_image(row)]
    if not rows:
        raise ImageError(f"The base {digest[:19]} has no image for any platform.")
    return Base(
        root, tuple(_platform(registry, row, _manifest(registry, model.descriptor(row).digest)) for row in rows)
    )


def _is_image(row: Mapping[str, Any]) -> bool:
    """Tell an image from what a builder keeps beside it (an attestation of the old digest)."""
    return _mapping(row, "platform").get("os") != "unknown" and _KIND not in _mapping(row, "annotations")


def _mapping(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return an object of a base's document, an empty one where there is none.

    Raises:
        ImageError: something else stands there.
    """
    value = document.get(key) or {}
    if not isinstance(value, dict):
        raise ImageError(f"The base is malformed: its {key!r} is no object.", remedy="Pin another base.")
    return value


def _manifest(registry: Registry, digest: Digest) -> Blob:
    manifest = registry.manifest(digest)
    if manifest is None:
        raise ImageError(
            f"{registry.name} has no {digest}.",
            remedy="Was the base removed there? `nox -s lock -- --bases` pins anew.",
        )
    return manifest


def _platform(registry: Registry, row: Mapping[str, Any], manifest: Blob) -> Platform:
    return Platform(row, manifest, registry.small_blob(model.descriptor(manifest.parsed().get("config"))))


def check(registry: Registry, base: Base, expected: Mapping[str, str | None], say: Callable[[str], None]) -> None:
    """Hold the files that the series replaces against the base's own, platform by platform.

    Args:
        expected: path in the image to the sha256 (bare) of the release's file; None where there must be none.
        say: told what is read.

    Raises:
        ImageError: the base is of another release: names platform and files.
    """
    files_of_layer: dict[str, dict[str, str | None]] = {}
    needed = {path for path, sha256 in expected.items() if sha256 is not None}
    if not needed:
        raise ImageError("The series replaces no file of the release, so nothing shows that the base is of it.")
    for platform in base.platforms:
        rows = {row["digest"]: row["mediaType"] for row in platform.manifest.parsed()["layers"]}
        seen: dict[str, str | None] = {}  # what stands at a path: the topmost layer that has or removes it decides
        for named in reversed(platform.image.layers):
            if needed <= seen.keys():
                break
            digest = named.layer.digest
            if digest not in files_of_layer:
                say(f"Reading {digest[:19]}… of {platform.name}, {named.layer.size / 1e6:.1f} MB, for its files")
                files_of_layer[digest] = _files(registry, named.layer, rows[digest], frozenset(expected))
            seen = {**files_of_layer[digest], **seen}
        _refuse_other(base, platform, expected, seen)


def _refuse_other(
    base: Base, platform: Platform, expected: Mapping[str, str | None], seen: Mapping[str, str | None]
) -> None:
    wrong = []
    for path, sha256 in expected.items():
        if seen.get(path) == sha256:
            continue
        wrong.append(f"/{path} is {'not there' if seen.get(path) is None else 'another file'}")
    if wrong:
        raise ImageError(
            f"The base {base.root.digest[:19]}… ({platform.name}) is not of the release that the series is for.",
            why="\n".join(wrong[:8]),
            remedy="Name the image of the pinned release in image.toml; `nox -s lock -- --bases` pins its digest.",
        )


class _Stream(io.RawIOBase):
    """Pieces as a file to read from, once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            try:
                self._left = next(self._pieces)
            except StopIteration:
                return 0
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


def _files(registry: Registry, layer: Layer, media_type: str, paths: frozenset[str]) -> dict[str, str | None]:
    """Return the wanted paths that a layer holds with their sha256, and those that it removes (None)."""
    digest = layer.digest
    if media_type.endswith("zstd"):
        raise ImageError(f"The base's layer {digest[:19]} is compressed with zstd, which can't be read here.")
    source = io.BufferedReader(_Stream(registry.blob(digest, limit=layer.size)), 1 << 20)
    # tarfile's own reader of gzip stops at the end of a stream's first member; our layers have many
    packed = source.peek(2)[:2] == b"\x1f\x8b"
    plain = cast("IO[bytes]", gzip.GzipFile(fileobj=source) if packed else source)
    digests: dict[str, str | None] = {}
    gone: set[str] = set()
    try:
        with tarfile.open(fileobj=plain, mode="r|") as tar:
            for info in tar:
                path = PurePosixPath(info.name.lstrip("/"))
                if path.name == _OPAQUE:
                    gone.add(path.parent.as_posix())
                elif path.name.startswith(WHITEOUT):
                    gone.add((path.parent / path.name.removeprefix(WHITEOUT)).as_posix())
                elif path.as_posix() in paths:
                    file = tar.extractfile(info) if info.isreg() else None
                    digests[path.as_posix()] = (
                        hashlib.file_digest(cast("Any", file), "sha256").hexdigest() if file else ""
                    )
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise ImageError(f"The base's layer {digest[:19]} can't be read.", why=str(error)) from error
    while source.read(1 << 20):  # to its end: only then is its digest checked
        pass
    removed = {one for one in paths for top in gone if one == top or one.startswith(top + "/")}
    return {**dict.fromkeys(removed), **digests}  # a layer's own files stand, whatever it removes below


def append(base: Base, series: Sequence[NamedLayer], annotations: Mapping[str, str], created: str) -> Image | Index:
    """Return the base with layers on top of each platform.

    Args:
        series: gzip layers. annotations: for root, manifests and labels, over the base's own.
        created: RFC 3339 time.
    """
    images = tuple(_with_layers(platform, series, annotations, created) for platform in base.platforms)
    if not base.indexed:
        return images[0]
    parsed = base.root.parsed()
    rows = []
    for platform, image in zip(base.platforms, images, strict=True):
        row = {key: value for key, value in platform.descriptor.items() if key in ("platform", "artifactType")}
        rows.append(image.manifest.descriptor(**row))
    index = {**parsed, "manifests": rows}
    if base.root.media_type == INDEX:
        index["annotations"] = {**_mapping(parsed, "annotations"), **annotations}
    return Index(Blob(base.root.media_type, model.canonical_json(index)), images)


def _with_layers(
    platform: Platform, series: Sequence[NamedLayer], annotations: Mapping[str, str], created: str
) -> Image:
    config, manifest = platform.config.parsed(), platform.manifest.parsed()
    docker = platform.manifest.media_type == DOCKER_MANIFEST
    run = dict(_mapping(config, "config"))
    run["Labels"] = {**_mapping(run, "Labels"), **annotations}
    diff_ids = [named.layer.diff_id for named in series]
    config |= {
        "created": created,
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [*config["rootfs"]["diff_ids"], *diff_ids]},
        "history": [
            *strict_json.items(config.get("history")),
            *({"created": created, "created_by": f"webui_fork: {named.name}"} for named in series),
        ],
    }
    settings = Blob(platform.config.media_type, model.canonical_json(config))
    kind = DOCKER_LAYER if docker else LAYER
    top = [{"mediaType": kind, "digest": one.layer.digest, "size": one.layer.size} for one in series]
    manifest |= {"config": settings.descriptor(), "layers": [*manifest["layers"], *top]}
    if not docker:
        # a label that the base has and we replace is replaced in both places
        manifest["annotations"] = {**_mapping(manifest, "annotations"), **annotations}
    manifest_blob = Blob(DOCKER_MANIFEST if docker else MANIFEST, model.canonical_json(manifest))
    return Image(settings, manifest_blob, (*platform.image.layers, *series), platform.image.platform)
