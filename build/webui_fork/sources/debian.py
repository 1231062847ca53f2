"""The exact Debian packages of a base: resolve them for `debian.lock`, and get them although mirrors forget."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from webui_fork.config.debian_lock import Deb, DebianLock, differences, dump, input_digest, read
from webui_fork.config.image_toml import ImageSpec
from webui_fork.core.errors import DigestError, DriftError, SourceError, ToolError
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.sources import apt, download

if TYPE_CHECKING:
    import requests

# apt calls itself essential; an image needs no package manager
_ESSENTIAL = "?and(?essential, ?not(?exact-name(apt)))"


@dataclass(frozen=True, slots=True)
class Fetched:
    """The packages at hand: what they are, and where each is; ``drift`` has a line a difference."""

    debs: tuple[Deb, ...]
    files: tuple[Path, ...]
    drift: tuple[str, ...]


def resolve(settings: Settings, spec: ImageSpec) -> tuple[Deb, ...]:
    """Resolve the base's packages against what the mirror has today.

    Raises:
        ToolError: apt is missing or can't resolve them.
    """
    with apt.private(settings, spec.base.suite, spec.architecture) as private:
        return tuple(private.install_list([_ESSENTIAL, *spec.base.include]))


def plan(settings: Settings, spec: ImageSpec, file: Path, now: datetime) -> str:
    """Resolve the packages and return the lock's text; an unchanged set keeps it byte for byte.

    Args:
        file: the old lock, if there is one. now: when this is, for a snapshot archive.

    Raises:
        ToolError: apt is missing or can't resolve them. LockError: the old lock is malformed.
    """
    debs = resolve(settings, spec)
    new = DebianLock(
        spec.base.suite,
        spec.architecture,
        input_digest(spec.base),
        now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"),
        debs,
    )
    old = read(file) if file.exists() else None
    return dump(old if old and replace(old, snapshot=new.snapshot) == new else new)


def obtain(settings: Settings, spec: ImageSpec, lock: DebianLock, ui: Terminal, *, locked: bool) -> Fetched:
    """Have the locked packages at hand: from the cache, the mirror, or the snapshot mirror.

    Where none of them has a package any more, the build goes on with what the mirror has today and
    says so, or stops when ``locked``.

    Raises:
        DriftError: a package is gone and ``locked`` is true. SourceError: no mirror answers.
    """
    fetched = _fetch_all(settings, lock, ui)
    gone = [deb for deb, file in fetched.items() if file is None]
    if not gone:
        return Fetched(lock.debs, tuple(file for file in fetched.values() if file), ())
    names = ", ".join(f"{deb.name} {deb.version}" for deb in gone)
    if locked:
        raise DriftError(
            f"The mirror no longer has {len(gone)} of {len(lock.debs)} locked Debian packages.",
            why=names,
            remedy="Set WEBUI_FORK_SNAPSHOT_MIRROR to a snapshot archive (docs/settings.md), take over a cache that "
            "has them, or move on to today's packages: `nox -s refresh` says why, `nox -s lock` just does it.",
        )
    debs = resolve(settings, spec)
    drift = differences(lock.debs, debs)
    if drift:
        ui.say(f"WARNING: the mirror no longer has {names}.")
        ui.say("WARNING: the base is built from what the mirror has now: the image's digest WILL differ. What drifted:")
        for row in drift:
            ui.say(f"  {row}")
    current = DebianLock(lock.suite, lock.architecture, lock.input, lock.snapshot, debs)
    again = _fetch_all(settings, current, ui)
    missing = [deb.name for deb, file in again.items() if file is None]
    if missing:
        raise SourceError(
            f"The mirror lists packages that it does not have: {', '.join(missing)}.", remedy="Use another mirror."
        )
    return Fetched(debs, tuple(file for file in again.values() if file), drift)


def _fetch_all(settings: Settings, lock: DebianLock, ui: Terminal) -> dict[Deb, Path | None]:
    files: dict[Deb, Path | None] = {}
    for deb in lock.debs:
        path = download.cached(settings.cache, deb.digest)
        files[deb] = path if path.exists() else None
    missing = [deb for deb, path in files.items() if path is None]
    if not missing:
        return files
    from webui_fork.core import wire

    roots = _roots(settings, lock)
    total = sum(deb.size for deb in missing)
    with wire.session() as http, ui.bar(f"Downloading {len(missing)} Debian packages", total) as advance:

        def one(deb: Deb) -> Path | None:
            path = _fetch_one(http, deb, roots, settings, ui)
            advance(deb.size)
            return path

        with ThreadPoolExecutor(4) as pool:
            files.update(zip(missing, pool.map(one, missing), strict=True))
    return files


def _roots(settings: Settings, lock: DebianLock) -> dict[str, list[str]]:
    """Return where to look for a path of each archive, in order."""
    roots: dict[str, list[str]] = {"main": [], "security": []}
    try:
        live = apt.mirrors(settings)
        roots["main"].append(live.main)
        roots["security"] += [live.security] if live.security else []
    except ToolError:
        if not settings.snapshot_mirror:
            raise
    if settings.snapshot_mirror:
        for archive, name in (("main", "debian"), ("security", "debian-security")):
            place = settings.snapshot_mirror.replace("{archive}", name).replace("{timestamp}", lock.snapshot)
            roots[archive].append(place.rstrip("/"))
    return roots


def _fetch_one(
    http: requests.Session, deb: Deb, roots: dict[str, list[str]], settings: Settings, ui: Terminal
) -> Path | None:
    failed: SourceError | None = None
    for root in roots[deb.archive]:
        file = download.Wanted(f"{root}/{deb.path}", f"{deb.name} {deb.version}", deb.digest, deb.size)
        try:
            return download.download(http, file, settings.cache, ui, quiet=True)
        except download.NotFoundError:
            continue
        except DigestError:
            raise
        except SourceError as error:  # a mirror that is down: the next one may do
            failed = error
    if failed:
        raise failed
    return None
