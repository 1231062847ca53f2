"""Build a published image again from the inputs that its provenance names, and compare."""

from __future__ import annotations

import shutil
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from webui_fork.core import git, process
from webui_fork.core.errors import ReproduceError, VerifyError
from webui_fork.core.files import ensure_folder, link_or_copy, sha256_file, temp_folder
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.oci import layout as oci_layout
from webui_fork.oci import reader
from webui_fork.oci.model import Image, Index
from webui_fork.oci.reader import Reader
from webui_fork.trust import compare, cosign, provenance, verify
from webui_fork.trust.keys import Verifier
from webui_fork.trust.provenance import Claim

_TOOL = ("build", "tests/proofs")  # what a build reads of a checkout
_PARTS = ("images", "patches", "upstream.lock")  # and of it, or of one of its lines


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out: both digests, where the inputs came from, and what differs."""

    published: str
    rebuilt: str
    inputs: str
    differences: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Tell whether it is the same image."""
        return self.published == self.rebuilt


def run(settings: Settings, ui: Terminal, store: Reader, verifier: Verifier) -> Outcome:
    """Rebuild an image and compare it with the published one.

    What was downloaded before is used again, for its digest is checked; everything that is made is made anew.

    Raises:
        VerifyError: nobody we trust says what it was built from.
        ReproduceError: the inputs are not at hand, or the build fails.
    """
    claim = _claim(settings, store, replace(verifier, ca=store.ca))
    tag = verify.check_tag(store, claim)
    if tag.verdict is verify.Verdict.BAD:
        raise VerifyError(f"The tag of {store.name} is wrong.", why=tag.words)
    with temp_folder(settings.cache / "tmp", "reproduce") as work:
        root, where = _inputs(settings, claim, work)
        with ui.step("build", f"Building {claim.tag} again from {where}, with an empty layer cache"):
            _build(settings, claim, root, work / "cache", _architecture(reader.image(store)))
        folder = root / "out" / (f"{claim.image}-{claim.variant}" if claim.variant else "image")
        if not folder.exists():  # of a flavour that is not the first
            folder = root / "out" / claim.flavour / "image"
        rebuilt = oci_layout.read_image(folder)
        if rebuilt.digest == store.root.digest:
            return Outcome(store.root.digest, rebuilt.digest, where, ())
        with ui.step("compare", "Comparing both"):
            differences = tuple(_differences(store, rebuilt, folder, work))
    return Outcome(store.root.digest, rebuilt.digest, where, differences)


def _claim(settings: Settings, store: Reader, verifier: Verifier) -> Claim:
    signature = cosign.verify(settings, verifier, store.what, store.root.digest)
    if not signature.verified:
        raise VerifyError(f"{store.name} is not signed by {verifier.who}.", why=signature.why)
    attestation = cosign.attested(settings, verifier, store.what, cosign.PROVENANCE, store.root.digest)
    claims = [claim for predicate in attestation.predicates if (claim := provenance.read(predicate))]
    if not claims:
        raise VerifyError(f"{store.name} has no provenance that verifies.", why=attestation.why)
    return claims[-1]


def _inputs(settings: Settings, claim: Claim, work: Path) -> tuple[Path, str]:
    """Lay out the checkout that the provenance names: its commit, else this one's files if they are the same.

    Returns:
        The checkout, or the folder of the line in it; and where they are from.

    Raises:
        ReproduceError: neither is at hand.
    """
    checkout = ensure_folder(work / "checkout")
    root = checkout / settings.root.relative_to(settings.checkout)
    archive = work / "commit.tar"
    pack = ("archive", "--format=tar", f"--output={archive}", claim.commit)
    if (
        claim.commit
        and not claim.dirty
        and not git.in_checkout(settings, *pack, folder=settings.checkout, check=False).code
    ):
        with tarfile.open(archive) as tar:
            tar.extractall(checkout, filter="data")
        if different := _different(root, claim):
            raise ReproduceError(
                f"Commit {claim.commit} does not have the inputs that the provenance names.",
                why=", ".join(different[:8]),
            )
        return root, f"commit {claim.commit[:12]}"
    if different := _different(settings.root, claim):
        commit = f"commit {claim.commit or '(none)'}{' (with changes that were not committed)' if claim.dirty else ''}"
        raise ReproduceError(
            "The inputs that the provenance names are not at hand.",
            why=f"Not in this clone: {commit}.\nThese differ here: {', '.join(different[:8])}.",
            remedy="`git fetch` in a clone of the repository that built it, then again.",
        )
    for place in (*(settings.checkout / part for part in _TOOL), *(settings.root / part for part in _PARTS)):
        copy = checkout / place.relative_to(settings.checkout)
        if place.is_dir():
            shutil.copytree(place, copy, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copy2(place, copy)
    return root, "this checkout's files, which are the ones in the provenance"


def _different(root: Path, claim: Claim) -> list[str]:
    """Return the inputs that a checkout has not, or has otherwise."""
    rows = [*claim.files, *((f"patches/{name}", sha256) for name, sha256 in claim.patches)]
    return [
        path for path, sha256 in rows if not (root / path).is_file() or sha256_file(root / path) != f"sha256:{sha256}"
    ]


def _architecture(image: Image | Index) -> str:
    """Return what `--arch` was: of an index all."""
    return "all" if isinstance(image, Index) else image.platform[1]


def _arguments(claim: Claim, root: Path, architecture: str) -> list[str]:
    """Return what the checkout's own tool is told; an older one knows no `--arch`."""
    if claim.variant:
        return ["build", "--image", claim.image, "--variant", claim.variant]
    arguments = ["build", "--locked", "--unsigned", *(["--flavour", claim.flavour] if claim.flavour else [])]
    described = (root / "images" / claim.image / "image.toml").read_text(encoding="utf-8")
    return [*arguments, *(["--arch", architecture] if "\narchitectures" in described else [])]


def _build(settings: Settings, claim: Claim, root: Path, cache: Path, architecture: str) -> None:
    for name in ("downloads", "tools"):
        for path in (settings.cache / name).rglob("*") if (settings.cache / name).is_dir() else ():
            if path.is_file() and not path.is_symlink():
                link_or_copy(path, cache / path.relative_to(settings.cache))
            elif path.is_symlink():
                ensure_folder((cache / path.relative_to(settings.cache)).parent)
                (cache / path.relative_to(settings.cache)).symlink_to(path.readlink())
    checkout = replace(settings, root=root).checkout
    arguments = [*_arguments(claim, root, architecture), *(["--line", settings.line] if settings.line else [])]
    env = {
        **process.plain(settings.environ),
        "PYTHONPATH": str(checkout / "build"),
        "PYTHONPYCACHEPREFIX": str(cache / "pycache"),
        "WEBUI_FORK_ROOT": str(checkout),
        "WEBUI_FORK_CACHE": str(cache),
        "WEBUI_FORK_CONFIG": str(settings.config),
        "CI": "true",
    }
    argv = [sys.executable, "-m", "webui_fork", *arguments]
    done = process.run(argv, env=env, cwd=checkout, check=False, group=True, doing="build the image again")
    if done.code:
        raise ReproduceError("It could not be built again.", why=done.tail(), remedy="This error is from the build.")


def _differences(store: Reader, rebuilt: Image | Index, layout: Path, work: Path) -> Iterator[str]:
    """Yield what differs: the platforms, then fields of each platform's image, then the entries of its layers."""
    published = reader.image(store)
    if [one.platform for one in published.images] != [one.platform for one in rebuilt.images]:
        yield "index: other platforms, or in another order"
        return
    if [one.digest for one in published.images] == [one.digest for one in rebuilt.images]:
        yield "index: the same images, and something else beside them"
    for one, other in zip(published.images, rebuilt.images, strict=True):
        yield from compare.images(one, other)
        yield from _layers(store, one, other, layout, work)


def _layers(store: Reader, published: Image, rebuilt: Image, layout: Path, work: Path) -> Iterator[str]:
    names = [named.name for named in published.layers], [named.name for named in rebuilt.layers]
    if names[0] != names[1]:
        yield f"layers: published {', '.join(names[0])}; rebuilt {', '.join(names[1])}"
        return
    for one, other in zip(published.layers, rebuilt.layers, strict=True):
        if one.layer.digest == other.layer.digest:
            continue
        file = work / "published"
        with file.open("wb") as out:
            for piece in store.blob(one.layer.digest, one.layer.size):
                out.write(piece)
        if sha256_file(file) != one.layer.digest:
            yield f"layer {one.name}: the published one is damaged"
            continue
        yield from compare.layers(one.name, file, oci_layout.blob_path(layout, other.layer.digest))
