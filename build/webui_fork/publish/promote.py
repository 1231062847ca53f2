"""Publish: promote an image that passed its tests to a registry, with its signature and attestations.

Nothing has a name there before all of it is there and verifies: the tag that never moves comes first, those that
move come after it. Whatever fails, a tag names what it named before, or a whole and signed image.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from webui_fork.config import image_toml, reference, tags, upstream_lock
from webui_fork.config.reference import Reference
from webui_fork.config.tags import Fixed
from webui_fork.core import git
from webui_fork.core.digest import Digest
from webui_fork.core.errors import PublishError, RegistryError, UsageError, VerifyError
from webui_fork.core.files import exclusive, temp_folder, write_atomic
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Advance, Terminal
from webui_fork.image import inputs
from webui_fork.image.variants import VariantImage
from webui_fork.oci import connect, content, transfer
from webui_fork.oci import layout as oci_layout
from webui_fork.oci import registry as oci_registry
from webui_fork.oci.model import Attached, Blob, Image, Index, Layer
from webui_fork.oci.reader import RegistryReader
from webui_fork.oci.registry import Registry
from webui_fork.oci.transfer import Find
from webui_fork.publish import build_record, kept_inputs, second_builder, tested, vex
from webui_fork.publish.kept_inputs import InputFile
from webui_fork.publish.second_builder import Witness
from webui_fork.publish.tested import PassedImage
from webui_fork.sources import programs
from webui_fork.trust import attestations, sign, suite_result, verify
from webui_fork.trust import cosign as trust_cosign
from webui_fork.trust import keys as trust_keys
from webui_fork.trust.attestations import Statements
from webui_fork.trust.keys import Signer
from webui_fork.trust.suite_result import SuiteResult


@dataclass(frozen=True, slots=True)
class Candidate:
    """What would be published: its tag and image, where its layers are, what is said about it.

    ``attached`` are signatures and attestations that exist already; ``layout`` is where they can be verified.
    ``mount_from`` is a repository of the same registry that has its layers. ``inputs`` go along. ``line``: it is of an
    older release on purpose.
    """

    fixed: Fixed
    image: Image | Index
    find: Find
    statements: Statements
    attached: tuple[Attached, ...] = ()
    layout: str = ""
    mount_from: Reference | None = None
    inputs: tuple[InputFile, ...] = ()
    line: bool = False

    @property
    def moving(self) -> tuple[str, ...]:
        """The tags that move to it, if nothing newer has them; a line is never the latest."""
        return tuple(tag for tag in tags.moving(self.fixed) if not (self.line and tag.startswith("latest")))


@dataclass(frozen=True, slots=True)
class Published:
    """What publishing did: the references that name the image now, and those that were left and why.

    ``blobs`` and ``bytes`` are what was sent, ``mounted`` the blobs that the registry took over by itself.
    """

    digest: Digest
    refs: tuple[str, ...]
    left: tuple[tuple[str, str], ...]
    blobs: int
    bytes: int
    mounted: int
    checks: tuple[verify.Check, ...]


def candidate(settings: Settings, flavour: str = "") -> Candidate:
    """Return the image that `nox -s build` left in `out/`, if it is one that passed the tests.

    Args:
        settings: of the checkout.
        flavour: of the image; "" for its first.

    Raises:
        PublishError: nothing was built, it is not what was tested, or it was built of other inputs than are here.
        ImageError: the layout is damaged.
    """
    own = (f" --flavour {flavour}" if flavour else "") + (f" --line {settings.line}" if settings.line else "")
    remedy = f"Run `nox -s build -- --locked --arch all{own}`, then `nox -s tests`."
    folder = settings.root / "images" / inputs.IMAGE
    spec = image_toml.read(folder, flavour)
    out, pinned = inputs.results(settings, spec), upstream_lock.read(settings.lock_file)
    record = build_record.read(out, remedy)
    layout = oci_layout.read_layout(out / "image")
    platforms = {one.platform[1]: one.digest for one in layout.image.images}
    if (record.digest, record.platforms) != (layout.image.digest, platforms):
        raise PublishError("out/build.json and out/image are not from the same build.", remedy=remedy)
    if tuple(platforms) != (built_for := image_toml.architectures(folder)):
        raise PublishError(
            f"The build is for {', '.join(platforms)}, but image.toml wants {', '.join(built_for)}.",
            why="A published tag never moves: its image must cover all architectures from the start.",
            remedy=remedy,
        )
    try:
        statements = build_record.statements(out, record)
    except OSError as error:
        raise PublishError("There is no build that could be published.", why=str(error), remedy=remedy) from error
    fixed = Fixed(pinned.version, pinned.revision, spec.ending)
    if dict(inputs.lock_inputs(settings)) != record.inputs or record.tag != str(fixed):
        raise PublishError("The build does not match the current locks and series.", remedy=remedy)
    if attestations.digests(statements) != record.statements:
        raise PublishError("The SBOM or the provenance in out/ is not the one that the build wrote.", remedy=remedy)
    if record.drift:
        raise PublishError("The build has drifted from debian.lock: nobody could reproduce it.", remedy=remedy)
    _refuse_dirty(record.commit, dirty=record.dirty)
    first = layout.image.images[0]  # the tests run on the first architecture
    passed = tested.check(settings, digest=first.digest)
    result = _result(settings, passed, first)
    return Candidate(
        fixed,
        layout.image,
        transfer.in_cache(layout.root),
        replace(statements, others=((trust_cosign.TESTS, suite_result.write(result)),)),
        layout.attached,
        f"{reference.LAYOUT}{layout.root}",
        line=bool(settings.line),
    )


def _result(settings: Settings, record: PassedImage, image: Image) -> SuiteResult:
    """Return what the tests say of an image. Their record is the word of the job that ran them: it names our own files.

    Raises:
        PublishError: it names other ones, or says nothing of this image.
    """
    own = record.of(image.digest)
    if own is None or (strangers := [suite for suite in own.suites if not (settings.checkout / suite).is_file()]):
        raise PublishError(
            "out/tested.json names tests that are not here.", why="\n".join(strangers[:8]) if own else ""
        )
    return SuiteResult(image.digest, "/".join(image.platform), True, own.passed, own.suites, record.vllm)


def _refuse_dirty(commit: str, *, dirty: bool) -> None:
    if not commit:
        raise PublishError(
            "It was built from files that are in no commit: its provenance would not say where they are.",
            remedy="Build from a git clone.",
        )
    if dirty:
        raise PublishError(
            "It was built from uncommitted changes: its provenance would name a commit that does not have them.",
            remedy="Commit, then `nox -s build -- --locked --arch all`. The same digest needs no new test run.",
        )


def of_variant(settings: Settings, variant_image: VariantImage, source: Registry) -> Candidate:
    """Return a variant as something to publish, if its series passed the tests.

    Args:
        source: the base's repository, for the layers that the target lacks.

    Raises:
        PublishError: it did not, or the checkout has uncommitted changes.
    """
    commit, dirty = git.checkout_state(settings)
    _refuse_dirty(commit, dirty=dirty)
    tested.check(settings, head=variant_image.head)
    own = {named.layer for named in variant_image.layers}

    def find(layer: Layer) -> content.Content:
        if layer in own:
            return content.checked(oci_layout.blob_path(settings.cache, layer.digest), layer.digest)
        return oci_registry.BlobContent(source, layer.digest, layer.size)

    statements = attestations.of_variant(settings, variant_image)
    base = variant_image.request.base
    return Candidate(
        variant_image.request.fixed,
        variant_image.image,
        find,
        statements,
        mount_from=base,
    )


def target_of(text: str) -> Reference:
    """Parse where to publish to.

    Raises:
        UsageError: it is no name, or has a tag or digest, which are not the user's to choose.
    """
    target = reference.parse(text)
    if target.tag or target.digest:
        raise UsageError(
            f"{text} has a tag or digest.", remedy="Name only REGISTRY/NAME: the tags follow from upstream.lock."
        )
    return target


def run(
    settings: Settings, ui: Terminal, what: Candidate, target: Reference, witness: Witness | None = None
) -> Published:
    """Publish a candidate. Running it again after a failure goes on where that was.

    Args:
        settings: of the checkout.
        ui: says what is done.
        what: the candidate.
        target: where to.
        witness: who must have signed the same digest.

    Raises:
        PublishError: the tag that never moves names another image there, or the witness did not sign this one.
        RegistryError: the registry fails, lies or denies access. SigningError: cosign fails.
        VerifyError: what stands there does not verify; no tag was touched.
        AuditError: what we judge of vulnerabilities can't be read.
    """
    cosign = programs.find(settings, "cosign", ui)
    signer = trust_keys.signer(settings, cosign, ui)
    statements = _judged(settings, signer, what, target)
    if witness:
        with ui.step("witness", f"Asking {witness.place} for the second builder's signature"):
            second_builder.require(settings, signer, witness, what.image.digest)
    with (
        exclusive(settings.cache / "publish.lock", "publishing", ui.say),
        connect.connect(settings, target) as registry,
        temp_folder(settings.cache / "tmp", "publish") as work,
    ):
        _refuse_moving(registry, what, target)
        with ui.step("push"):
            count, sent, mounted = _content(registry, what, target, ui)
        ref, ca = target.at(what.image.digest).pinned, connect.certificates(settings, target.registry)
        with ui.step("cosign", "Adding missing signatures and attestations"):
            _take_along(settings, signer, registry, what)
            sign.seal(settings, signer, ref, statements, work, target.name, ca, registry)
        with ui.step("inputs"):
            more = _inputs(settings, signer, registry, what, target, ui)
        with ui.step("verify", "Verifying the image in the registry, before it gets a tag"):
            store = RegistryReader(ref, "", what.image.root, ref, ca, registry)
            # what was sent was hashed before and is by the registry; what it had is hashed by whoever pulls
            checks = verify.run(settings, store, signer.verifier(settings), layers=False)
            if bad := [check for check in checks if check.verdict is verify.Verdict.BAD]:
                why = "\n".join(f"{check.name}: {check.words}" for check in bad)
                raise VerifyError(f"{ref} does not verify; no tag was touched.", why=why)
        with ui.step("tags"):
            refs, left = _name(registry, what, target)
    done = Published(what.image.digest, refs, left, count + more[0], sent + more[1], mounted, checks)
    _record(settings, done)
    return done


def _judged(settings: Settings, signer: Signer, what: Candidate, target: Reference) -> Statements:
    """Return what is said about a candidate, with what we judge of vulnerabilities: of the whole and of each image.

    Where nothing is judged any more, an empty document takes the place of one that stands there: a scanner would go on
    to believe it.

    Raises:
        AuditError: the judgements can't be read. SigningError: cosign can't be run.
    """
    if not what.statements.sboms:  # a variant: of its packages we know nothing
        return what.statements
    document = vex.read(settings)
    predicate = vex.predicate(document, target)
    verifier = replace(signer.verifier(settings), ca=connect.certificates(settings, target.registry))

    def of(statements: Statements, digest: Digest) -> Statements:
        ref = target.at(digest).pinned
        if not document.statements and not trust_cosign.attested(settings, verifier, ref, trust_cosign.VEX).predicates:
            return statements
        return replace(statements, others=(*statements.others, (trust_cosign.VEX, predicate)))

    parts = tuple(replace(part, statements=of(part.statements, part.digest)) for part in what.statements.parts)
    return of(replace(what.statements, parts=parts), what.image.digest)


def _refuse_moving(registry: Registry, what: Candidate, target: Reference) -> Blob | None:
    """Refuse to move the tag that never moves; return what it names.

    Raises:
        PublishError: it names another image.
    """
    existing = registry.manifest(str(what.fixed))
    if existing and existing.digest != what.image.digest:
        raise PublishError(
            f"{target.name}:{what.fixed} already exists, and names another image.",
            why=f"There: {existing.digest}\nHere:  {what.image.digest}",
            remedy="A published tag never moves. `nox -s lock -- --revise` takes the next revision; commit it, then "
            "build, test and publish that.",
        )
    return existing


def _content(registry: Registry, what: Candidate, target: Reference, ui: Terminal) -> tuple[int, int, int]:
    """Send blobs and manifests, by digest only; return how many blobs, bytes, and blobs mounted."""
    same = what.mount_from and what.mount_from.host == target.host
    sources = (what.mount_from.repository,) if what.mount_from and same else ()

    def sending(name: str, size: int) -> AbstractContextManager[Advance]:
        return ui.bar(f"Sending the layer {name}", size)

    done = transfer.send(registry, what.image, what.find, sending, sources)
    if not registry.has("manifests", what.image.digest):
        registry.put_manifest(what.image.digest, what.image.root)
    return done


def _inputs(
    settings: Settings, signer: Signer, registry: Registry, what: Candidate, target: Reference, ui: Terminal
) -> tuple[int, int]:
    """Put what the image was built from beside it, signed; return the blobs and bytes sent."""
    if not what.inputs:
        return 0, 0

    def sending(name: str, size: int) -> AbstractContextManager[Advance]:
        return ui.bar(f"Sending the input {name}", size) if size > 1_000_000 else transfer.quiet(name, size)

    artifact, count, sent = kept_inputs.push(registry, what.image.root, what.inputs, sending)
    ref, ca = target.at(artifact.digest).pinned, connect.certificates(settings, target.registry)
    if not trust_cosign.verify(settings, replace(signer.verifier(settings), ca=ca), ref).verified:
        trust_cosign.sign(settings, signer, ref, target.name, ca)
    return count, sent


def _take_along(settings: Settings, signer: Signer, registry: Registry, what: Candidate) -> None:
    """Take the signature and attestations along that the build made, if they are ours and the target has none."""
    if not what.attached:
        return
    if not trust_cosign.verify(settings, signer.verifier(settings), what.layout, what.image.digest).verified:
        return  # made with another key: the target gets one of ours
    for item in what.attached:
        if registry.manifest(oci_layout.attached_tag(what.image.digest, item.kind)) is None:
            transfer.attach(registry, what.image.digest, item)


def plan(
    settings: Settings, ui: Terminal, what: Candidate, target: Reference, witness: Witness | None = None
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return what publishing would do, without doing it: the references that would name the image, and the tags left.

    Raises:
        PublishError: the tag that never moves names another image there. RegistryError: it can't be asked.
        AuditError: what we judge of vulnerabilities can't be read.
    """
    vex.read(settings)
    if witness:
        signer = trust_keys.signer(settings, programs.find(settings, "cosign", ui), ui)
        second_builder.require(settings, signer, witness, what.image.digest)
    with connect.connect(settings, target) as registry:
        _refuse_moving(registry, what, target)
        try:
            present = (*registry.tags(), str(what.fixed))
        except RegistryError:  # not everybody who may push may list
            words = "the registry does not list its tags, so it is unknown whether this is the newest"
            return (f"{target.name}:{what.fixed}",), tuple((tag, words) for tag in what.moving)
    later = {tag: tags.newer(what.fixed, tag, present) for tag in what.moving}
    refs = [str(what.fixed), *(tag for tag, newer in later.items() if not newer)]
    left = tuple((tag, f"{newer} is newer") for tag, newer in later.items() if newer)
    return tuple(f"{target.name}:{tag}" for tag in refs), left


def _name(
    registry: Registry, what: Candidate, target: Reference
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Give the image its tags; return the references that name it now, and the tags left with the reason."""
    fixed = str(what.fixed)
    if _refuse_moving(registry, what, target) is None:  # what it just saw decides
        registry.put_manifest(fixed, what.image.root)
    try:
        published_tags = registry.tags()  # after it: who publishes at the same time sees ours, or we theirs
    except RegistryError:
        published_tags = ()  # not everybody who may push may list
    refs, left = [f"{target.name}:{fixed}"], []
    for tag in what.moving:
        if fixed not in published_tags:
            left.append((tag, "the registry does not list its tags, so it is unknown whether this is the newest"))
        elif later := tags.newer(what.fixed, tag, published_tags):
            left.append((tag, f"{later} is newer"))
        else:
            now = registry.manifest(tag)
            if now is None or now.digest != what.image.digest:
                registry.put_manifest(tag, what.image.root)
            refs.append(f"{target.name}:{tag}")
    return tuple(refs), tuple(left)


def _record(settings: Settings, done: Published) -> None:
    values = {"schema": 1, "digest": done.digest, "refs": done.refs, "left": dict(done.left)}
    write_atomic(settings.out / "published.json", json.dumps(values, indent=1) + "\n")
