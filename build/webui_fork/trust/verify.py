"""Verify a published image: who made it, what of, and that it is what its tag says. One check, one line.

Everything is held against what a trusted key or identity signed; a registry is only believed for what it stores.
"""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from webui_fork.config import tags, upstream_lock
from webui_fork.config.tags import Fixed
from webui_fork.config.upstream_lock import Lock
from webui_fork.core import git
from webui_fork.core.digest import Digest
from webui_fork.core.errors import ForkError, VerifyError
from webui_fork.core.files import sha256_bytes, temp_folder
from webui_fork.core.settings import Settings
from webui_fork.core.text import counted
from webui_fork.image.application import PATCHES
from webui_fork.oci import model, reader
from webui_fork.oci.content import read_entries
from webui_fork.oci.model import Image
from webui_fork.oci.reader import LayoutReader, Reader, RegistryReader
from webui_fork.series import apply
from webui_fork.series import patch as series_patch
from webui_fork.trust import cosign, provenance, suite_result
from webui_fork.trust.keys import Verifier
from webui_fork.trust.provenance import Claim

_TITLE = "org.opencontainers.image."
_PATCH_LAYER = model.SMALL  # bytes: far more than any series makes
LABELS = ("title", "description", "version", "revision", "licenses", "created", "source", "base.digest")


class Verdict(StrEnum):
    """How a check came out."""

    OK = "ok"
    UNKNOWN = "unknown"
    BAD = "BAD"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what was looked at, how it came out, and in words why."""

    name: str
    verdict: Verdict
    words: str


def run(settings: Settings, store: Reader, verifier: Verifier, *, layers: bool = True) -> tuple[Check, ...]:
    """Check an image.

    Args:
        store: where it is. verifier: whose signature counts. layers: read and hash every layer.

    Raises:
        SigningError: cosign can't be run. VerifyError, RegistryError, ImageError: the image can't be read at all.
    """
    verifier = replace(verifier, ca=store.ca)
    digest = store.root.digest
    with ThreadPoolExecutor(5) as pool:
        signature = pool.submit(cosign.verify, settings, verifier, store.what, digest)
        proven = pool.submit(cosign.attested, settings, verifier, store.what, cosign.PROVENANCE, digest)
        listed = pool.submit(cosign.attested, settings, verifier, store.what, cosign.SBOM, digest)
        tested = pool.submit(cosign.attested, settings, verifier, store.what, cosign.TESTS, digest)
        judged = pool.submit(cosign.attested, settings, verifier, store.what, cosign.VEX, digest)
        checks = [_signature(signature.result(), verifier)]
        claim, check = _provenance(proven.result())
        checks.append(check)
    if claim is None:  # nothing more is read of what nobody we trust made
        if not listed.result().predicates:
            checks.append(_sbom(listed.result(), (), claim))
        return (*checks, Check("contents", Verdict.BAD, "no trusted attestation says what is in it: see provenance"))
    images = reader.image(store).images
    if not claim.variant:  # upstream's own image has no SBOM of ours
        checks.append(_sbom(listed.result(), images, claim))
    if not all(item.layers for item in images):
        return (*checks, Check("contents", Verdict.BAD, "it has an image without a layer"))
    checks.append(_layers(store, images) if layers else Check("layers", Verdict.UNKNOWN, "not read, as asked"))
    checks += [check_tag(store, claim), _stack(images, claim), _labels(images, claim)]
    checks += [_patches(settings, store, images, claim), _release(settings, claim)]
    if not claim.variant and not claim.architecture:  # of a variant the series was tested; an index has it as a whole
        checks.append(_tests(tested.result(), images))
    checks += _judgements(judged.result())
    return tuple(checks)


def _signature(signature: cosign.Verification, verifier: Verifier) -> Check:
    if not signature.verified:
        return Check("signature", Verdict.BAD, f"{verifier.who} did not sign this digest: {signature.why}")
    return Check("signature", Verdict.OK, f"made with {verifier.who}")


def _provenance(attestation: cosign.Attested) -> tuple[Claim | None, Check]:
    if not attestation.predicates:
        return None, Check("provenance", Verdict.BAD, f"no attestation that verifies: {attestation.why}")
    claims = [claim for predicate in attestation.predicates if (claim := provenance.read(predicate))]
    if not claims:
        return None, Check("provenance", Verdict.BAD, "the attestation is not of a build of this tool")
    claim = claims[-1]
    if claim.dirty:
        return claim, Check("provenance", Verdict.UNKNOWN, f"built by {claim.builder} from uncommitted changes")
    commit = f" from commit {claim.commit[:12]}" if claim.commit else ""
    return claim, Check("provenance", Verdict.OK, f"{claim.tag}, built by {claim.builder}{commit}")


def _sbom(attestation: cosign.Attested, images: tuple[Image, ...], claim: Claim | None) -> Check:
    """Look for the tool's SBOM of each image among the attested ones; a scanner's may stand beside them."""
    if not attestation.predicates:
        return Check("sbom", Verdict.BAD, f"no attestation that verifies: {attestation.why}")
    words = []
    for item in images:
        checks = [_document(document, item.digest, claim) for document in attestation.predicates]
        check = next((check for check in checks if check.verdict is Verdict.OK), checks[-1])
        if check.verdict is not Verdict.OK:
            return check
        words.append(check.words if len(images) == 1 else f"{'/'.join(item.platform)}: {check.words}")
    return Check("sbom", Verdict.OK, "; ".join(words))


def _document(document: Any, digest: Digest, claim: Claim | None) -> Check:
    try:
        subject = document["metadata"]["component"]["hashes"][0]["content"]
        patches = [
            patch["resolves"][0]["id"] + ".patch"
            for row in document["components"]
            for patch in row.get("pedigree", {}).get("patches", ())
        ]
        count = len(document["components"])
    except (KeyError, TypeError, IndexError, AttributeError):
        return Check("sbom", Verdict.BAD, "the attestation is not an SBOM of this tool")
    if f"sha256:{subject}" != digest:
        return Check("sbom", Verdict.BAD, f"it is of another image, sha256:{str(subject)[:12]}…")
    if claim and sorted(patches) != sorted(name for name, _ in claim.patches):
        return Check("sbom", Verdict.BAD, "it names other patches than the provenance")
    return Check("sbom", Verdict.OK, f"CycloneDX {document.get('specVersion')}, {count} components")


def _tests(attestation: cosign.Attested, images: tuple[Image, ...]) -> Check:
    """Look for the result of the tests, which `publish` attests: of one of the images, or it is no word on them."""
    if not attestation.predicates:
        why = f"no result of the tests is attested ({attestation.why}); `publish` does that"
        return Check("tests", Verdict.UNKNOWN, why)
    results = [suite_result.read(one) for one in attestation.predicates]
    result = results[-1]
    if result is None or None in results:
        return Check("tests", Verdict.BAD, "the attested result of the tests is not one of this tool")
    own = [item for item in images if item.digest == result.image]
    if not own:
        return Check("tests", Verdict.BAD, f"they ran on another image, {result.image[:19]}…")
    if "/".join(own[0].platform) != result.platform:
        return Check("tests", Verdict.BAD, f"the result says they ran on {result.platform}; that image is for another")
    if not all(one and one.passed for one in results):
        return Check("tests", Verdict.BAD, "they ran, and some failed")
    beside = f", vLLM {result.vllm}" if result.vllm else ""
    words = f"{result.count} passed on {result.platform}, {counted(len(result.suites), 'file')}{beside}"
    return Check("tests", Verdict.OK, words)


def _judgements(attestation: cosign.Attested) -> list[Check]:
    """Count what is judged of vulnerabilities; where nothing ever was, nothing is attested."""
    if not attestation.predicates:
        return []
    document = attestation.predicates[-1]
    statements = document.get("statements") if isinstance(document, dict) else None
    needed = {"vulnerability", "products", "status"}
    if not isinstance(statements, list) or not all(isinstance(s, dict) and needed <= s.keys() for s in statements):
        return [Check("vex", Verdict.BAD, "the attested judgements on vulnerabilities are no OpenVEX document")]
    return [Check("vex", Verdict.OK, f"OpenVEX, {counted(len(statements), 'vulnerability')} judged")]


def _hash_layers(store: Reader, images: tuple[Image, ...]) -> int:
    """Hash every layer; return the number of bytes.

    Raises:
        VerifyError: one can't be read, or is not what its digest says.
    """
    total = 0
    for named in {named.layer.digest: named for item in images for named in item.layers}.values():
        digest, hashed, size = named.layer.digest, hashlib.sha256(), 0
        try:
            for piece in store.blob(digest, named.layer.size):
                hashed.update(piece)
                size += len(piece)
        except ForkError as error:
            raise VerifyError(f"the layer {named.name} ({digest[:19]}…): {error.what}") from error
        if hashed.hexdigest() != digest.hex or size != named.layer.size:
            raise VerifyError(f"the layer {named.name} does not match its digest {digest[:19]}…")
        total += size
    return total


def _layers(store: Reader, images: tuple[Image, ...]) -> Check:
    try:
        size = _hash_layers(store, images)
    except VerifyError as error:
        return Check("layers", Verdict.BAD, error.what)
    return Check("layers", Verdict.OK, f"{size / 1e6:.1f} MB hashed, every layer matches its digest")


def check_tag(store: Reader, claim: Claim) -> Check:
    """Hold the tag against the signed one: an older image under a newer tag is a replay."""
    fixed = tags.parse(claim.tag)
    if fixed is None:
        return Check("tag", Verdict.BAD, f"{claim.tag!r} in the provenance is no tag of this tool")
    if not store.tag and isinstance(store, LayoutReader):
        return Check("tag", Verdict.BAD, f"the layout gives it no name, and it was signed as {fixed}")
    if not store.tag:
        return Check("tag", Verdict.OK, f"asked for by digest; it was published as {fixed}")
    if claim.architecture and isinstance(store, RegistryReader):
        words = f"{store.tag} names the image for {claim.architecture} alone, which is one of several under {fixed}"
        return Check("tag", Verdict.BAD, words)
    if not tags.covers(store.tag, fixed):
        return Check(
            "tag", Verdict.BAD, f"{store.tag} names an image that was signed as {fixed}: a replay, or a mix-up"
        )
    if store.tag == str(fixed):
        return Check("tag", Verdict.OK, f"{store.tag} is {fixed}")
    try:
        present = store.tags()
    except ForkError as error:
        return Check(
            "tag", Verdict.UNKNOWN, f"{store.tag} is {fixed}; it is unknown whether there is a newer one: {error.what}"
        )
    if later := tags.newer(fixed, store.tag, present):
        return Check("tag", Verdict.BAD, f"{store.tag} names {fixed}, but {later} is there: an older image replayed")
    if str(fixed) not in present:
        return Check("tag", Verdict.UNKNOWN, f"{store.tag} is {fixed}; the registry lists no tags to compare with")
    return Check("tag", Verdict.OK, f"{store.tag} is {fixed}, the newest that is listed")


def signed_as(store: Reader) -> Fixed:
    """Return the tag that never moves of an image that verified: its version, which was held against the signed one.

    Raises:
        VerifyError: it has none.
    """
    labels = reader.image(store).images[0].config.parsed().get("config", {}).get("Labels", {})
    fixed = tags.parse(f"v{labels.get(_TITLE + 'version')}")
    if fixed is None:
        raise VerifyError(f"{store.name} has no version label of this tool.")
    return fixed


def _stack(images: tuple[Image, ...], claim: Claim) -> Check:
    layer_digests = [named.layer.digest for item in images for named in item.layers]
    if strangers := [digest for digest in layer_digests if digest not in claim.layers]:
        return Check(
            "provenance of layers", Verdict.BAD, f"the provenance does not name the layer {strangers[0][:19]}…"
        )
    if missing := [digest for digest in claim.layers if digest not in layer_digests]:
        return Check("provenance of layers", Verdict.BAD, f"the image lacks the layer {missing[0][:19]}…")
    return Check("provenance of layers", Verdict.OK, f"{len(set(layer_digests))} layers, the ones in the provenance")


def _labels(images: tuple[Image, ...], claim: Claim) -> Check:
    for item in images:
        run, annotations = item.config.parsed().get("config"), item.manifest.parsed().get("annotations") or {}
        labels = (run.get("Labels") if isinstance(run, dict) else None) or {}
        if not isinstance(labels, dict) or not isinstance(annotations, dict):
            return Check("labels", Verdict.BAD, "malformed")
        if missing := [name for name in LABELS if not labels.get(_TITLE + name)]:
            return Check("labels", Verdict.BAD, f"without {', '.join(missing)}")
        if wrong := [key for key, value in annotations.items() if labels.get(key, value) != value]:
            return Check("labels", Verdict.BAD, f"label and annotation differ: {wrong[0]}")
        version = labels[_TITLE + "version"]
        expected = claim.tag.removeprefix("v")
        if version != expected:
            return Check("labels", Verdict.BAD, f"its label says {version}, the provenance says {expected}")
        description = str(labels[_TITLE + "description"])
        if "Unofficial, modified build" not in description or "patches" not in description:
            return Check("labels", Verdict.BAD, "its description does not say that it is unofficial and modified")
    return Check(
        "labels", Verdict.OK, f"version {claim.tag.removeprefix('v')}; it says that it is unofficial and modified"
    )


def _patches(settings: Settings, store: Reader, images: tuple[Image, ...], claim: Claim) -> Check:
    """Hold the patches of the provenance against those in the image, and against the tag's series here."""
    for item in images:
        try:
            inside = _inside(settings, store, item)
        except VerifyError as error:
            return Check("patches", Verdict.BAD, error.what)
        if inside and inside != claim.patches:
            words = f"the image holds other patches than signed: {_differing(inside, claim)}"
            return Check("patches", Verdict.BAD, words)
        if claim.patches and not inside:
            return Check("patches", Verdict.BAD, "the image does not hold the patches that the provenance names")
    expected, where = _series(settings, claim)
    if expected is None:
        return Check("patches", Verdict.UNKNOWN, f"{len(claim.patches)}, as signed; {where}")
    if expected != claim.patches:
        return Check("patches", Verdict.BAD, f"not those of {where}: {_differing(expected, claim)}")
    return Check("patches", Verdict.OK, f"{len(claim.patches)}, the same in provenance, image and {where}")


def _differing(expected: tuple[tuple[str, str], ...], claim: Claim) -> str:
    names = sorted({name for name, _ in {*expected} ^ {*claim.patches}})
    return ", ".join(names) or "their order"


def _inside(settings: Settings, store: Reader, item: Image) -> tuple[tuple[str, str], ...]:
    """Return the series that the last layer holds, in order.

    Raises:
        VerifyError: the layer can't be one of patches, or can't be read.
    """
    layer = item.layers[-1].layer
    if layer.size > _PATCH_LAYER:
        raise VerifyError("its last layer is too large to be a layer of patches")
    try:
        blob = reader.small(store, model.Descriptor(model.LAYER, layer.digest, layer.size))
        with temp_folder(settings.cache / "tmp", "verify") as work:
            (work / "layer").write_bytes(blob.data)
            files = {
                info.name.removeprefix(PATCHES + "/"): data
                for info, data in read_entries(work / "layer", lambda path: path.startswith(PATCHES + "/"))
                if info.isreg()
            }
    except (ForkError, OSError, EOFError, ValueError, tarfile.TarError, zlib.error) as error:
        raise VerifyError(f"the patch layer can't be read: {error}") from error
    order = files.get("series", b"").decode(errors="replace").split()
    return tuple((name, sha256_bytes(files.get(name, b"")).hex) for name in order)


def _series(settings: Settings, claim: Claim) -> tuple[tuple[tuple[str, str], ...] | None, str]:
    """Return the series of the tag, and where it is: files of this checkout or of a line in it, else their history."""
    whole = replace(settings, root=settings.checkout, line="")
    places = [settings, whole, *map(whole.on_line, whole.lines)]
    for place in places:
        with suppress(ForkError):
            if _is_of_tag(upstream_lock.read(place.lock_file), claim):
                _, patches = apply.read_series(place.patches)
                return _digests(patches), f"series of this checkout{f', line {place.line}' if place.line else ''}"
    place = next((place for place in places if claim.commit and _named_at(place, claim)), settings)
    shown = git.committed(place, claim.commit, "patches/series") if claim.commit else None
    if shown is not None:
        names = [line.split("#")[0].strip() for line in shown.decode(errors="replace").splitlines()]
        data = [(name, git.committed(place, claim.commit, f"patches/{name}") or b"") for name in names if name]
        digests = tuple((name, sha256_bytes(text).hex) for name, text in data)
        return digests, f"series at commit {claim.commit[:12]}"
    return None, f"this checkout has neither {claim.tag} nor its commit, to compare: `git fetch` may bring it"


def _named_at(place: Settings, claim: Claim) -> bool:
    """Tell whether a lock of a claim's commit is that of its tag."""
    lock = git.committed(place, claim.commit, "upstream.lock")
    with suppress(ForkError):
        return lock is not None and _is_of_tag(upstream_lock.parse(lock.decode(errors="replace")), claim)
    return False


def _is_of_tag(pinned: Lock, claim: Claim) -> bool:
    """Tell whether a lock is that of a claim's tag."""
    fixed = tags.parse(claim.tag)
    return fixed is not None and (pinned.version, pinned.revision) == (fixed.release, fixed.revision)


def _digests(patches: tuple[series_patch.Patch, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((patch.name, sha256_bytes(patch.data).hex) for patch in patches)


def _release(settings: Settings, claim: Claim) -> Check:
    try:
        pinned = upstream_lock.read(settings.lock_file)
    except ForkError as error:
        return Check("release", Verdict.UNKNOWN, f"{claim.release}, as signed; {error.what}")
    if pinned.version != claim.release:
        return Check(
            "release", Verdict.OK, f"Open WebUI {claim.release} as signed; this checkout pins {pinned.version}"
        )
    if pinned.sdist.sha256 != claim.sdist:
        return Check("release", Verdict.BAD, f"its Open WebUI {claim.release} is not the one that upstream.lock pins")
    return Check(
        "release", Verdict.OK, f"Open WebUI {claim.release}, sha256:{claim.sdist[:12]}… as upstream.lock pins it"
    )
