"""What goes into the application's layers, and the cache that keeps layers by their inputs."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webui_fork import layers
from webui_fork.config.image_toml import Copy, ImageSpec, Placement
from webui_fork.core import git
from webui_fork.core.errors import ImageError
from webui_fork.core.files import ensure_folder, sha256_bytes, temp_folder, write_atomic
from webui_fork.core.terminal import Terminal
from webui_fork.layers import Entry, Lazy
from webui_fork.oci import layout, model
from webui_fork.oci.model import Layer, NamedLayer
from webui_fork.series import apply
from webui_fork.series.patch import Patch
from webui_fork.sources import archive
from webui_fork.sources.release import Source

if TYPE_CHECKING:
    from git import Repo

PATCHES = "usr/share/doc/webui-fork/patches"  # where an image has its own series, for whoever audits it

Make = Callable[[Path, ExitStack], Iterable[Entry]]


@cache
def code_digest(*modules: str) -> str:
    """Return a digest of modules of this package: code is an input of what it writes."""
    folder = Path(__file__).parent
    return sha256_bytes("".join(sha256_bytes((folder / f"{name}.py").read_bytes()) for name in modules).encode())


@dataclass(frozen=True, slots=True)
class Made:
    """A layer, and whether it had to be written."""

    layer: NamedLayer
    fresh: bool


@dataclass(frozen=True, slots=True)
class LayerCache:
    """Layers by the digest of their inputs, below the user's cache folder."""

    folder: Path
    epoch: int
    ui: Terminal

    def get(self, name: str, inputs: dict[str, Any], make: Make, doing: str = "", *, parents: bool = True) -> Made:
        """Return a layer from the cache, or write it.

        Args:
            inputs: everything that decides its bytes.
            make: gives the entries; has an empty folder to work in, and a stack for what stays open
                until they are written.
            doing: what to say while it is written. parents: add the folders that the entries need.

        Raises:
            ForkError: see ``make`` and :func:`webui_fork.layers.write`.
        """
        key = model.canonical_json({"name": name, "epoch": self.epoch, "code": code_digest("layers"), **inputs})
        record = self.folder / "layers" / f"{sha256_bytes(key).removeprefix('sha256:')}.json"
        if record.exists():
            known = Layer(**json.loads(record.read_bytes()))
            blob = layout.blob_path(self.folder, known.digest)
            if blob.exists() and blob.stat().st_size == known.size:
                return Made(NamedLayer(name, known), False)
        with self.ui.step(name, doing), temp_folder(self.folder / "tmp", name) as work, ExitStack() as held:
            layer = layers.write(make(work, held), work / "layer.tar.gz", self.epoch, parents=parents)
            blob = layout.blob_path(self.folder, layer.digest)
            ensure_folder(blob.parent)
            (work / "layer.tar.gz").replace(blob)
        write_atomic(record, model.canonical_json(asdict(layer)))
        return Made(NamedLayer(name, layer), True)


def application_inputs(spec: ImageSpec, source: Source, wheel_sha256: str) -> dict[str, Any]:
    """Return what decides the application layer."""
    return {
        "commit": source.commit,
        "wheel": wheel_sha256,
        "copies": [asdict(copy) for copy in spec.copies],
        "folders": [asdict(folder) for folder in spec.folders],
        "own": [sha256_bytes((spec.folder / c.path).read_bytes()) for c in spec.copies if c.origin == "image"],
        "code": code_digest("layers", "contents", "archive", "image", "upstream"),
    }


def application(repo: Repo, spec: ImageSpec, source: Source, wheel_name: str, held: ExitStack) -> Iterator[Entry]:
    """Yield the pristine application as upstream lays it out, and what the image's folder adds.

    Args:
        held: keeps the wheel open until the entries are written.

    Raises:
        ImageError: the release lacks what `image.toml` takes from it. ArchiveError: the wheel is bad.
    """
    for copy in spec.copies:
        if copy.origin == "wheel":
            for file in held.enter_context(archive.wheel_files(source.wheel, wheel_name, copy.path)):
                if placed := copy.place(f"{copy.path}/{file.path}"):
                    yield layers.file_entry(placed, Lazy(file.size, file.read))
        elif copy.origin == "image":
            yield layers.file_entry(copy.to.strip("/"), (spec.folder / copy.path).read_bytes(), executable=True)
        else:
            yield from _from_release(repo, source.commit, copy)
    for folder in spec.folders:
        yield layers.folder_entry(folder.path.strip("/"), folder.mode, folder.uid, folder.gid)


def _from_release(repo: Repo, commit: str, copy: Copy) -> Iterator[Entry]:
    found = False
    for file in git.walk(repo, commit, lambda path: copy.place(path) is not None):
        found = True
        placed = copy.place(file.path)
        assert placed
        if file.mode == 0o120000:
            yield Entry(placed, tarfile.SYMTYPE, 0o777, link=file.read().decode())
            continue
        entry = layers.file_entry(placed, Lazy(file.size, file.read), executable=bool(file.mode & 0o100))
        yield replace(entry, mode=entry.mode | 0o020) if copy.writable(file.path) else entry
    if not found:
        raise ImageError(f"The release has no {copy.path}.", remedy="Check [[application]] in image.toml.")


def patched(spec: Placement, changes: Iterable[apply.Change], patches: Sequence[Patch]) -> Iterator[Entry]:
    """Yield the last layer: the files that the series changes, at their place in the image, and the series itself.

    Raises:
        ImageError: a changed file is not in the image, or is not a plain file any more.
    """
    for change in changes:
        placed = spec.place(change.path)
        if placed is None:
            raise ImageError(
                f"The series changes {change.path}, which is not in the image.",
                remedy="Patches can change what [[application]] in image.toml takes from the release.",
            )
        if change.data is None:
            yield layers.whiteout(placed)
        elif change.mode not in (0o100644, 0o100755):
            raise ImageError(f"The series makes {change.path} something else than a file.")
        else:
            entry = layers.file_entry(placed, change.data, executable=change.mode == 0o100755)
            yield replace(entry, mode=entry.mode | 0o020) if spec.writable(change.path) else entry
    if patches:
        yield layers.folder_entry(PATCHES.rpartition("/")[0])
        yield layers.folder_entry(PATCHES)
        yield layers.file_entry(f"{PATCHES}/series", "".join(f"{patch.name}\n" for patch in patches).encode())
    for patch in patches:
        yield layers.file_entry(f"{PATCHES}/{patch.name}", patch.data)
