"""Have `deploy/` name an image by digest, with its tag as a comment, after the image was verified."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from webui_fork.config import reference
from webui_fork.config.reference import Reference
from webui_fork.core.errors import UsageError
from webui_fork.core.files import write_atomic
from webui_fork.core.settings import Settings

_ENV = re.compile(r"^WEBUI_IMAGE=.*$", re.MULTILINE)
_KUSTOMIZE = re.compile(r"(?<=  - name: open-webui\n)    newName: .*\n    digest: .*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pinned:
    """What `deploy/` names now, and the files that were changed."""

    name: str
    digest: str
    tag: str
    changed: tuple[Path, ...]


def name_of(ref: str, alias: str | None) -> Reference:
    """Return the name that goes into the files: the alias where one is given (a cluster may see another registry).

    Raises:
        UsageError: it is no REGISTRY/NAME.
    """
    parsed = reference.parse(alias or ref)
    if alias and (parsed.tag or parsed.digest):
        raise UsageError(f"--as {alias} names a tag or digest.", remedy="Give REGISTRY/NAME alone.")
    return parsed


def write(settings: Settings, named: Reference, digest: str, tag: str) -> Pinned:
    """Write a digest into every file of `deploy/` that names the image.

    Raises:
        UsageError: a file lacks the line; nothing was written.
    """
    folder = settings.root / "deploy"
    env = [folder / ".env.example", *(file for file in [folder / ".env"] if file.exists())]
    overlays = sorted((folder / "kubernetes/overlays").glob("*/kustomization.yaml"))
    line = f"WEBUI_IMAGE={named.name}@{digest} # {tag}"
    lines = f"    newName: {named.name}\n    digest: {digest} # {tag}"
    planned = {file: _replaced(file, _ENV, line) for file in env}
    planned |= {file: _replaced(file, _KUSTOMIZE, lines) for file in overlays}
    changed = tuple(file for file, text in planned.items() if text != file.read_text(encoding="utf-8"))
    for file in changed:
        write_atomic(file, planned[file])
    return Pinned(named.name, digest, tag, changed)


def _replaced(file: Path, pattern: re.Pattern[str], line: str) -> str:
    text, count = pattern.subn(lambda _: line, file.read_text(encoding="utf-8"))
    if count != 1:
        raise UsageError(f"{file} has {count or 'no'} lines that name the image.", remedy="Take it from git again.")
    return text
