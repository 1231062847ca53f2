"""The locks of the tools' own Python packages (`requirements/`): the newest versions that are not too new.

A version that somebody put on the index in another's name is mostly noticed within days, so a new one waits for a week.
What fixes a known vulnerability does not wait.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

from webui_fork.config import requirements_lock
from webui_fork.core.files import temp_folder
from webui_fork.core.settings import Settings
from webui_fork.sources import uv

COOL_DOWN = timedelta(days=7)
_GROUPS = {"tool": "", "dev": "dev", "docs": "docs"}  # of pyproject.toml, beside its dependencies


def files(settings: Settings) -> tuple[Path, ...]:
    """Return where the locks are."""
    return tuple(settings.root / "requirements" / f"{name}.lock" for name in _GROUPS)


def plan(settings: Settings, at_once: Iterable[str], now: datetime) -> dict[Path, str]:
    """Resolve them; return each file's text.

    Args:
        settings: of the checkout.
        at_once: names whose newest version is taken, however new.
        now: the time that versions are old or new by.

    Raises:
        ToolError: they can't be resolved; an index that does not say when a file was uploaded has nothing old enough.
    """
    planned = {}
    for name, file in zip(_GROUPS, files(settings), strict=True):
        old = file.read_text(encoding="utf-8") if file.exists() else ""
        fresh = {canonicalize_name(one) for one in at_once}
        text = _resolve(settings, name, now, fresh, {})
        if kept := _lower(old, text):  # taken before its time for its security: it does not go back
            text = _resolve(settings, name, now, fresh | kept.keys(), kept)
        planned[file] = text
    return planned


def _lower(old: str, new: str) -> dict[str, str]:
    """Return the distributions that a lock would take to an older version, with the highest that they have."""
    before, after = _highest(old), _highest(new)
    return {name: str(before[name]) for name in before.keys() & after.keys() if after[name] < before[name]}


def _highest(text: str) -> dict[str, Version]:
    highest: dict[str, Version] = {}
    for name, number in requirements_lock.packages(text):
        highest[name] = max(Version(number), highest.get(name, Version(number)))
    return highest


def _resolve(settings: Settings, name: str, now: datetime, fresh: Iterable[str], kept: dict[str, str]) -> str:
    project = settings.root / "pyproject.toml"
    arguments: list[str | Path] = [project, "--universal", "--generate-hashes", "--python-version", "3.11"]
    arguments += ["--exclude-newer", (now - COOL_DOWN).isoformat()]
    arguments += ["--group", f"{project}:{_GROUPS[name]}"] if _GROUPS[name] else []
    for one in sorted(fresh):
        arguments += ["--exclude-newer-package", f"{one}={now.isoformat()}"]
    with temp_folder(settings.cache / "tmp", "tools") as work:
        pins = work / "kept.txt"  # not ==: what was taken off the index, or is no longer wanted, may go back
        pins.write_text("".join(f"{one}<={version}\n" for one, version in sorted(kept.items())), encoding="utf-8")
        arguments += ["--constraints", pins]
        return uv.resolve(settings, arguments, work / f"{name}.lock", doing="lock the tools' own packages")
