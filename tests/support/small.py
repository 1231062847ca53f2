"""Small images with all that a published one has: labels, a series, an SBOM, a provenance."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from registries import image_of
from webui_fork.config import image_toml, upstream_lock
from webui_fork.config.tags import Fixed
from webui_fork.config.upstream_lock import Lock
from webui_fork.core.files import ensure_folder
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.image import application
from webui_fork.oci import layout, model, reader, transfer
from webui_fork.publish import promote, vex
from webui_fork.publish.promote import Candidate
from webui_fork.rootfs import layers
from webui_fork.series import apply
from webui_fork.series.patch import Patch
from webui_fork.trust import cosign as trust_cosign
from webui_fork.trust import keys as trust_keys
from webui_fork.trust import provenance, sbom, suite_result, verify
from webui_fork.trust.attestations import Part, Statements
from webui_fork.trust.keys import Signer, Verifier
from webui_fork.trust.suite_result import SuiteResult

HOME = "https://fork.invalid/webui_fork"


def checkout(settings: Settings, folder: Path, *, count: int = 2, revision: int = 1) -> Settings:
    """Return settings of a checkout with a lock and a short series, a cache and a key of its own."""
    root = ensure_folder(folder / "checkout")
    patches, image = ensure_folder(root / "patches"), ensure_folder(root / "images/open-webui")
    for name in ("image.toml", vex.FILE):
        shutil.copy2(CHECKOUT / "images/open-webui" / name, image / name)
    _, series = apply.read_series(CHECKOUT / "patches")
    for patch in series[:count]:
        shutil.copy2(CHECKOUT / "patches" / patch.name, patches / patch.name)
    (patches / "series").write_text("".join(f"{patch.name}\n" for patch in series[:count]))
    pinned = replace(upstream_lock.read(CHECKOUT / "upstream.lock"), revision=revision)
    upstream_lock.write(root / "upstream.lock", pinned)
    cache = ensure_folder(folder / "cache")
    ensure_folder(settings.cache / "tools")
    (cache / "tools").symlink_to(settings.cache / "tools")  # cosign is not fetched again
    return replace(settings, root=root, cache=cache, config=ensure_folder(folder / "config"))


def pin(settings: Settings, **changes: object) -> Lock:
    """Change the checkout's lock."""
    pinned = replace(upstream_lock.read(settings.lock_file), **changes)  # type: ignore[arg-type]
    upstream_lock.write(settings.lock_file, pinned)
    return pinned


def candidate(
    settings: Settings,
    text: bytes = b"application",
    *,
    inside: Sequence[Patch] | None = None,
    architectures: Sequence[str] = ("amd64",),
) -> Candidate:
    """Make an image of the checkout's lock and series, or an index of one for each architecture.

    Args:
        text: what its application is. inside: the patches that it holds, if not the series.
    """
    pinned = upstream_lock.read(settings.lock_file)
    _, patches = apply.read_series(settings.patches)
    below = image_of(settings.cache, text).layers
    spec = image_toml.read(CHECKOUT / "images/open-webui")
    held = application.patched(spec, (), patches if inside is None else inside)
    top = layers.write(held, settings.cache / "top", pinned.epoch, parents=False)
    (settings.cache / "top").rename(layout.blob_path(settings.cache, top.digest))
    labels = {
        "title": f"Open WebUI {pinned.version}, modified",
        "description": f"Unofficial, modified build with {len(patches)} patches",
        "licenses": "LicenseRef-Open-WebUI",
        "version": pinned.tag.removeprefix("v"),
        "revision": "0" * 40,
        "created": pinned.created,
        "source": "https://github.com/open-webui/open-webui",
        "base.digest": "sha256:" + "0" * 64,
    }
    annotations = {f"org.opencontainers.image.{key}": value for key, value in labels.items()}
    stack = [*below, model.NamedLayer("patches", top)]
    images = [
        model.image(
            stack,
            platform=("linux", architecture),
            created=pinned.created,
            run={"Env": ["A=1"]},
            annotations=annotations,
        )
        for architecture in architectures
    ]
    whole = images[0] if len(images) == 1 else model.index(images, annotations)
    fixed, blobs = Fixed(pinned.version, pinned.revision), transfer.in_cache(settings.cache)
    result = SuiteResult(images[0].digest, "linux/amd64", True, 12, ("tests/unit/test_a.py",), "0.13.0")
    tests = ((trust_cosign.TESTS, suite_result.write(result)),)
    return Candidate(fixed, whole, blobs, replace(statements(pinned, patches, whole), others=tests))


def statements(
    pinned: Lock, patches: Sequence[Patch], whole: model.Image | model.Index, architecture: str = ""
) -> Statements:
    """Say what is true of a small image, or of an index and each of its images."""
    if isinstance(whole, model.Index):
        names = [image.platform[1] for image in whole.images]
        parts = tuple(
            Part(name, image.digest, statements(pinned, patches, image, name))
            for name, image in zip(names, whole.images, strict=True)
        )
        sboms = tuple(sbom for part in parts for sbom in part.statements.sboms)
        return Statements(sboms, _provenance(pinned, patches, whole.images), parts)
    material = sbom.Material(
        "open-webui", pinned.tag, HOME, "1.0", pinned, whole, tuple(patches), b"[]", "Terms of the release"
    )
    return Statements((sbom.write(material),), _provenance(pinned, patches, whole.images, architecture))


def _provenance(
    pinned: Lock, patches: Sequence[Patch], images: tuple[model.Image, ...], architecture: str = ""
) -> bytes:
    facts = provenance.Facts(
        pinned,
        images,
        tuple(patches),
        (("image", "open-webui"), *([("architecture", architecture)] if architecture else [])),
        (),
        HOME,
        "",
        False,
        f"{HOME}/builder/test",
        "",
        (),
        pinned.tag,
    )
    return provenance.write(facts)


@dataclass(frozen=True)
class Shop:
    """A checkout with its key, and the registry it publishes to."""

    settings: Settings
    signer: Signer
    host: str
    name: str = "me/open-webui"

    @property
    def verifier(self) -> Verifier:
        return self.signer.verifier(self.settings)

    def ref(self, tag: str, host: str = "") -> str:
        mark = "@" if tag.startswith("sha256:") else ":"
        return f"{host or self.host}/{self.name}{mark}{tag}"

    def publish(self, what: Candidate, host: str = "") -> promote.Published:
        from helpers import Talk

        return promote.run(self.settings, Talk(), what, promote.target_of(f"{host or self.host}/{self.name}"))

    def checks(self, tag: str, host: str = "", verifier: Verifier | None = None) -> dict[str, verify.Check]:
        with reader.opened(self.settings, self.ref(tag, host)) as found:
            return {check.name: check for check in verify.run(self.settings, found, verifier or self.verifier)}

    def bad(self, tag: str, host: str = "", verifier: Verifier | None = None) -> dict[str, str]:
        found = self.checks(tag, host, verifier)
        return {name: check.words for name, check in found.items() if check.verdict is verify.Verdict.BAD}


def shop(settings: Settings, folder: Path, host: str, cosign: Path) -> Shop:
    """Open a shop in a folder."""
    from helpers import Talk

    own = checkout(settings, folder)
    return Shop(own, trust_keys.signer(own, cosign, Talk()), host)
