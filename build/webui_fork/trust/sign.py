"""Sign an image and attest what is known of it; skip what is there and verifies."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from webui_fork.config import reference
from webui_fork.core.errors import SigningError
from webui_fork.core.files import exclusive, temp_folder
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Advance, Terminal
from webui_fork.image.pipeline import Assembly
from webui_fork.oci import layout, local_registry, transfer
from webui_fork.oci.model import Attached
from webui_fork.oci.registry import Registry
from webui_fork.sources import programs
from webui_fork.trust import attestations
from webui_fork.trust import cosign as trust_cosign
from webui_fork.trust import keys as trust_keys
from webui_fork.trust.attestations import Part, Statements
from webui_fork.trust.keys import Signer


@dataclass(frozen=True, slots=True)
class Sealed:
    """A pushed, signed, attested and verified image.

    ``ref`` is in the embedded registry, ``key`` what verifies it, ``attached`` what cosign keeps beside its root.
    """

    ref: str
    key: str
    fresh: bool
    statements: Statements
    attached: tuple[Attached, ...]


def push_and_seal(settings: Settings, assembly: Assembly, ui: Terminal) -> Sealed:
    """Push to the embedded registry, sign and attest the digest, and verify all of it with the public key.

    Raises:
        RegistryError, SigningError, PassphraseError: what was built is kept in every case.
    """
    cosign, program = programs.find(settings, "cosign", ui), programs.find(settings, "registry", ui)
    signer = trust_keys.signer(settings, cosign, ui)
    statements = attestations.of_build(settings, assembly, ui)
    image, inputs = assembly.image, assembly.inputs

    def sending(name: str, size: int) -> AbstractContextManager[Advance]:
        return ui.bar(f"Pushing the layer {name}", size) if size > 1_000_000 else transfer.quiet(name, size)

    with (
        exclusive(settings.cache / "registry.lock", "the embedded registry", ui.say),
        temp_folder(settings.cache / "tmp", "registry") as work,
        local_registry.tags_kept(settings.cache / "registry", inputs.spec.name, inputs.tag, image.digest),
        ExitStack() as stack,
    ):
        with ui.step("registry start"):
            url = stack.enter_context(local_registry.running(program, settings.cache / "registry", work))
        registry = stack.enter_context(Registry(url, inputs.spec.name))
        with ui.step("push"):
            pushed = transfer.push(registry, image, inputs.tag, settings.cache, sending)
        with ui.step("cosign", "Signing and attesting"):
            changed = seal(settings, signer, pushed.ref, statements, work, inputs.spec.name, registry=registry)
        attached = transfer.attached(registry, image.digest)
    verifier = signer.verifier(settings)
    ref = f"{inputs.spec.name}@{image.digest}"
    return Sealed(ref, verifier.who, changed or pushed.new, statements, attached)


def seal(
    settings: Settings,
    signer: Signer,
    ref: str,
    statements: Statements,
    work: Path,
    name: str,
    ca: str | None = None,
    registry: Registry | None = None,
) -> bool:
    """Have a reference signed and attested, and each image of an index; what is there and verifies is left alone.

    Args:
        ref: by digest. statements: the predicates about it. work: a folder for their files.
        name: what the signature calls the image.
        ca: certificates for the registry.
        registry: where it is; asking it what is there takes less than asking cosign, which is asked of that alone.

    Returns:
        Whether anything was made.

    Raises:
        SigningError, PassphraseError: cosign failed, or its work does not verify. RegistryError: it can't be asked.
    """
    named = reference.parse(ref)

    def part(one: Part) -> bool:
        return seal(settings, signer, named.at(one.digest).pinned, one.statements, work, name, ca, registry)

    with ThreadPoolExecutor(2) as pool:  # the images first: whoever sees the index sealed may trust all of it
        changed = any(list(pool.map(part, statements.parts)))
    verifier = replace(signer.verifier(settings), ca=ca)
    place = _Place(settings, signer, verifier, ref, registry)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(place.sign, name), pool.submit(place.attest, statements, work)
        return changed | first.result() | second.result()


@dataclass(frozen=True, slots=True)
class _Place:
    """A reference by digest, who signs it, and the registry that may be asked what stands there."""

    settings: Settings
    signer: Signer
    verifier: trust_keys.Verifier
    ref: str
    registry: Registry | None

    def sign(self, name: str) -> bool:
        if self._has("sig") and trust_cosign.verify(self.settings, self.verifier, self.ref).verified:
            return False
        trust_cosign.sign(self.settings, self.signer, self.ref, name, self.verifier.ca)
        signature = trust_cosign.verify(self.settings, self.verifier, self.ref)
        if not signature.verified:
            raise _refuted(self.ref, self.verifier.who, signature.why)
        return True

    def attest(self, statements: Statements, work: Path) -> bool:
        """Attest one after the other: all are kept in one manifest."""
        kept, digest = self._has("att"), reference.parse(self.ref).pinned_digest
        missing = [row for row in _predicates(statements) if not (kept and self._verifies(row))]
        for kind, predicates in missing:
            for number, predicate in enumerate(predicates):  # all of a kind anew: none stays that was superseded
                file = work / f"{digest.hex[:16]}.{kind.replace('/', '-')}.json"
                file.write_bytes(predicate)
                ca, beside = self.verifier.ca, number > 0
                trust_cosign.attest(self.settings, self.signer, self.ref, kind, file, ca, beside=beside)
        with ThreadPoolExecutor(2) as pool:
            for (kind, _), right in zip(missing, pool.map(self._verifies, missing), strict=True):
                if not right:
                    why = trust_cosign.attested(self.settings, self.verifier, self.ref, kind).why
                    raise _refuted(self.ref, self.verifier.who, why or "another predicate")
        return bool(missing)

    def _has(self, kind: str) -> bool:
        """Tell whether there may be something of a kind for cosign to look at."""
        if self.registry is None or "COSIGN_REPOSITORY" in self.settings.environ:  # cosign's word for another place
            return True
        digest = reference.parse(self.ref).pinned_digest
        return self.registry.has("manifests", layout.attached_tag(digest, kind))

    def _verifies(self, row: tuple[str, tuple[bytes, ...]]) -> bool:
        kind, predicates = row
        return all(same(self.settings, self.verifier, self.ref, kind, predicate) for predicate in predicates)


def _predicates(statements: Statements) -> list[tuple[str, tuple[bytes, ...]]]:
    own = [(trust_cosign.SBOM, statements.sboms), (trust_cosign.PROVENANCE, (statements.provenance,))]
    return [*own, *((kind, (predicate,)) for kind, predicate in statements.others)]


def same(settings: Settings, verifier: trust_keys.Verifier, what: str, kind: str, predicate: bytes) -> bool:
    """Tell whether a verified attestation says just this."""
    predicates = trust_cosign.attested(settings, verifier, what, kind).predicates
    expected = _comparable(json.loads(predicate))
    return any(_comparable(item) == expected for item in predicates)


def _comparable(predicate: Any) -> Any:
    """Return what a predicate says of the image, without which run said it."""
    document = plain(predicate)
    if isinstance(document, dict) and isinstance(document.get("runDetails"), dict):
        document["runDetails"].pop("metadata", None)
    return document


def plain(value: Any) -> Any:
    """Return a predicate without what is empty: cosign adds empty fields that SLSA has and we leave out."""
    if isinstance(value, dict):
        rows = {key: plain(item) for key, item in value.items()}
        return {key: item for key, item in rows.items() if item not in ({}, [], None, "")}
    return [plain(item) for item in value] if isinstance(value, list) else value


def _refuted(ref: str, who: str, why: str) -> SigningError:
    return SigningError(
        f"{ref} was signed, but {who} does not verify it.",
        why=why,
        remedy="Check that the public key beside the private key belongs to the same key pair.",
    )
