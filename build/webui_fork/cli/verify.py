"""The verb `verify`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace

from webui_fork.cli import checks as cli_checks
from webui_fork.cli import signer
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.oci import reader
from webui_fork.trust import verify as verifying


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s verify -- ghcr.io/me/open-webui:v0.12.4-p17 --key cosign.pub"
    parser.add_argument("--no-layers", action="store_true", help="do not read and hash the layers")
    parser.add_argument("--strict", action="store_true", help="a check that could not be made counts as failed")
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")
    parser.add_argument("ref", metavar="REF", help="REGISTRY/NAME:TAG, REGISTRY/NAME@sha256:…, or oci:FOLDER")
    signer.add_arguments(parser)


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Check an image, and print a line a check.

    Raises:
        VerifyError: a check failed, or there is no such image. ForkError: see :mod:`webui_fork.trust.verify`.
    """
    verifier = replace(signer.verifier(settings, arguments, ui), bundles=True)
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
        print(f"{arguments.ref}\n{digest}\n\n{cli_checks.lines(checks)}\n")
    unknown = cli_checks.refuse(arguments.ref, checks, strict=arguments.strict)
    if not arguments.json:
        print("Verified." if not unknown else f"Verified; {unknown} of the checks could not be made.")
