"""Have `deploy/` name an image by digest, with its tag as a comment, after the image was verified."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from webui_fork.config import reference, tags, toml, upstream_lock
from webui_fork.config.reference import Reference
from webui_fork.config.tags import Fixed
from webui_fork.core.digest import Digest
from webui_fork.core.errors import UsageError, VerifyError
from webui_fork.core.files import write_atomic
from webui_fork.core.settings import Settings

PLACEHOLDER = "fork.invalid"  # the registry that a checkout names before anything was pinned
_ENV = re.compile(r"^WEBUI_IMAGE=.*$", re.MULTILINE)
_NAMED = re.compile(r"^WEBUI_IMAGE=([^\s@]+)@(\S+) # (\S+)$", re.MULTILINE)
_HELM = re.compile(r"(?<=^image:\n)  repository: .*\n  tag: .*$", re.MULTILINE)
_KUSTOMIZE = re.compile(r"(?<=  - name: open-webui\n)    newName: .*\n    digest: .*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pinned:
    """What `deploy/` names now, and the files that were changed."""

    name: str
    digest: Digest
    tag: str
    changed: tuple[Path, ...]


def name_of(ref: str, alias: str | None) -> Reference:
    """Return the name that goes into the files: the alias where one is given (a cluster may see another registry).

    Raises:
        UsageError: it is no REGISTRY/NAME.
    """
    if not alias and ref.startswith(reference.LAYOUT):
        raise UsageError(
            f"{ref} is a folder, and no cluster pulls from there.", remedy="Name it with --as REGISTRY/NAME."
        )
    parsed = reference.parse(alias or ref)
    if alias and (parsed.tag or parsed.digest):
        raise UsageError(f"--as {alias} names a tag or digest.", remedy="Give REGISTRY/NAME alone.")
    return parsed


def check_floor(settings: Settings, fixed: Fixed, digest: Digest) -> None:
    """Refuse what is older than this checkout, or than what `deploy/` names; and another image under the same tag.

    Args:
        settings: the checkout.
        fixed: the tag that the image was signed with.
        digest: its own.

    Raises:
        VerifyError: it is. LockError: the checkout's own lock can't be read.
    """
    pinned = upstream_lock.read(settings.lock_file)
    floors = [("this checkout is at", Fixed(pinned.version, pinned.revision))]
    for file in (settings.root / "deploy/.env.example", settings.root / "deploy/.env"):
        row = _NAMED.search(_text(file)) if file.exists() else None
        if row is None or not (current := tags.parse(row.group(3))):
            continue
        floors.append((f"{file.name} names", current))
        if current == fixed and row.group(2) != digest and not row.group(1).startswith(f"{PLACEHOLDER}/"):
            raise VerifyError(
                f"{fixed} is another image than {file.name} names by that tag.",
                why=f"There it is {row.group(2)}, now it is {digest}. Such a tag never moves.",
                remedy="Ask its publisher. If it really was published anew: --older.",
            )
    for where, floor in floors:
        if fixed.order < floor.order:
            raise VerifyError(
                f"The image was signed as {fixed}, and {where} {floor}.",
                why="An older image lacks the fixes of newer ones; this may be a replay attack.",
                remedy="If you want to go back: --older.",
            )


def write(settings: Settings, named: Reference, digest: Digest, tag: str, *, dry_run: bool = False) -> Pinned:
    """Write a digest into every file of `deploy/` that names the image.

    Args:
        settings: the checkout.
        named: what the image is called there.
        digest: its own.
        tag: the one that never moves.
        dry_run: only tell which files would change.

    Raises:
        UsageError: a file lacks the line, or is no text; nothing was written.
    """
    folder = settings.root / "deploy"
    env = [folder / ".env.example", *(file for file in [folder / ".env"] if file.exists())]
    overlays = sorted((folder / "kubernetes/overlays").glob("*/kustomization.yaml"))
    line = f"WEBUI_IMAGE={named.name}@{digest} # {tag}"
    lines = f"    newName: {named.name}\n    digest: {digest} # {tag}"
    planned = {file: _replaced(file, _ENV, line) for file in env}
    planned |= {file: _replaced(file, _KUSTOMIZE, lines) for file in overlays}
    values = folder / "helm/values.yaml"  # the chart knows no digest: it goes with the tag
    planned[values] = _replaced(values, _HELM, f"  repository: {named.name}\n  tag: {tag}@{digest}")
    changed = tuple(file for file, text in planned.items() if text != _text(file))
    for file in () if dry_run else changed:
        place = file.resolve()  # .env may be a link, and is often private
        write_atomic(place, planned[file], place.stat().st_mode & 0o777)
    return Pinned(named.name, digest, tag, changed)


def _text(file: Path) -> str:
    return toml.text_of(file, UsageError, "Take it from git again, or save it as UTF-8.")


def _replaced(file: Path, pattern: re.Pattern[str], line: str) -> str:
    text, count = pattern.subn(lambda _: line, _text(file))
    if count != 1:
        raise UsageError(f"{file} has {count or 'no'} lines that name the image.", remedy="Take it from git again.")
    return text
