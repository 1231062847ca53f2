"""Variants: the series on images that stand in a registry, such as upstream's own."""

from __future__ import annotations

from dataclasses import dataclass, replace

from webui_fork.config import bases_lock, image_toml, reference, upstream_lock
from webui_fork.config.image_tables import Variant
from webui_fork.config.image_toml import Placement, RegistrySpec
from webui_fork.config.reference import Reference
from webui_fork.config.tags import Fixed
from webui_fork.config.upstream_lock import Lock
from webui_fork.core import git
from webui_fork.core.errors import ImageError, LockError
from webui_fork.core.files import sha256_bytes
from webui_fork.core.git import Repo
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.frontend.changes import BuiltFile
from webui_fork.image import append, inputs, pipeline
from webui_fork.image.layer_cache import LayerCache
from webui_fork.oci import connect
from webui_fork.oci.model import Image, Index, NamedLayer
from webui_fork.series import apply, licence
from webui_fork.series.patch import Patch
from webui_fork.sources import release

_VERSION = "package.json"  # has the release's version: every base is held against it
_PLACES = "[[application]] in its image.toml says where the base has the release's files."


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted: a variant of an image's description, on the locked release, with the series."""

    spec: RegistrySpec
    variant: Variant
    lock: Lock
    patches: tuple[Patch, ...]
    base: Reference

    @property
    def fixed(self) -> Fixed:
        """The tag that never moves."""
        return Fixed(self.lock.version, self.lock.revision, f"{self.spec.folder.name}-{self.variant.name}")


@dataclass(frozen=True, slots=True)
class VariantImage:
    """A variant with the series on it: the result, the series' layers, the patched tree, and the bytes read for it."""

    request: Request
    image: Image | Index
    layers: tuple[NamedLayer, ...]
    head: str
    received: int


def request(settings: Settings, ui: Terminal, name: str, variant: str) -> Request:
    """Read what a variant is made of.

    Args:
        name: folder below `images/`. variant: its name there, "" for the only one.

    Raises:
        ImageError, LockError, SeriesError: there is no such variant, it is not pinned, or an input is odd.
    """
    spec = image_toml.read_registry(settings.root / "images" / name)
    if (main := settings.root / "images" / inputs.IMAGE).is_dir():  # whose description says how a front end is built
        spec = replace(spec, frontend=image_toml.read(main).frontend)
    names = [item.name for item in spec.variants]
    if not variant and len(names) == 1:
        variant = names[0]
    if variant not in names:
        raise ImageError(
            f"images/{name} has {'no variant ' + variant if variant else 'several variants'}.",
            remedy=f"Name one: --variant {', --variant '.join(names)}.",
        )
    chosen = spec.variants[names.index(variant)]
    pinned = upstream_lock.read(settings.lock_file)
    _, patches = apply.read_series(settings.patches)
    base = _pinned(spec, chosen, pinned)
    inputs.check_inputs(pinned, inputs.lock_inputs(settings), ui, locked=True)
    return Request(spec, chosen, pinned, patches, base)


def reference_of(variant: Variant, pinned: Lock) -> Reference:
    """Return the reference of a variant for the pinned release."""
    return reference.parse(variant.reference.replace("{version}", pinned.version))


def _pinned(spec: RegistrySpec, variant: Variant, pinned: Lock) -> Reference:
    base = reference_of(variant, pinned)
    if base.digest:
        return base
    row = bases_lock.read(spec.folder / "bases.lock").get(variant.name)
    if row is None or row[0] != str(base):
        raise LockError(
            f"The digest of {base} is not pinned.",
            remedy="`nox -s lock -- --bases` asks its registry and writes images/*/bases.lock; review it.",
        )
    return base.at(row[1])


def make(settings: Settings, request: Request, ui: Terminal) -> VariantImage:
    """Put the series on the base; nothing is pushed.

    Raises:
        ImageError: the base is not of the release. RegistryError: its registry fails.
        SourceError: the release can't be obtained. SeriesError, ApplyError: a patch breaks a rule, or does not apply.
    """
    commit = release.release_commit(settings, request.lock, ui)
    repo = git.repository(settings)
    with ui.step("series"):
        inputs.check_series(settings, repo, request.lock, request.patches, commit, request.spec)
        tree = apply.apply(repo, commit, request.patches, request.lock.epoch)
        licence.check(repo, tree, request.spec)
    cache = LayerCache(settings.cache, request.lock.epoch, ui)
    built = pipeline.front_end(settings, repo, request.lock, request.spec, tree, ui)
    written = pipeline.series_layers(request.spec, request.patches, cache, repo, tree, built)
    layers = tuple(one.layer for one in written)
    replaces = replaced(request.spec, repo, tree, built)
    with ui.step("base", f"Reading {request.base}"), connect.connect(settings, request.base) as registry:
        base = append.read(registry, request.base.pinned_digest)
        append.check(registry, base, replaces, ui.say)
        received = registry.received
    image = append.append(base, layers, _annotations(request, tree.head), request.lock.created)
    return VariantImage(request, image, layers, tree.head, received)


def replaced(
    placement: Placement, repo: Repo, tree: apply.PatchedTree, built: tuple[BuiltFile, ...]
) -> dict[str, str | None]:
    """Return what a base must have where the series changes it.

    Args:
        placement: where the base has the release's files.
        repo: has the release.
        tree: the release with the series on it.
        built: what the series changes in the built front end.

    Returns:
        Path in the image to the sha256 (bare) of the release's file; None where there must be none.

    Raises:
        ImageError: the description has no place for one of them.
    """
    shown = [file for file in built if not file.path.endswith(".map")]
    rows = [(file.path, placement.place_built(file.path), file.before.hex if file.before else None) for file in shown]
    for path in (_VERSION, *(change.path for change in apply.changes(repo, tree) if not placement.builds(change.path))):
        data = repo.read_file(tree.release, path)
        rows.append((path, placement.place(path), None if data is None else sha256_bytes(data).hex))
    files: dict[str, str | None] = {}
    for path, place, sha256 in rows:
        if place is None:
            raise ImageError(f"The base has no place for {path}.", remedy=_PLACES)
        files[place] = sha256
    return files


def _annotations(request: Request, head: str) -> dict[str, str]:
    words = {"version": request.lock.version, "commit": head, "patches": str(len(request.patches))}
    words |= {"home": request.spec.home, "variant": request.variant.name}
    return {
        **{key: pipeline.filled(value, words) for key, value in request.spec.annotations},
        "org.opencontainers.image.version": str(request.fixed).removeprefix("v"),
        "org.opencontainers.image.revision": head,
        "org.opencontainers.image.created": request.lock.created,
        "org.opencontainers.image.base.name": str(reference_of(request.variant, request.lock)).partition("@")[0],
        "org.opencontainers.image.base.digest": request.base.pinned_digest,
    }
