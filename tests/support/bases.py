"""Images that stand in for upstream's own: several platforms, in a registry, with what a builder keeps beside them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import tools
from helpers import Talk
from webui_fork.core import git, process
from webui_fork.core.settings import Settings
from webui_fork.image import application as image_application
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
from webui_fork.oci import layout, model, transfer
from webui_fork.oci.model import DOCKER_INDEX, Blob, Image, Layer, NamedLayer
from webui_fork.oci.registry import DOCKER_MANIFEST, Registry
from webui_fork.rootfs import layers
from webui_fork.rootfs.layers import Entry
from webui_fork.sources import apt

CREATED = "2026-10-25T09:00:00Z"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"


def layer(cache: Path, entries: Iterable[Entry], epoch: int = 1) -> Layer:
    (cache / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    made = layers.write(entries, cache / "layer", epoch)
    (cache / "layer").rename(layout.blob_path(cache, made.digest))
    return made


def image(stack: Iterable[Layer], architecture: str, run: Mapping[str, Any] | None = None) -> Image:
    named = [NamedLayer(f"step {number}", item) for number, item in enumerate(stack)]
    words = {"org.opencontainers.image.title": "Open WebUI", "org.opencontainers.image.vendor": "upstream"}
    return model.image(
        named, platform=("linux", architecture), created=CREATED, run=run or {"Cmd": ["true"]}, annotations=words
    )


def as_docker(image: Image) -> Image:
    """Return an image in the media types of Docker's own manifests."""
    config = Blob(DOCKER_CONFIG, image.config.data)
    parsed = image.manifest.parsed()
    parsed["mediaType"] = DOCKER_MANIFEST
    parsed["config"] = config.descriptor()
    parsed.pop("annotations")
    for row in parsed["layers"]:
        row["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    return Image(config, Blob(DOCKER_MANIFEST, model.canonical_json(parsed)), image.layers, image.platform)


def push(registry: Registry, tag: str, images: Iterable[Image], cache: Path, *, docker: bool = False) -> Blob:
    """Push an index of images, as buildx makes one: with an attestation of its own beside each."""
    rows = []
    for one in images:
        one = as_docker(one) if docker else one
        transfer.send(registry, one, transfer.in_cache(cache), transfer.quiet)
        registry.put_manifest(one.manifest.digest, one.manifest)
        platform = {"os": one.platform[0], "architecture": one.platform[1]}
        platform |= {"variant": "v8"} if one.platform[1] == "arm64" else {}
        rows.append(one.manifest.descriptor(platform=platform))
    if not docker:
        beside = image([layer(cache, [layers.file_entry("attestation", b"{}")])], "unknown")
        transfer.send(registry, beside, transfer.in_cache(cache), transfer.quiet)
        registry.put_manifest(beside.manifest.digest, beside.manifest)
        notes = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": rows[0]["digest"]}
        rows.append(
            beside.manifest.descriptor(platform={"os": "unknown", "architecture": "unknown"}, annotations=notes)
        )
    kind = DOCKER_INDEX if docker else model.INDEX
    root = Blob(kind, model.canonical_json({"schemaVersion": 2, "mediaType": kind, "manifests": rows}))
    registry.put_manifest(tag, root)
    return root


def application(settings: Settings, inputs: image_inputs.Inputs, built: pipeline.Built, cache: Path) -> list[Layer]:
    """Return the release's application as upstream's Dockerfile lays it: the front end, then backend/ on top."""
    repo = git.repository(settings)
    with ExitStack() as held:
        entries = list(image_application.application(repo, inputs.spec, built.source, inputs.lock.wheel.name, held))
        front = [entry for entry in entries if entry.path.startswith("app/build")]
        rest = [entry for entry in entries if not entry.path.startswith("app/build")]
        return [layer(cache, front, inputs.lock.epoch), layer(cache, rest, inputs.lock.epoch)]


def arm64_python(settings: Settings, cache: Path, work: Path) -> Layer:
    """Return a layer with Debian's Python for arm64: packages unpacked, nothing of them run."""
    tree = work / "arm64"
    (tree / "usr/lib").mkdir(parents=True)
    with apt.private(settings, "bookworm", "arm64") as private:
        for deb in private.install_list(["python3.11-minimal"]):
            folder = work / deb.name
            folder.mkdir()
            file = private.download(deb.name, folder)
            process.run(["dpkg-deb", "-x", str(file), str(folder / "tree")], env=settings.environ)
            for part in ("lib", "lib64"):  # what merged /usr makes of it
                if (folder / "tree" / part).is_dir():
                    shutil.copytree(folder / "tree" / part, tree / "usr" / part, symlinks=True, dirs_exist_ok=True)
            if (folder / "tree/usr").is_dir():
                shutil.copytree(folder / "tree/usr", tree / "usr", symlinks=True, dirs_exist_ok=True)
    link = Entry("lib", tarfile.SYMTYPE, 0o777, link="usr/lib")
    return layer(cache, [*layers.from_folder(tree / "usr", "usr"), link])


def unpack(registry: Registry, made: Image, folder: Path) -> None:
    """Lay an image's files out, layer by layer, as an engine does (for images without whiteouts)."""
    for named in made.layers:
        file = folder / "blob"
        with file.open("wb") as out:
            for piece in registry.blob(named.layer.digest):
                out.write(piece)
        with tarfile.open(file) as tar:
            tar.extractall(folder, filter="tar")
        file.unlink()


def run_arm64(settings: Settings, folder: Path, code: str) -> str:
    """Run Python in an unpacked arm64 image under qemu-user."""

    emulator = tools.find(settings, "qemu-aarch64", Talk())
    shutil.copy2(emulator, folder / "emulator")
    argv = ["/emulator", "/usr/bin/python3.11", "-I", "-c", code]
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, timeout=300, preexec_fn=lambda: os.chroot(folder), cwd="/"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
