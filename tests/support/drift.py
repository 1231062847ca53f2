"""Drift is weather: a mirror forgets a locked Debian package with the next security update of it.

Where the locked ones can't be had any more, the tests run on a checkout that is locked to what the mirror has today.
Everything else is as ever: `--locked` is strict, and what must be identical is built twice from the same packages.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from webui_fork.config import debian_lock, image_toml, upstream_lock
from webui_fork.config.image_toml import ImageSpec
from webui_fork.core.errors import DriftError
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import inputs
from webui_fork.sources import debian

_IDENTITY = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "core.hooksPath=/dev/null"]


def settle(settings: Settings, folder: Path, ui: Terminal) -> None:
    """Have a checkout in `folder/checkout` whose Debian packages can be had, if those of the real one can't.

    Raises:
        SourceError: no mirror answers. ToolError: apt can't resolve the packages.
    """
    drifted = [spec for spec in _images(settings.root) if not _at_hand(settings, spec, ui)]
    if not drifted:
        return
    root = copied(settings.root, folder / "checkout")
    own, lines = replace(settings, root=root), list[str]()
    for spec in drifted:
        file = root / "images" / spec.folder.name / spec.lock("debian").name
        before = debian_lock.read(file)
        file.write_text(debian.plan(own, spec, file, datetime.now(UTC)))
        lines += [f"{spec.name}: {row}" for row in debian_lock.differences(before.debs, debian_lock.read(file).debs)]
    pinned = upstream_lock.read(own.lock_file)
    upstream_lock.write(own.lock_file, replace(pinned, inputs=inputs.lock_inputs(own)))
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "today's packages"]):
        subprocess.run(["git", "-C", str(root), *_IDENTITY, *words], check=True)
    (folder / "drift").write_text("".join(f"{row}\n" for row in lines))


def digest_of_elsewhere(tag: str, folder: Path) -> str:
    """Return the index's digest as deploy/ has it, of another machine; "" for another tag, or of other packages.

    Args:
        tag: of the series' images. folder: that was given to :func:`settle`.
    """
    if rows(folder):  # of these packages nobody published an image
        return ""
    text = (CHECKOUT / "deploy/.env.example").read_text()
    named = re.findall(r"^WEBUI_IMAGE=fork\.invalid/open-webui@(\S+) # (\S+)$", text, re.MULTILINE)
    return next((digest for digest, of_tag in named if of_tag == tag), "")


def _images(root: Path) -> list[ImageSpec]:
    folders = sorted(path.parent for path in (root / "images").glob("*/image.toml"))
    packaged = [folder for folder in folders if image_toml.kind(folder) == "packages"]
    first = [image_toml.read(folder, flavour) for folder in packaged for flavour in image_toml.flavours(folder)]
    # of the other architectures the tests build the first flavour alone
    others = [(folder, name) for folder in packaged for name in image_toml.architectures(folder)[1:]]
    return [*first, *(image_toml.read(folder, architecture=name) for folder, name in others)]


def _at_hand(settings: Settings, spec: ImageSpec, ui: Terminal) -> bool:
    try:
        debian.obtain(settings, spec, debian_lock.read(spec.lock("debian")), ui, locked=True)
    except DriftError as error:
        ui.say(f"{spec.name}: {error}")
        return False
    return True


def copied(source: Path, folder: Path) -> Path:
    """Copy what git tracks in a checkout (and what is new), as a clone in another folder would have it."""
    listed = ["git", "-C", str(source), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\0"):
        if name and (source / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, folder / name)
    return folder


def rows(folder: Path) -> tuple[str, ...]:
    """Return a line for each package that is not the locked one in the run of this folder."""
    file = folder / "drift"
    return tuple(file.read_text().splitlines()) if file.exists() else ()
