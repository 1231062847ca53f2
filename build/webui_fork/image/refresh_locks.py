"""Pin a release, and refresh the locks of Debian packages, Python packages and bases. The only writer of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from webui_fork.config import bases_lock, debian_lock, image_toml, overrides, requirements_lock, upstream_lock
from webui_fork.config.image_toml import RegistrySpec
from webui_fork.config.upstream_lock import Lock
from webui_fork.core import git
from webui_fork.core.errors import ImageError, LockError
from webui_fork.core.files import write_atomic
from webui_fork.core.git import Repo
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import python, revision
from webui_fork.image.variants import reference_of
from webui_fork.oci import connect
from webui_fork.sources import debian, package_index, release, tool_locks


def pin(settings: Settings, version: str | None) -> Lock:
    """Return the lock of a release: the one at hand, or of what the index has.

    Args:
        settings: of the checkout.
        version: of the release; None: the one that is locked; `latest`: the newest.

    Raises:
        SourceError: the index can't be read. LockError: it has no such release.
    """
    old = upstream_lock.read(settings.lock_file) if settings.lock_file.exists() else None
    if old and version in (None, old.version):
        return old
    where = package_index.configured(settings)
    releases, _ = package_index.listing(where, package_index.session(where))
    picked = package_index.pick(releases, None if version in (None, "latest") else version)
    return picked.lock


def revise(settings: Settings) -> tuple[str, ...]:
    """Take the next patchset revision, for a change that no lock records, such as one of `image.toml`.

    Raises:
        LockError: the lock can't be read.
    """
    pinned = upstream_lock.read(settings.lock_file)
    settled = replace(pinned, revision=pinned.revision + 1)
    upstream_lock.write(settings.lock_file, settled)
    return (f"upstream.lock: {settled.tag}",)


def refresh(
    settings: Settings,
    ui: Terminal,
    version: str | None,
    upgrade: Mapping[str, Sequence[str]] | None = None,
    *,
    strict: bool = True,
) -> tuple[str, ...]:
    """Pin a release and write `requirements.lock`, `debian.lock` and `upstream.lock`.

    Args:
        settings: of the checkout.
        ui: says what is done.
        version: the release; None keeps the pinned one, "latest" takes the newest.
        upgrade: for an image by its name, Python packages to move on as far as the release's requirements admit.
        strict: an override that is not needed is an error; else it is left out, and said: the lint refuses it later.

    Returns:
        A line for each thing that changed.

    Raises:
        LockError, SourceError, ToolError: nothing was written.
    """
    pinned = pin(settings, version)
    commit = release.release_commit(settings, pinned, ui)
    repo = git.repository(settings)
    planned, unneeded = _plan_all(settings, ui, repo, commit, upgrade or {})
    if unneeded and strict:
        raise overrides.needless(unneeded)
    for row in unneeded:
        ui.say(f"WARNING: {overrides.FILE}: {row}. It was left out.")
    changed: list[str] = []
    for file, text in planned.items():  # nothing is written before everything is resolved
        changed += _write(settings, file, text)
    if revision.record(settings, pinned):
        changed.append(f"upstream.lock: {upstream_lock.read(settings.lock_file).tag}")
    return tuple(changed)


def _described(settings: Settings) -> list[image_toml.ImageSpec]:
    """Return every image that is made of packages, each flavour and architecture by itself."""
    return [
        image_toml.read(folder, flavour, architecture)
        for folder in _folders(settings, "packages")
        for flavour in image_toml.flavours(folder)
        for architecture in image_toml.architectures(folder)
    ]


def _folders(settings: Settings, kind: str) -> list[Path]:
    folders = sorted(path.parent for path in (settings.root / "images").glob("*/image.toml"))
    return [folder for folder in folders if image_toml.kind(folder) == kind]


def pin_bases(settings: Settings, ui: Terminal) -> tuple[str, ...]:
    """Pin the images that variants go on, as their registries have them now.

    Returns:
        A line for each thing that changed.

    Raises:
        ImageError, RegistryError: nothing was written.
    """
    pinned = upstream_lock.read(settings.lock_file)
    planned = {}
    for folder in _folders(settings, "registry"):
        with ui.step("bases", f"Asking for the bases of {folder.name}"):
            planned[folder / "bases.lock"] = plan_bases(settings, image_toml.read_registry(folder), pinned)
    changed: list[str] = []
    for file, text in planned.items():
        changed += _write(settings, file, text)
    if revision.record(settings, pinned):
        changed.append(f"upstream.lock: {upstream_lock.read(settings.lock_file).tag}")
    return tuple(changed)


def refresh_tools(settings: Settings, ui: Terminal, at_once: Sequence[str] = ()) -> tuple[str, ...]:
    """Write the locks of the tools' own Python packages (`requirements/`).

    Args:
        settings: of the checkout.
        ui: says what is done.
        at_once: names whose newest version does not wait until it is a week old.

    Returns:
        A line for each thing that changed.

    Raises:
        ToolError: nothing was written.
    """
    with ui.step("tools", "Locking the tools' own packages"):
        planned = tool_locks.plan(settings, at_once, datetime.now(UTC))
    return tuple(row for file, text in planned.items() for row in _write(settings, file, text))


def _plan_all(
    settings: Settings, ui: Terminal, repo: Repo, commit: str, upgrade: Mapping[str, Sequence[str]]
) -> tuple[dict[Path, str], list[str]]:
    """Return the locks of every image, and a line for each override that no flavour of its image needs."""
    planned: dict[Path, str] = {}
    unneeded: dict[Path, list[set[str]]] = {}
    # the lock of a flavour's first architecture: the others follow its versions
    first: dict[tuple[Path, str], str] = {}
    for spec in _described(settings):
        flavour = (spec.folder, spec.flavour)
        texts, rows = _plan(settings, ui, spec, repo, commit, upgrade.get(spec.name, ()), first.get(flavour, ""))
        planned |= texts
        first.setdefault(flavour, texts.get(spec.lock("requirements"), ""))
        unneeded.setdefault(spec.folder, []).append(set(rows))
    return planned, sorted(row for rows in unneeded.values() for row in set.intersection(*rows))


def _plan(
    settings: Settings,
    ui: Terminal,
    spec: image_toml.ImageSpec,
    repo: Repo,
    commit: str,
    upgrade: Sequence[str],
    alike: str,
) -> tuple[dict[Path, str], tuple[str, ...]]:
    """Return the locks of an image, and a line for each override that it does not need."""
    planned: dict[Path, str] = {}
    needless = tuple[str, ...]()
    if spec.wheels:
        requirements_text, file = _requirements(spec, repo, commit), spec.lock("requirements")
        old = file.read_text(encoding="utf-8") if file.exists() else ""
        with ui.step("requirements", f"Locking the Python packages of {spec.title}"):
            planned[file], needless = python.lock_requirements(
                settings, spec, requirements_text, old, ui, upgrade, alike
            )
    packages = spec.lock("debian")
    with ui.step("debian", f"Locking the Debian packages of {spec.title}"):
        planned[packages] = debian.plan(settings, spec, packages, datetime.now(UTC))
    return planned, needless


def _requirements(spec: image_toml.ImageSpec, repo: Repo, commit: str) -> bytes:
    """Return the requirements file that an image's lock is made from.

    Raises:
        LockError: it is not there.
    """
    file = spec.folder / spec.python.requirements
    if spec.python.origin == "image":
        text = file.read_bytes() if file.is_file() else None
    else:
        text = repo.read_file(commit, spec.python.requirements)
    if text is None:
        raise LockError(
            f"The {spec.python.origin} has no {spec.python.requirements}.", remedy="Check [python] in image.toml."
        )
    return text


def check_overrides(settings: Settings, repo: Repo, commit: str) -> None:
    """Refuse an override of any image that the release has caught up with, or whose day has passed.

    Raises:
        LockError: there is one.
    """
    today = datetime.now(UTC).date()
    for spec in _described(settings):
        if spec.overrides:
            overrides.refuse(spec.overrides, _requirements(spec, repo, commit).decode("utf-8", "replace"), today)


def _write(settings: Settings, file: Path, text: str) -> list[str]:
    old = file.read_text(encoding="utf-8") if file.exists() else None
    if old == text:
        return []
    name = file.relative_to(settings.root).as_posix()
    rows = [f"{name}: rewritten"]
    if old and file.name.endswith("debian.lock"):
        before, after = debian_lock.parse(old, file), debian_lock.parse(text, file)
        rows += [f"  {row}" for row in debian_lock.differences(before.debs, after.debs)]
    elif old:
        rows += [f"  {row}" for row in requirements_lock.differences(old, text)]
    write_atomic(file, text)
    return rows


def plan_bases(settings: Settings, spec: RegistrySpec, pinned: Lock) -> str:
    """Ask the registries what the variants' references name now; return the lock's text.

    Raises:
        ImageError: one is not there. RegistryError: a registry fails.
    """
    rows = []
    for variant in spec.variants:
        base = reference_of(variant, pinned)
        with connect.connect(settings, base) as registry:
            manifest = registry.manifest(base.target)
        if manifest is None:
            raise ImageError(f"{base} is not there.", remedy=f"Check [[variant]] {variant.name} in image.toml.")
        rows.append((variant.name, str(base), manifest.digest))
    return bases_lock.dump(rows)
