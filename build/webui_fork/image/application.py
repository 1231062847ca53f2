"""What goes into the layer of the release, and into those of the series."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import Any

import msgspec

from webui_fork.config.image_tables import Copy
from webui_fork.config.image_toml import ImageSpec, Placement
from webui_fork.core.errors import ImageError
from webui_fork.core.files import sha256_bytes
from webui_fork.core.git import Repo
from webui_fork.frontend.changes import NAMED_BY_CONTENT, BuiltFile
from webui_fork.rootfs import layers
from webui_fork.rootfs.layers import Entry, Lazy
from webui_fork.series import apply
from webui_fork.series.patch import Patch
from webui_fork.sources import archive
from webui_fork.sources.release import Source, link_target

PATCHES = "usr/share/doc/webui-fork/patches"  # where an image has its own series, for whoever audits it


def application_inputs(spec: ImageSpec, source: Source, wheel_sha256: str) -> dict[str, Any]:
    """Return what decides the application layer."""
    return {
        "commit": source.commit,
        "wheel": wheel_sha256,
        "copies": msgspec.to_builtins(spec.copies),
        "folders": [asdict(folder) for folder in spec.folders],
        "links": msgspec.to_builtins(spec.links),
        "own": [sha256_bytes((spec.folder / c.path).read_bytes()) for c in spec.copies if c.origin == "image"],
    }


def application(repo: Repo, spec: ImageSpec, source: Source, wheel_name: str, stack: ExitStack) -> Iterator[Entry]:
    """Yield the pristine application as upstream lays it out, and what the image's folder adds.

    Args:
        stack: keeps the wheel open until the entries are written.

    Raises:
        ImageError: the release lacks what `image.toml` takes from it. ArchiveError: the wheel is bad.
    """
    for copy in spec.copies:
        if copy.origin == "wheel":
            for file in stack.enter_context(archive.wheel_files(source.wheel, wheel_name, copy.path)):
                if placed := copy.place(f"{copy.path}/{file.path}"):
                    yield layers.file_entry(placed, Lazy(file.size, file.read))
        elif copy.origin == "image":
            yield layers.file_entry(copy.to.strip("/"), (spec.folder / copy.path).read_bytes(), executable=True)
        else:
            yield from _from_release(repo, source.commit, copy)
    for folder in spec.folders:
        yield layers.folder_entry(folder.path.strip("/"), folder.mode, folder.uid, folder.gid)
    for link in spec.links:
        yield Entry(link.path.strip("/"), tarfile.SYMTYPE, 0o777, link=link.to)


def _from_release(repo: Repo, commit: str, copy: Copy) -> Iterator[Entry]:
    any_file = False
    for file in repo.walk(commit, lambda path: copy.place(path) is not None):
        any_file = True
        placed = copy.place(file.path)
        assert placed
        if target := link_target(file):
            yield Entry(placed, tarfile.SYMTYPE, 0o777, link=target)
            continue
        entry = layers.file_entry(placed, Lazy(file.size, file.read), executable=bool(file.mode & 0o100))
        yield replace(entry, mode=entry.mode | 0o020) if copy.writable(file.path) else entry
    if not any_file:
        raise ImageError(f"The release has no {copy.path}.", remedy="Check [[application]] in image.toml.")


def front_end(spec: Placement, built: Iterable[BuiltFile]) -> Iterator[Entry]:
    """Yield what differs in the front end. A chunk that nothing names any more stays: an open page may need it.

    Args:
        spec: where the built front end stands in the image.
        built: what the series changes in it.
    """
    for file in built:
        placed = spec.place_built(file.path)
        if placed is None:
            continue
        if file.data is not None:
            yield layers.file_entry(placed, file.data)
        elif not file.path.startswith(NAMED_BY_CONTENT):
            yield layers.whiteout(placed)


def patched(spec: Placement, changes: Iterable[apply.Change], patches: Sequence[Patch]) -> Iterator[Entry]:
    """Yield the last layer: the files that the series changes, at their place in the image, and the series itself.

    Args:
        spec: where files of the release stand in the image.
        changes: what the series changes in the release.
        patches: the series.

    Raises:
        ImageError: a changed file is not in the image, or is not a plain file any more.
    """
    for change in changes:
        if spec.builds(change.path):
            if change.data is not None and change.mode not in (0o100644, 0o100755):
                raise ImageError(f"The series turns {change.path} into something that is not a plain file.")
            continue
        placed = spec.place(change.path)
        if placed is None:
            raise ImageError(
                f"The series changes {change.path}, which is not in the image.",
                remedy="Patches can change what [[application]] in image.toml takes from the release.",
            )
        if change.data is None:
            yield layers.whiteout(placed)
        elif change.mode not in (0o100644, 0o100755):
            raise ImageError(f"The series turns {change.path} into something that is not a plain file.")
        else:
            entry = layers.file_entry(placed, change.data, executable=change.mode == 0o100755)
            yield replace(entry, mode=entry.mode | 0o020) if spec.writable(change.path) else entry
    if patches:
        yield layers.folder_entry(PATCHES.rpartition("/")[0])
        yield layers.folder_entry(PATCHES)
        yield layers.file_entry(f"{PATCHES}/series", "".join(f"{patch.name}\n" for patch in patches).encode())
    for patch in patches:
        yield layers.file_entry(f"{PATCHES}/{patch.name}", patch.data)
