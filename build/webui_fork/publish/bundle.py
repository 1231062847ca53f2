"""One file for a machine without a network: the image, what vouches for it, what it was built from, how to run it."""

from __future__ import annotations

import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

from webui_fork.core import git
from webui_fork.core.errors import UsageError, VerifyError, from_os_error
from webui_fork.core.files import ensure_folder, link_or_copy, temp_folder, write_atomic
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.oci import layout, model, reader, transfer
from webui_fork.oci.model import Descriptor, Image, Index
from webui_fork.oci.reader import Reader, RegistryReader
from webui_fork.publish.kept_inputs import KIND
from webui_fork.trust import cosign, verify
from webui_fork.trust.keys import Verifier

IMAGE, INPUTS = "image", "inputs"  # folders of the bundle, each an OCI layout
_BESIDE = ("deploy", "docs", "README.md", "LICENSE")


def write(settings: Settings, ui: Terminal, store: Reader, verifier: Verifier, file: Path) -> int:
    """Write a bundle of an image that was verified before; return how many inputs are in it.

    Args:
        settings: the checkout, whose deploy/ and docs/ go along.
        ui: shows what is read.
        store: a registry with the image.
        verifier: whose signature counts; its public key goes along.
        file: where to; a tar.

    Raises:
        UsageError: it is not in a registry.
        RegistryError, VerifyError: it can't be read, or what stands there as its inputs was not signed for it.
        DiskFullError, CacheError: the file can't be written.
    """
    if not isinstance(store, RegistryReader):
        raise UsageError(
            f"{store.name} is not in a registry.",
            remedy="Name one that `nox -s publish` put there, as REGISTRY/NAME:TAG.",
        )
    parent = file.absolute().parent
    with temp_folder(parent, "bundle") as work:
        tree = ensure_folder(work / (file.name.partition(".")[0] or "bundle"))
        image = reader.image(store)
        _image(store, image, tree, work / "blobs-of-image", ui)
        count = _inputs(settings, store, replace(verifier, ca=store.ca), tree / INPUTS, ui)
        _beside(settings, tree)
        if verifier.key and "://" not in verifier.key:
            shutil.copyfile(verifier.key, tree / "cosign.pub")
        try:
            with ui.step("tar", f"Writing {file.name}"), tarfile.open(work / "bundle.tar", "w") as tar:
                tar.add(tree, tree.name, filter=_plain)
            (work / "bundle.tar").replace(file)
        except OSError as error:
            raise from_os_error(error, f"write {file}") from error
    return count


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def _save(store: RegistryReader, described: Descriptor, root: Path) -> None:
    """Write a blob to a layout or cache; it is held against its digest while it comes."""
    place = layout.blob_path(root, described.digest)
    ensure_folder(place.parent)
    with place.open("wb") as out:
        for piece in store.blob(described.digest, described.size):
            out.write(piece)


def _image(store: RegistryReader, image: Image | Index, tree: Path, blobs: Path, ui: Terminal) -> None:
    layers = {named.layer.digest: named.layer for one in image.images for named in one.layers}
    with ui.step("image", f"Reading {store.name}"):
        for layer in layers.values():
            _save(store, Descriptor(model.LAYER, layer.digest, layer.size), blobs)
        attached = transfer.attached(store.registry, image.digest)
    # by digest, it gets the tag that it was signed with: `load` and `verify` hold one against the other
    layout.write_layout(tree / IMAGE, store.tag or str(verify.signed_as(store)), image, blobs, attached)


def _inputs(settings: Settings, store: RegistryReader, verifier: Verifier, root: Path, ui: Terminal) -> int:
    """Write what the image was built from, as a layout, where the registry has it."""
    artifact = store.registry.manifest(layout.attached_tag(store.root.digest, KIND))
    if artifact is None:
        ui.say(f"NOTE: {store.name} has no inputs beside it: the bundle can be run and verified, not built again.")
        return 0
    ref = f"{store.what.partition('@')[0]}@{artifact.digest}"
    signature, subject = cosign.verify(settings, verifier, ref, artifact.digest), artifact.parsed().get("subject")
    if not signature.verified or model.descriptor(subject).digest != store.root.digest:
        raise VerifyError(
            f"The inputs beside {store.name} are not the ones that its publisher put there.",
            why=signature.why or "They were signed for another image.",
        )
    files = [model.descriptor(value) for value in artifact.parsed().get("layers", ())]
    with ui.step("inputs", f"Reading {len(files)} inputs"):
        for described in (*files, model.descriptor(artifact.parsed().get("config"))):
            _save(store, described, root)
    write_atomic(layout.blob_path(root, artifact.digest), artifact.data)
    rows = [artifact.descriptor()]
    for item in transfer.attached(store.registry, artifact.digest):
        for blob in (item.manifest, *item.blobs):
            write_atomic(layout.blob_path(root, blob.digest), blob.data)
        rows.append(item.manifest.descriptor(annotations={"kind": f"{layout.COSIGN}{item.kind}s"}))
    write_atomic(root / "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    write_atomic(
        root / "index.json",
        model.canonical_json({"schemaVersion": 2, "mediaType": model.INDEX, "manifests": rows}),
    )
    return len(files)


def _beside(settings: Settings, tree: Path) -> None:
    """Copy what git tracks of deploy/ and docs/: no secret of this machine's."""
    for name in git.in_checkout(settings, "ls-files", "-z", "--", *_BESIDE).stdout.split("\0"):
        path = settings.root / name
        if name and path.is_file() and not path.is_symlink():  # a link leads to what git does not track
            link_or_copy(path, tree / name)
