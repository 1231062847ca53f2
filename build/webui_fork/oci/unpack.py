"""Lay an image out as a folder, so that its Open WebUI can run as a process, without a container."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from webui_fork.core import process
from webui_fork.core.errors import ImageError
from webui_fork.core.files import exclusive, link_or_copy, sha256_bytes, temp_folder
from webui_fork.oci import content, layout
from webui_fork.oci.model import WHITEOUT, Image, NamedLayer

BACKEND, FRONT_END = "app/backend", "app/build"  # where the image has what patches change
_CHANGELOG = "CHANGELOG.md"
_COMPILES = 120.0  # seconds


def root(cache: Path, below: Sequence[NamedLayer]) -> Path:
    """Return a folder with the files of some layers; it is made once, and only read afterwards.

    Args:
        cache: the cache's folder, which has the layers' blobs.
        below: the layers, the lowest first.

    Raises:
        OSError: the disk is full, say.
    """
    name = sha256_bytes("".join(item.layer.digest for item in below).encode())
    place = cache / "roots" / name
    with exclusive(cache / "locks" / name, "the layers' files"):
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            with temp_folder(place.parent, "root-") as work:
                for item in below:
                    _extract(layout.blob_path(cache, item.layer.digest), work / "made")
                (work / "made").rename(place)
                # once, for all trees: else each start compiles the backend anew, for ten seconds
                if argv := python(place):
                    backend = [*argv, "-m", "compileall", "-q", place / BACKEND]
                    process.run(backend, env={"PYTHONHOME": str(place / "usr")}, check=False, timeout=_COMPILES)
    return place


def python(place: Path) -> list[Path | str]:
    """Return the command that is the image's own Python, whatever this machine has; nothing where there is none.

    Args:
        place: a folder of :func:`root`.
    """
    loaders = [*place.glob("lib64/ld-linux-*.so.*"), *place.glob("lib/ld-linux-*.so.*")]
    programs = sorted(place.glob("usr/bin/python3.[0-9]*"))
    if not loaders or not programs:
        return []
    # links in the folder are those of a whole system, and lead out of it
    loader = next(place.glob(f"usr/lib/*/{loaders[0].name}"), loaders[0])
    libraries = ":".join(str(folder) for folder in place.glob("usr/lib/*-linux-gnu"))
    return [loader, "--library-path", libraries, programs[0]]


def tree(image: Image, cache: Path, folder: Path) -> Path:
    """Lay out what a process needs of an image: `root` leads to the pristine layers, `backend` has the patches.

    The changelog is left empty.

    Args:
        image: base, Python packages, application, and above them what the patches change.
        cache: the cache's folder.
        folder: where to; it must not exist.

    Returns:
        The folder.
    """
    pristine = 1 + [named.name for named in image.layers].index("application")
    below = root(cache, image.layers[:pristine])
    folder.mkdir(parents=True)
    (folder / "root").symlink_to(below)
    for beside in (below / BACKEND).parent.iterdir():  # what the backend looks for in the folder above it
        if beside.name == _CHANGELOG:  # rendered whole at each start, which is two of its seven seconds of CPU
            (folder / _CHANGELOG).write_text("# Changelog\n")
        elif beside.name != "backend":
            (folder / beside.name).symlink_to(beside)
    shutil.copytree(below / BACKEND, folder / "backend", symlinks=True)
    for named in image.layers[pristine:]:
        _extract(layout.blob_path(cache, named.layer.digest), folder / "patched")
    if (folder / "patched" / BACKEND).exists():  # a series without a patch changes nothing
        _lay_over(folder / "patched" / BACKEND, folder / "backend")
    if (folder / "patched" / FRONT_END).exists():
        (folder / "build").unlink()
        shutil.copytree(
            below / FRONT_END, folder / "build", copy_function=lambda one, other: link_or_copy(Path(one), Path(other))
        )
        _lay_over(folder / "patched" / FRONT_END, folder / "build")
    shutil.rmtree(folder / "patched")
    return folder


def variant(tree: Path, folder: Path, path: str, text: str) -> Path:
    """Return a tree that differs from another by the text of one file.

    Args:
        tree: the other one, a folder of :func:`tree`.
        folder: where to; it must not exist.
        path: the file, below the tree.
        text: what is in it.
    """
    folder.mkdir(parents=True)
    for beside in tree.iterdir():
        if beside.name != "backend":
            (folder / beside.name).symlink_to(beside.resolve())
    shutil.copytree(tree / "backend", folder / "backend", copy_function=os.link, symlinks=True)
    (folder / path).unlink()
    (folder / path).write_text(text, encoding="utf-8")
    return folder


def _extract(blob: Path, folder: Path) -> None:
    """Write the files and links of a layer; owners and devices stay in it."""
    folder.mkdir(parents=True, exist_ok=True)
    inside = folder.resolve()
    for info, data in content.read_entries(blob):
        target = folder / info.name
        other = folder / info.linkname if info.islnk() else None
        for path in filter(None, (target, other)):
            if not path.parent.resolve().is_relative_to(inside):
                raise ImageError(f"{info.name!r} in a layer leads out of it.")
        if info.isdir():
            target.mkdir(parents=True, exist_ok=True)
        elif info.issym():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            target.symlink_to(info.linkname)
        elif other:
            target.unlink(missing_ok=True)
            target.hardlink_to(other)
        elif info.isreg():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)  # a lower layer may have a link there, which leads anywhere
            target.write_bytes(data)
            target.chmod(info.mode | 0o600)


def _lay_over(changed: Path, folder: Path) -> None:
    for path in sorted(changed.rglob("*")):
        target = folder / path.relative_to(changed)
        if path.name.startswith(WHITEOUT):
            target.with_name(path.name.removeprefix(WHITEOUT)).unlink(missing_ok=True)
        elif path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)  # it may be a second name
            shutil.copy2(path, target)
