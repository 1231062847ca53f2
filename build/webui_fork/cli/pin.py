"""The verb `pin`."""

from __future__ import annotations

import argparse

from webui_fork.cli import checks as cli_checks
from webui_fork.cli import signer
from webui_fork.core import text
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.oci import reader
from webui_fork.publish import deploy as pinning
from webui_fork.trust import verify as verifying


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s pin -- ghcr.io/me/open-webui:v0.12.4-p17 --key cosign.pub"
    parser.add_argument(
        "--as", dest="alias", metavar="REGISTRY/NAME", help="write this name, where the cluster pulls from a mirror"
    )
    parser.add_argument("ref", metavar="REF", help="REGISTRY/NAME:TAG, REGISTRY/NAME@sha256:…, or oci:FOLDER")
    signer.add_arguments(parser)


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Verify an image, and have `deploy/` name it by digest.

    Raises:
        VerifyError: it does not verify. ForkError: see :mod:`webui_fork.publish.deploy`.
    """
    named = pinning.name_of(arguments.ref, arguments.alias)
    verifier = signer.verifier(settings, arguments, ui)
    with reader.opened(settings, arguments.ref) as image:
        with ui.step("verify", f"Verifying {arguments.ref}"):
            checks = verifying.run(settings, image, verifier)
        digest, tag = image.root.digest, image.tag or "by digest"
    cli_checks.refuse(arguments.ref, checks)
    done = pinning.write(settings, named, digest, tag)
    rows = [("image", f"{done.name}@{done.digest}"), ("tag", done.tag)]
    rows += [("written", file.relative_to(settings.root).as_posix()) for file in done.changed]
    print(f"{text.table(rows)}\n\nNext: cd deploy && docker compose up -d, or kubectl apply -k an overlay")
