"""Everything a build starts from, read and checked against each other."""

from __future__ import annotations

from dataclasses import dataclass

from webui_fork.config import image_toml, locked_image, upstream_lock
from webui_fork.config.image_toml import ImageSpec
from webui_fork.config.locked_image import Packaged
from webui_fork.config.upstream_lock import Lock
from webui_fork.core.errors import LockError
from webui_fork.core.files import sha256_bytes
from webui_fork.core.git import Repo
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.series import apply, patch

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
        """The version tag: the release and the patchset revision."""
        return self.lock.tag


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
    settings: Settings, repo: Repo, release_lock: Lock, patches: tuple[patch.Patch, ...], commit: str
) -> None:
    """Lint the series against the release.

    Raises:
        SeriesError: with every problem at once.
    """
    paths = set(repo.paths(commit))
    release = patch.Release(release_lock.version, paths.__contains__)
    apply.refuse(patch.lint(patches, release, lambda path: (settings.root / path).is_file()))
