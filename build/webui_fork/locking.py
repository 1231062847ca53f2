"""`lock`: pin a release, and refresh the Debian and Python locks. The only writer of all three."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from webui_fork import debian, image, index, pipeline, rootfs, upstream
from webui_fork import lock as lock_module
from webui_fork.errors import LockError
from webui_fork.files import write_atomic
from webui_fork.lock import Lock
from webui_fork.settings import Settings
from webui_fork.terminal import Terminal


def _pin(settings: Settings, version: str | None) -> Lock:
    """Return the lock of the wanted release: the one at hand, or what the index has."""
    old = lock_module.read(settings.lock_file) if settings.lock_file.exists() else None
    if old and version in (None, old.version):
        return old
    where = index.configured(settings)
    releases, _ = index.listing(where, index.session(where))
    found = index.pick(releases, None if version in (None, "latest") else version)
    return Lock(found.version, found.time, found.sdist, found.wheel, None, ())


def refresh(settings: Settings, ui: Terminal, version: str | None) -> tuple[str, ...]:
    """Pin a release and write `requirements.lock`, `debian.lock` and `upstream.lock`.

    Args:
        version: the release; None keeps the pinned one, "latest" takes the newest.

    Returns:
        A line for each thing that changed.

    Raises:
        LockError, SourceError, ToolError: nothing was written to the lock that failed.
    """
    pinned = _pin(settings, version)
    changed: list[str] = []
    source = upstream.obtain(settings, pinned, ui)
    repo = upstream.repository(settings)
    for folder in sorted(path.parent for path in (settings.root / "images").glob("*/image.toml")):
        changed += _refresh_image(settings, ui, image.read(folder), repo, source.commit)
    settled = replace(pinned, inputs=pipeline.lock_inputs(settings))
    if lock_module.write(settings.lock_file, settled):
        changed.append(f"upstream.lock: {settled.version}")
    return tuple(changed)


def _refresh_image(settings: Settings, ui: Terminal, spec: image.ImageSpec, repo: object, commit: str) -> list[str]:
    wanted = upstream.read_file(repo, commit, spec.python.requirements)  # type: ignore[arg-type]
    if wanted is None:
        raise LockError(f"The release has no {spec.python.requirements}.", remedy="Check [python] in image.toml.")
    changed = []
    with ui.step("requirements", f"Locking the Python packages of {spec.name}"):
        file = spec.folder / "requirements.lock"
        options = index.configured(settings).uv_arguments()
        text = rootfs.lock_requirements(settings, spec, wanted, file, options)
        changed += _replace(settings, file, text)
    with ui.step("debian", f"Locking the Debian packages of {spec.name}"):
        file = spec.folder / "debian.lock"
        for row in debian.write(settings, spec, file, datetime.now(UTC)):
            changed.append(f"{file.relative_to(settings.root)}: {row}")
    return changed


def _replace(settings: Settings, file: Path, text: str) -> list[str]:
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return []
    write_atomic(file, text)
    return [f"{file.relative_to(settings.root)}: rewritten"]
