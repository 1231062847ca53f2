"""Images beside the main one, such as the model server of the proofs: made of packages, without a release or patches.

They are for the engine at hand, so they are neither pushed nor signed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from webui_fork.config import image_toml, locked_image
from webui_fork.config.locked_image import Packaged
from webui_fork.core.errors import ImageError
from webui_fork.core.files import sha256_bytes
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import base as image_base
from webui_fork.image import python as image_python
from webui_fork.image import tiny_model
from webui_fork.image.layer_cache import LayerCache, Make
from webui_fork.oci import model
from webui_fork.oci.model import Image
from webui_fork.rootfs import layers
from webui_fork.rootfs.layers import Entry


@dataclass(frozen=True, slots=True)
class Standalone:
    """A built image, its name and its tag."""

    image: Image
    name: str
    tag: str


def build(settings: Settings, name: str, ui: Terminal, *, locked: bool) -> Standalone:
    """Build the image of `images/<name>/`; its layers' blobs are in the cache.

    Raises:
        ImageError, LockError: its description or a lock is odd. SourceError, DriftError: a pinned file is missing.
        ToolError: a program is missing or fails. CacheError: the cache can't be written.
    """
    layers.check_compressor()
    packaged = locked_image.read(image_toml.read(settings.root / "images" / name))
    spec = packaged.spec
    if spec.created is None or (spec.wheels and spec.wheels.origin != "image"):
        raise ImageError(
            f"{spec.folder / 'image.toml'} does not describe a standalone image.",
            remedy='It needs [image] created, and a [python] only from = "image"; docs/image.md describes them.',
        )
    if spec.wheels:
        requirements_text = (spec.folder / spec.wheels.requirements).read_bytes()
        image_python.check_requirements(packaged.requirements, requirements_text, spec, packaged.requirements_file)
    cache = LayerCache(settings.cache, int(spec.created.timestamp()), ui)
    with ThreadPoolExecutor(2) as pool:
        base = pool.submit(image_base.base, settings, packaged, cache, ui, locked)
        python = pool.submit(image_python.python, settings, packaged, cache, ui) if spec.wheels else None
        last = "model" if spec.wheels else "files"
        files = cache.get(last, _files_key(packaged), _files(packaged))
        layers_made = [base.result()[0], *([python.result()] if python else []), files]
    built = model.image(
        [item.layer for item in layers_made],
        platform=spec.platform,
        created=spec.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        run=spec.run,
        annotations=dict(spec.annotations),
    )
    return Standalone(built, spec.name, _version(packaged))


def _version(packaged: Packaged) -> str:
    """Return the version of the distribution that the image is named after."""
    match = re.search(rf"^{re.escape(packaged.spec.name)}==(\S+)", packaged.requirements, re.MULTILINE)
    return match.group(1) if match else "latest"


def _files_key(packaged: Packaged) -> dict[str, object]:
    spec = packaged.spec
    return {
        "copies": msgspec.to_builtins(spec.copies),
        "folders": [asdict(folder) for folder in spec.folders],
        "own": [sha256_bytes((spec.folder / copy.path).read_bytes()) for copy in spec.copies if copy.origin == "image"],
    }


def _files(packaged: Packaged) -> Make:
    """Return what makes the last layer: the tiny model, or files of the image's own folder."""
    spec = packaged.spec

    def make(_work: Path, _held: ExitStack) -> Iterable[Entry]:
        for copy in spec.copies:
            if copy.origin == "image":
                data = (spec.folder / copy.path).read_bytes()
                yield layers.file_entry(copy.to.strip("/"), data, executable=copy.path.endswith(".sh"))
                continue
            for name, data in tiny_model.files().items():
                yield layers.file_entry(f"{copy.to.strip('/')}/{name}", data)
        for folder in spec.folders:
            yield layers.folder_entry(folder.path.strip("/"), folder.mode, folder.uid, folder.gid)

    return make
