"""The build: from the lock and the series to a signed image. Stages in order, each cached by its inputs."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from webui_fork import contents, layers, packages, rootfs
from webui_fork.config import image_toml, locked_image, upstream_lock
from webui_fork.config.debian_lock import Deb
from webui_fork.config.image_toml import ImageSpec, Placement
from webui_fork.config.locked_image import Packaged
from webui_fork.config.upstream_lock import Lock
from webui_fork.contents import LayerCache, Made, code_digest
from webui_fork.core import files as core_files
from webui_fork.core import git
from webui_fork.core.errors import LockError
from webui_fork.core.files import sha256_bytes
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.layers import Entry
from webui_fork.oci import model
from webui_fork.oci.model import Image, NamedLayer
from webui_fork.series import apply, licence
from webui_fork.series import patch as series_patch
from webui_fork.sources import release as sources_release
from webui_fork.sources.release import Source

if TYPE_CHECKING:
    from git import Repo

IMAGE = "open-webui"
SeriesFiles = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything a build starts from, read and checked against each other."""

    lock: Lock
    packaged: Packaged
    patches: tuple[series_patch.Patch, ...]
    digests: tuple[tuple[str, str], ...]

    @property
    def spec(self) -> ImageSpec:
        """The image's description."""
        return self.packaged.spec

    @property
    def tag(self) -> str:
        """The version tag: the release and the patchset revision."""
        return self.lock.tag


@dataclass(frozen=True, slots=True)
class Built:
    """A built image. ``debs`` are the base's packages; ``drift`` is empty unless they are not the locked ones."""

    image: Image
    source: Source
    tree: apply.PatchedTree
    debs: tuple[Deb, ...]
    drift: tuple[str, ...]
    fresh: bool


def lock_inputs(settings: Settings, files: SeriesFiles | None = None) -> tuple[tuple[str, str], ...]:
    """Return the digests that `upstream.lock` records of the other locks and the series.

    Args:
        files: the series' files, if they were read before.

    Raises:
        SeriesError: the series can't be read.
    """
    files = files or apply.read_series(settings.patches)[0]
    found = {"series": upstream_lock.series_digest(files)}
    for path in sorted((settings.root / "images").glob("*/*.lock")):
        found[path.relative_to(settings.root).as_posix()] = sha256_bytes(path.read_bytes())
    return tuple(sorted(found.items()))


def read_inputs(settings: Settings, ui: Terminal, *, locked: bool) -> Inputs:
    """Read the lock, the series and the image's description, and check that they belong together.

    Raises:
        LockError: an input changed since the lock was written. A changed series is an error only
            when ``locked``: editing a patch and building it is daily work.
        SeriesError, ImageError: see their names.
    """
    release = upstream_lock.read(settings.lock_file)
    files, patches = apply.read_series(settings.patches)
    digests = lock_inputs(settings, files)
    spec = image_toml.read(settings.root / "images" / IMAGE)
    check_inputs(release, digests, ui, locked=locked)
    return Inputs(release, locked_image.read(spec), patches, digests)


def check_inputs(release: Lock, digests: tuple[tuple[str, str], ...], ui: Terminal, *, locked: bool) -> None:
    """Check that the other locks and the series are those that `upstream.lock` was written with.

    Raises:
        LockError: see :func:`read_inputs`.
    """
    for name, digest in digests:
        if release.input(name) == digest:
            continue
        if name != "series":
            raise LockError(f"{name} changed since upstream.lock was written.", remedy="Run `nox -s lock`, and review.")
        if locked:
            raise LockError(
                "The patch series changed since upstream.lock was written, and --locked was asked for.",
                remedy="`nox -s patches -- lint --write` records the series; review and commit both.",
            )
        ui.say("Note: the series is newer than upstream.lock; `nox -s patches -- lint --write` records it.")


def check_series(
    settings: Settings, repo: Repo, release_lock: Lock, patches: tuple[series_patch.Patch, ...], commit: str
) -> None:
    """Lint the series against the release.

    Raises:
        SeriesError: with every problem at once.
    """
    paths = set(repo.git.ls_tree("-r", "--name-only", "--full-tree", "-z", commit).split("\0"))
    release = series_patch.Release(release_lock.version, paths.__contains__)
    apply.refuse(series_patch.lint(patches, release, lambda path: (settings.root / path).is_file()))


def build(settings: Settings, inputs: Inputs, ui: Terminal, *, locked: bool) -> Built:
    """Build the image; its layers' blobs are in the cache.

    Raises:
        ForkError: see the stages.
    """
    layers.check_compressor()
    source = sources_release.obtain(settings, inputs.lock, ui)
    repo = git.repository(settings)
    with ui.step("series"):
        check_series(settings, repo, inputs.lock, inputs.patches, source.commit)
        tree = apply.apply(repo, source.commit, inputs.patches, inputs.lock.epoch)
        licence.check(repo, tree, inputs.spec)
        wanted = git.read_file(repo, source.commit, inputs.spec.python.requirements)
        packaged = inputs.packaged
        rootfs.check_requirements(packaged.requirements, wanted, packaged.spec, packaged.requirements_file)
    cache = LayerCache(settings.cache, inputs.lock.epoch, ui)
    with ThreadPoolExecutor(2) as pool:  # the base is one long mmdebstrap; the others fit beside it
        pending_base = pool.submit(packages.base, settings, packaged, cache, ui, locked)
        pending_python = pool.submit(packages.python, settings, packaged, cache)
        application = _application(inputs, cache, repo, source)
        python = pending_python.result()
        base, fetched = pending_base.result()
    with ui.step("image"):
        patches = patch_layer(inputs.spec, inputs.patches, cache, repo, tree)
        made = (base, python, application, patches)
        assembled = assemble(inputs, [item.layer for item in made], tree)
    fresh = any(item.fresh for item in made)
    return Built(assembled, source, tree, fetched.debs, fetched.drift, fresh)


def _application(inputs: Inputs, cache: LayerCache, repo: Repo, source: Source) -> Made:
    key = contents.application_inputs(inputs.spec, source, inputs.lock.wheel.sha256)

    def make(_work: Path, held: ExitStack) -> Iterable[Entry]:
        core_files.check(source.wheel, inputs.lock.wheel.sha256)
        return contents.application(repo, inputs.spec, source, inputs.lock.wheel.name, held)

    return cache.get("application", key, make, "Laying out the application")


def patch_layer(
    placement: Placement,
    patches: tuple[series_patch.Patch, ...],
    cache: LayerCache,
    repo: Repo,
    tree: apply.PatchedTree,
) -> Made:
    """Return the last layer: what the series changes, where an image has it.

    Raises:
        ImageError: a changed file is not in the image.
    """
    key = {
        "release": tree.release,
        "head": tree.head,
        "patches": [(patch.name, sha256_bytes(patch.data)) for patch in patches],
        "copies": [asdict(copy) for copy in placement.copies],
        "code": code_digest("layers", "contents", "image", "stack"),
    }
    make = lambda _work, _held: contents.patched(placement, apply.changes(repo, tree), patches)  # noqa: E731
    return cache.get("patches", key, make, parents=False)


def assemble(inputs: Inputs, stacked: list[NamedLayer], tree: apply.PatchedTree) -> Image:
    """Put the layers together with configuration and annotations.

    The base by itself is an image, too; its digest is the one in the base annotation.
    """
    spec = inputs.spec
    created = inputs.lock.created
    words = {"version": inputs.lock.version, "commit": tree.head, "patches": str(len(inputs.patches))}
    words["home"] = spec.home
    base = model.image(stacked[:1], platform=spec.platform, created=created, run={}, annotations={})
    annotations = {
        **{key: filled(value, words) for key, value in spec.annotations},
        "org.opencontainers.image.version": inputs.tag.removeprefix("v"),
        "org.opencontainers.image.revision": tree.head,
        "org.opencontainers.image.created": created,
        "org.opencontainers.image.base.name": f"{spec.name}-base:{spec.base.suite}",
        "org.opencontainers.image.base.digest": base.digest,
    }
    run = {**spec.run, "Env": [filled(item, words) for item in spec.run["Env"]]}
    return model.image(stacked, platform=spec.platform, created=created, run=run, annotations=annotations)


def filled(text: str, words: dict[str, str]) -> str:
    """Fill in the placeholders we know, and leave every other brace alone."""
    for key, value in words.items():
        text = text.replace("{" + key + "}", value)
    return text
