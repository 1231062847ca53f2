"""Everything a build starts from, read and checked against each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from webui_fork.config import image_toml, locked_image, reference, upstream_lock
from webui_fork.config.image_toml import ImageSpec, Placement
from webui_fork.config.locked_image import Packaged
from webui_fork.config.tags import Fixed
from webui_fork.config.upstream_lock import MAX_FILE_SIZE, Lock
from webui_fork.core import files
from webui_fork.core.digest import Digest
from webui_fork.core.errors import LockError, RegistryError
from webui_fork.core.files import ensure_folder, sha256_bytes, temp_folder
from webui_fork.core.git import Repo
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.oci import connect, layout
from webui_fork.oci.registry import Registry
from webui_fork.series import apply, patch
from webui_fork.sources import download

IMAGE = "open-webui"

SeriesFiles = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything a build starts from, read and checked against each other."""

    lock: Lock
    packaged: Packaged
    patches: tuple[patch.Patch, ...]
    digests: tuple[tuple[str, str], ...]

    @property
    def spec(self) -> ImageSpec:
        """The image's description."""
        return self.packaged.spec

    @property
    def tag(self) -> str:
        """The tag that never moves: the release, the patchset revision and the flavour's ending."""
        return str(Fixed(self.lock.version, self.lock.revision, self.spec.ending))


def results(settings: Settings, spec: ImageSpec) -> Path:
    """Return where a build leaves its results: `out/`, and `out/<flavour>/` for a flavour that is not the first."""
    return settings.out / spec.subfolder


def lock_inputs(settings: Settings, files: SeriesFiles | None = None) -> tuple[tuple[str, str], ...]:
    """Return the digests that `upstream.lock` records of the other locks and the series.

    Args:
        files: the series' files, if they were read before.

    Raises:
        SeriesError: the series can't be read.
    """
    files = files or apply.read_series(settings.patches)[0]
    digests = {"series": upstream_lock.series_digest(files)}
    for path in sorted((settings.root / "images").glob("*/*.lock")):
        digests[path.relative_to(settings.root).as_posix()] = sha256_bytes(path.read_bytes())
    return tuple(sorted(digests.items()))


def read_inputs(settings: Settings, ui: Terminal, *, locked: bool, flavour: str = "") -> Inputs:
    """Read the lock, the series and the image's description, and check that they belong together.

    Args:
        settings: of the checkout.
        ui: says what is newer than the lock.
        locked: whether a changed series is an error.
        flavour: of the image; "" for its first.

    Returns:
        Those for the image's first architecture.

    Raises:
        LockError: an input changed since the lock was written. A changed series is an error only
            when ``locked``: editing a patch and building it is daily work.
        SeriesError, ImageError: see their names.
    """
    return read_every(settings, ui, ("",), locked=locked, flavour=flavour)[0]


def read_every(
    settings: Settings, ui: Terminal, architectures: Iterable[str], *, locked: bool, flavour: str = ""
) -> tuple[Inputs, ...]:
    """Read the inputs of an image for several architectures, which differ in the image's description alone.

    Args:
        architectures: in Go's words; "" for its first. The rest: see :func:`read_inputs`.

    Raises:
        ForkError: see :func:`read_inputs`.
    """
    release = upstream_lock.read(settings.lock_file)
    files, patches = apply.read_series(settings.patches)
    digests = lock_inputs(settings, files)
    folder = settings.root / "images" / IMAGE
    specs = [image_toml.read(folder, flavour, architecture) for architecture in architectures]
    check_inputs(release, digests, ui, locked=locked)
    return tuple(Inputs(release, locked_image.read(spec), patches, digests) for spec in specs)


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
    settings: Settings,
    repo: Repo,
    release_lock: Lock,
    patches: tuple[patch.Patch, ...],
    commit: str,
    placement: Placement,
) -> None:
    """Lint the series against the release.

    Raises:
        SeriesError: with every problem at once.
    """
    paths = set(repo.paths(commit))
    release = patch.Release(release_lock.version, paths.__contains__, placement.frontend is not None)
    apply.refuse(patch.lint(patches, release, lambda path: (settings.checkout / path).is_file()))


def fetch_kept(settings: Settings, pinned: Iterable[Digest], ui: Terminal) -> int:
    """Have in the cache what the registry that keeps inputs has of some pinned files; return how many came.

    `nox -s publish` puts them there, each under its digest, so that a build can do without mirrors that have moved on;
    WEBUI_FORK_INPUTS names the place.

    Args:
        pinned: their digests.
        ui: says where they come from, and why they don't.

    Raises:
        CacheError: the cache can't be written.
    """
    missing = [digest for digest in pinned if not download.cached(settings.cache, digest).exists()]
    if not settings.inputs or not missing:
        return 0
    if settings.inputs.startswith(reference.LAYOUT):
        return sum(_from_layout(settings, digest) for digest in missing)
    target = reference.parse(settings.inputs)
    came = 0
    try:
        with (
            ui.step("inputs", f"Looking for {len(missing)} inputs in {target.name}"),
            connect.connect(settings, target) as registry,
            temp_folder(settings.cache / "tmp", "inputs") as work,
        ):
            for digest in missing:
                came += _from_registry(registry, digest, work / digest.hex, download.cached(settings.cache, digest))
    except RegistryError as error:
        ui.say(f"WARNING: {target.name} does not give inputs: {error.what} {error.why}".rstrip())
    return came


def _from_layout(settings: Settings, digest: Digest) -> bool:
    """Take a file from the folder of a bundle, which somebody else may write to."""
    file = layout.blob_path(Path(str(settings.inputs).removeprefix(reference.LAYOUT)), digest)
    if not file.exists():
        return False
    files.take_over(file, download.cached(settings.cache, digest), digest)
    return True


def _from_registry(registry: Registry, digest: Digest, part: Path, place: Path) -> bool:
    if not registry.has("blobs", digest):
        return False
    with part.open("wb") as file:
        for piece in registry.blob(digest, limit=MAX_FILE_SIZE):  # held against its digest at its end
            file.write(piece)
    ensure_folder(place.parent)
    part.replace(place)
    return True
