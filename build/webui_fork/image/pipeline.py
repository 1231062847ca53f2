"""The build: from the lock and the series to an image. Stages in order, each cached by its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from webui_fork.config.debian_lock import Deb
from webui_fork.config.image_toml import Placement
from webui_fork.config.upstream_lock import Lock
from webui_fork.core import files, git
from webui_fork.core.digest import Digest
from webui_fork.core.files import sha256_bytes
from webui_fork.core.git import Repo
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.frontend import build as frontend_build
from webui_fork.frontend import node as frontend_node
from webui_fork.frontend.changes import BuiltFile
from webui_fork.image import application as image_application
from webui_fork.image import base as image_base
from webui_fork.image import python as image_python
from webui_fork.image.inputs import Inputs, check_series, fetch_kept, read_inputs
from webui_fork.image.layer_cache import LayerCache, Made
from webui_fork.oci import model, unpack
from webui_fork.oci.model import Image, Index, NamedLayer
from webui_fork.rootfs import layers
from webui_fork.rootfs.layers import Entry
from webui_fork.series import apply, licence
from webui_fork.series import patch as series_patch
from webui_fork.sources import release
from webui_fork.sources.release import Source


@dataclass(frozen=True, slots=True)
class Built:
    """A built image.

    ``debs`` are the base's packages; ``drift`` is empty unless they are not the locked ones. ``front_end`` is what the
    series changes in the built front end.
    """

    image: Image
    source: Source
    tree: apply.PatchedTree
    debs: tuple[Deb, ...]
    drift: tuple[str, ...]
    fresh: bool
    front_end: tuple[BuiltFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Assembly:
    """What one run built: an image for one platform or an index of several, and what each was built from."""

    image: Image | Index
    parts: tuple[tuple[Inputs, Built], ...]

    @property
    def inputs(self) -> Inputs:
        """Those of its first part; release, series and tag are the same for all."""
        return self.parts[0][0]

    @property
    def tree(self) -> apply.PatchedTree:
        """The patched tree that is in all of them."""
        return self.parts[0][1].tree

    @property
    def drift(self) -> tuple[str, ...]:
        """A line for each Debian package that is not the locked one."""
        return tuple(dict.fromkeys(row for _, built in self.parts for row in built.drift))

    @property
    def fresh(self) -> bool:
        """Tell whether a layer had to be written."""
        return any(built.fresh for _, built in self.parts)


def build_all(settings: Settings, every: Iterable[Inputs], ui: Terminal, *, locked: bool) -> Assembly:
    """Build an image for each architecture that there are inputs for; of several, put their index together.

    Args:
        settings: of the checkout.
        every: the inputs, which differ in their architecture alone.
        ui: says what is done.
        locked: whether other Debian packages than the locked ones are an error.

    Raises:
        ForkError: see :func:`build`.
    """
    parts = tuple((inputs, build(settings, inputs, ui, locked=locked)) for inputs in every)
    images = tuple(built.image for _, built in parts)
    if len(images) == 1:
        return Assembly(images[0], parts)
    # what an image says of its base is not so for the others
    annotations = images[0].manifest.parsed()["annotations"]
    shared = {key: value for key, value in annotations.items() if ".base." not in key}
    return Assembly(model.index(images, shared), parts)


def build(settings: Settings, inputs: Inputs, ui: Terminal, *, locked: bool) -> Built:
    """Build the image; its layers' blobs are in the cache.

    Raises:
        LockError, SeriesError, ApplyError: an input is odd, or a patch does not apply.
        SourceError, DriftError: a pinned file can't be obtained. ToolError: a program is missing or fails.
        ImageError: the image would not be what its description says. CacheError: the cache can't be written.
    """
    layers.check_compressor()
    fetch_kept(settings, [inputs.lock.sdist.digest, inputs.lock.wheel.digest], ui)
    source = release.obtain(settings, inputs.lock, ui)
    repo = git.repository(settings)
    with ui.step("series"):
        check_series(settings, repo, inputs.lock, inputs.patches, source.commit, inputs.spec)
        tree = apply.apply(repo, source.commit, inputs.patches, inputs.lock.epoch)
        licence.check(repo, tree, inputs.spec)
        requirements_text = repo.read_file(source.commit, inputs.spec.python.requirements)
        packaged = inputs.packaged
        image_python.check_requirements(
            packaged.requirements, requirements_text, packaged.spec, packaged.requirements_file
        )
    cache = LayerCache(settings.cache, inputs.lock.epoch, ui)
    with ThreadPoolExecutor(2) as pool:  # uv is a process of its own
        pending_base = pool.submit(image_base.base, settings, packaged, cache, ui, locked)
        pending_python = pool.submit(image_python.python, settings, packaged, cache, ui)
        application = _application(inputs, cache, repo, source)
        # in the main thread, where Ctrl-C ends it
        built = front_end(settings, repo, inputs.lock, inputs.spec, tree, ui)
        python = pending_python.result()
        base, fetched = pending_base.result()
    with ui.step("image"):
        series = series_layers(inputs.spec, inputs.patches, cache, repo, tree, built)
        layers_made = (base, python, application, *series)
        assembled = assemble(inputs, [item.layer for item in layers_made], tree)
    fresh = any(item.fresh for item in layers_made)
    return Built(assembled, source, tree, fetched.debs, fetched.drift, fresh, built)


@contextmanager
def laid_out(settings: Settings, ui: Terminal, patches: Sequence[series_patch.Patch]) -> Iterator[Path]:
    """Lay out the release that a checkout pins with some patches, for a while, so that it runs without a container.

    Raises:
        ForkError: the image could not be built.
    """
    own = replace(read_inputs(settings, ui, locked=False), patches=tuple(patches))
    built = build(settings, own, ui, locked=False)
    with files.temp_folder(settings.cache / "trees", "proof-") as work:
        yield unpack.tree(built.image, settings.cache, work / "tree")


def _application(inputs: Inputs, cache: LayerCache, repo: Repo, source: Source) -> Made:
    key = image_application.application_inputs(inputs.spec, source, inputs.lock.wheel.sha256)

    def make(_work: Path, stack: ExitStack) -> Iterable[Entry]:
        files.check(source.wheel, inputs.lock.wheel.digest)
        return image_application.application(repo, inputs.spec, source, inputs.lock.wheel.name, stack)

    return cache.get("application", key, make, "Laying out the application")


def front_end(
    settings: Settings, repo: Repo, lock: Lock, placement: Placement, tree: apply.PatchedTree, ui: Terminal
) -> tuple[BuiltFile, ...]:
    """Return what the series changes in the built front end, nothing where it changes none of its sources.

    Args:
        settings: have the cache, the index and npm's registry.
        repo: has the release.
        lock: the release.
        placement: of the image.
        tree: the release with the series on it.
        ui: says what is done.

    Raises:
        SeriesError: it does not build, or changes the branding. ForkError: see :func:`frontend.build.build`.
    """
    changes = tuple(change for change in apply.changes(repo, tree) if placement.builds(change.path))
    if not changes or placement.frontend is None:
        return ()
    own = [sha256 for machine, sha256 in placement.frontend.sha256.items() if machine == frontend_node.own_machine()]
    fetch_kept(settings, map(Digest.of_hex, own), ui)
    source = release.obtain(settings, lock, ui)
    built = frontend_build.build(settings, repo, frontend_build.Request(lock, source, changes, placement.frontend), ui)
    return built.files


def series_layers(
    placement: Placement,
    patches: tuple[series_patch.Patch, ...],
    cache: LayerCache,
    repo: Repo,
    tree: apply.PatchedTree,
    built: tuple[BuiltFile, ...],
) -> tuple[Made, ...]:
    """Return what the series changes, where an image has it: the built front end if it changes that, and the rest.

    The front end is a layer by itself: it is many times the rest, and most changes of a series leave it alone.

    Args:
        built: see :func:`front_end`. The rest: see there.

    Raises:
        ImageError: a changed file is not in the image.
    """
    key = {
        "release": tree.release,
        "head": tree.head,
        "patches": [(patch.name, sha256_bytes(patch.data)) for patch in patches],
        "copies": msgspec.to_builtins(placement.copies),
    }
    make = lambda _work, _held: image_application.patched(placement, apply.changes(repo, tree), patches)  # noqa: E731
    patched = cache.get("patches", key, make, parents=False)
    if not built:
        return (patched,)
    content = [(file.path, sha256_bytes(file.data) if file.data is not None else None) for file in built]
    key = {"copies": msgspec.to_builtins(placement.copies), "built": content}
    make = lambda _work, _held: image_application.front_end(placement, built)  # noqa: E731
    return (cache.get("frontend", key, make, parents=False), patched)


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
