"""The verbs `verify`, `reproduce`, `publish`, `pin` and `audit`."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from webui_fork.core import text
from webui_fork.core.errors import ReproduceError, UsageError, VerifyError
from webui_fork.core.files import exclusive
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import variants
from webui_fork.oci import connect, reader
from webui_fork.publish import deploy as pinning
from webui_fork.publish import promote as publishing
from webui_fork.sources import programs
from webui_fork.trust import cosign as trust_cosign
from webui_fork.trust import reproduce as reproducing
from webui_fork.trust import verify as verifying
from webui_fork.trust.cosign import Verifier
from webui_fork.trust.verify import Check, Verdict


def verifier(settings: Settings, arguments: argparse.Namespace, ui: Terminal) -> Verifier:
    """Return whose signature counts: as asked for, else our own signer's.

    Raises:
        UsageError: the arguments contradict each other. SigningError: the key is missing.
    """
    cosign = programs.find(settings, "cosign", ui)
    number = trust_cosign.major(settings, cosign)
    if bool(arguments.identity) != bool(arguments.issuer):
        raise UsageError("--identity and --issuer go together.")
    if arguments.key and arguments.identity:
        raise UsageError("--key and --identity exclude each other.")
    if arguments.identity:
        return Verifier(cosign, number, None, arguments.identity, arguments.issuer)
    if arguments.key:
        if "://" not in arguments.key and not Path(arguments.key).is_file():
            raise UsageError(f"The key {arguments.key} does not exist.", remedy="--key takes the public key's file.")
        return Verifier(cosign, number, arguments.key)
    return trust_cosign.verifier(settings, cosign)


def verify(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Check an image, and print a line a check.

    Raises:
        VerifyError: a check failed, or there is no such image. ForkError: see :mod:`webui_fork.trust.verify`.
    """
    signer = verifier(settings, arguments, ui)
    with reader.opened(settings, arguments.ref) as found:
        checks = verifying.run(settings, found, signer, layers=not arguments.no_layers)
        digest = found.root.digest
    if arguments.json:
        print(
            json.dumps(
                {"ref": arguments.ref, "digest": digest, "checks": [asdict(check) for check in checks]}, indent=1
            )
        )
    else:
        print(f"{arguments.ref}\n{digest}\n\n{_lines(checks)}\n")
    unknown = _refuse(arguments.ref, checks, strict=arguments.strict)
    if not arguments.json:
        print("Verified." if not unknown else f"Verified, but for {unknown} that could not be checked.")


def _refuse(ref: str, checks: tuple[Check, ...], *, strict: bool = False) -> int:
    """Return how many checks could not be made.

    Raises:
        VerifyError: one failed; if strict, also where one could not be made.
    """
    bad = [check for check in checks if check.verdict is Verdict.BAD]
    unknown = [check for check in checks if check.verdict is Verdict.UNKNOWN]
    if bad or (unknown and strict):
        raise VerifyError(
            f"{ref} does not verify: {', '.join(check.name for check in bad or unknown)}.",
            why="\n".join(f"{check.name}: {check.words}" for check in bad or unknown),
            remedy="Do not run it before you know why." if bad else "",
        )
    return len(unknown)


def pin(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Verify an image, and have `deploy/` name it by digest.

    Raises:
        VerifyError: it does not verify. ForkError: see :mod:`webui_fork.publish.deploy`.
    """
    named = pinning.name_of(arguments.ref, arguments.alias)
    signer = verifier(settings, arguments, ui)
    with reader.opened(settings, arguments.ref) as found:
        with ui.step("verify", f"Verifying {arguments.ref}"):
            checks = verifying.run(settings, found, signer)
        digest, tag = found.root.digest, found.tag or "by digest"
    _refuse(arguments.ref, checks)
    done = pinning.write(settings, named, digest, tag)
    rows = [("image", f"{done.name}@{done.digest}"), ("tag", done.tag)]
    rows += [("written", file.relative_to(settings.root).as_posix()) for file in done.changed]
    print(f"{text.table(rows)}\n\nNext: cd deploy && docker compose up -d, or kubectl apply -k an overlay")


def _lines(checks: tuple[Check, ...]) -> str:
    return text.table([(check.verdict, check.name, check.words) for check in checks])


def reproduce(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Build an image again, and print whether it is the same.

    Raises:
        ReproduceError: it is not, with every difference. ForkError: see :mod:`webui_fork.trust.reproduce`.
    """
    signer = verifier(settings, arguments, ui)
    with reader.opened(settings, arguments.ref) as found:
        outcome = reproducing.run(settings, ui, found, signer)
    rows = [("published", outcome.published), ("rebuilt", outcome.rebuilt), ("from", outcome.inputs)]
    print(text.table(rows))
    if not outcome.identical:
        shown = outcome.differences[:40]
        more = [f"… and {len(outcome.differences) - 40} more"] if len(outcome.differences) > 40 else []
        raise ReproduceError(
            "The rebuilt image is another one.",
            why="\n".join([*shown, *more]),
            remedy="The lines above say which layer, file and field.",
        )
    print("\nIdentical.")


def publish(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Promote the tested image to a registry, and print what names it now.

    Raises:
        ForkError: see :mod:`webui_fork.publish.promote`.
    """
    target = publishing.target_of(arguments.target)
    with exclusive(settings.out / ".lock", "this checkout", ui.say), ExitStack() as held:
        if arguments.image in (None, "open-webui"):
            what = publishing.candidate(settings)
        else:
            made = variants.make(settings, variants.request(settings, ui, arguments.image, arguments.variant), ui)
            source = held.enter_context(connect.connect(settings, made.request.base))
            what = publishing.of_variant(settings, made, source)
        done = publishing.run(settings, ui, what, target)
    rows = [("digest", done.digest), *(("tag", ref) for ref in done.refs)]
    rows += [("left", f"{tag}: {why}") for tag, why in done.left]
    sent = f"{done.blobs} blobs, {text.human_size(done.bytes)}; {done.mounted} taken over by the registry"
    rows.append(("sent", sent if done.blobs or done.mounted else "nothing: all of it was there"))
    print(f"{text.table(rows)}\n\n{_lines(done.checks)}\n\nNext: nox -s verify -- {done.refs[0]}")


def audit(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """List known vulnerabilities of the image's packages.

    Raises:
        AuditError: there are some that nobody judged, or some packages could not be looked up.
    """
    from webui_fork.trust import audit as auditing

    found = auditing.run(settings, ui, arguments.osv_url)
    print(auditing.table(found))
    auditing.refuse(found)
