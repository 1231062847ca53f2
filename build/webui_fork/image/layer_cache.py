"""Layers by the digest of all that decides their bytes, this tool's own code included."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from webui_fork.core.digest import decode
from webui_fork.core.files import code_digest, ensure_folder, sha256_bytes, temp_folder, write_atomic
from webui_fork.core.terminal import Terminal
from webui_fork.oci import layout, model
from webui_fork.oci.model import Layer, NamedLayer
from webui_fork.rootfs import layers
from webui_fork.rootfs.layers import Entry

log = logging.getLogger(__name__)

Make = Callable[[Path, ExitStack], Iterable[Entry]]

ROOMS = ("core", "config", "sources", "series", "frontend", "oci", "rootfs", "image")  # where its bytes come from


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
            inputs: everything that decides its bytes, but for this tool's own code.
            make: gives the entries; has an empty folder to work in, and a stack for what stays open
                until they are written.
            doing: what to say while it is written. parents: add the folders that the entries need.

        Raises:
            ForkError: see ``make`` and :func:`webui_fork.rootfs.layers.write`.
        """
        key = model.canonical_json({"name": name, "epoch": self.epoch, "code": code_digest(*ROOMS), **inputs})
        record = self.folder / "layers" / f"{sha256_bytes(key).hex}.json"
        with suppress(FileNotFoundError, msgspec.MsgspecError):  # one that is damaged is written anew
            cached = msgspec.json.decode(record.read_bytes(), type=Layer, dec_hook=decode)
            blob = layout.blob_path(self.folder, cached.digest)
            if blob.exists() and blob.stat().st_size == cached.size:
                return Made(NamedLayer(name, cached), False)
        log.debug("layer %s: no %s, of %s", name, record.name, key.decode())
        with self.ui.step(name, doing), temp_folder(self.folder / "tmp", name) as work, ExitStack() as stack:
            layer = layers.write(make(work, stack), work / "layer.tar.gz", self.epoch, parents=parents)
            blob = layout.blob_path(self.folder, layer.digest)
            ensure_folder(blob.parent)
            (work / "layer.tar.gz").replace(blob)
        write_atomic(record, model.canonical_json(asdict(layer)))
        return Made(NamedLayer(name, layer), True)
