"""The verb `verify`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from webui_fork.cli import signer
from webui_fork.core import text
from webui_fork.core.errors import VerifyError
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.oci import reader
from webui_fork.trust import verify as verifying
from webui_fork.trust.verify import Check, Verdict


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb's parser."""
    verify = verbs.add_parser(
        "verify",
        help="check a published image: signature, attestations, layers, tag, labels, patches",
        epilog="example: nox -s verify -- ghcr.io/me/open-webui:v0.12.4-p15 --key cosign.pub",
    )
    verify.add_argument("--no-layers", action="store_true", help="do not read and hash the layers")
    verify.add_argument("--strict", action="store_true", help="a check that could not be made counts as failed")
    verify.add_argument("--json", action="store_true", help="print the checks as JSON")
    verify.add_argument("ref", metavar="REF", help="REGISTRY/NAME:TAG, REGISTRY/NAME@sha256:…, or oci:FOLDER")
    signer.add_arguments(verify)
    verify.set_defaults(run=run)


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Check an image, and print a line a check.

    Raises:
        VerifyError: a check failed, or there is no such image. ForkError: see :mod:`webui_fork.trust.verify`.
    """
    verifier = signer.verifier(settings, arguments, ui)
    with reader.opened(settings, arguments.ref) as image:
        checks = verifying.run(settings, image, verifier, layers=not arguments.no_layers)
        digest = image.root.digest
    if arguments.json:
        print(
            json.dumps(
                {"ref": arguments.ref, "digest": digest, "checks": [asdict(check) for check in checks]}, indent=1
            )
        )
    else:
        print(f"{arguments.ref}\n{digest}\n\n{lines(checks)}\n")
    unknown = refuse(arguments.ref, checks, strict=arguments.strict)
    if not arguments.json:
        print("Verified." if not unknown else f"Verified, but for {unknown} that could not be checked.")


def refuse(ref: str, checks: tuple[Check, ...], *, strict: bool = False) -> int:
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


def lines(checks: tuple[Check, ...]) -> str:
    """Return a line a check."""
    return text.table([(check.verdict, check.name, check.words) for check in checks])
