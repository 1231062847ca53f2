"""The verb `pin`."""

from __future__ import annotations

import argparse

from webui_fork.cli import checks as cli_checks
from webui_fork.cli import result, signer
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
    parser.add_argument(
        "--unknown", action="store_true", help="go on if a check could not be made; without it, pin refuses the image"
    )
    parser.add_argument(
        "--older", action="store_true", help="go back to an image older than this checkout, or than deploy/ names"
    )
    parser.add_argument("--dry-run", action="store_true", help="verify, and say which files would be written")
    result.add_arguments(parser)
    parser.add_argument("ref", metavar="REF", help="REGISTRY/NAME:TAG, REGISTRY/NAME@sha256:…, or oci:FOLDER")
    signer.add_arguments(parser)


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Verify an image, and have `deploy/` name it by digest.

    Raises:
        VerifyError: it does not verify, a check could not be made, or it is older than what is there.
        ForkError: see :mod:`webui_fork.publish.deploy`.
    """
    named = pinning.name_of(arguments.ref, arguments.alias)
    verifier = signer.verifier(settings, arguments, ui)
    with reader.opened(settings, arguments.ref) as image:
        with ui.step("verify", f"Verifying {arguments.ref}"):
            checks = verifying.run(settings, image, verifier)
        # nothing is read of an image that does not verify
        if unknown := cli_checks.refuse(arguments.ref, checks, strict=not arguments.unknown):
            ui.say(f"NOTE: {unknown} checks could not be made.\n{cli_checks.lines(checks)}")
        digest, fixed = image.root.digest, verifying.signed_as(image)
    if not arguments.older:
        pinning.check_floor(settings, fixed, digest)
    done = pinning.write(settings, named, digest, str(fixed), dry_run=arguments.dry_run)
    files = [file.relative_to(settings.root).as_posix() for file in done.changed]
    value = {"image": f"{done.name}@{done.digest}", "tag": done.tag, "written": files, "dry_run": arguments.dry_run}
    rows = [("image", value["image"]), ("tag", done.tag)]
    rows += [("would write" if arguments.dry_run else "written", file) for file in files]
    more = "Next: cd deploy && docker compose up -d, or kubectl apply -k an overlay"
    result.show(arguments, value, text.table(rows) + ("" if arguments.dry_run else f"\n\n{more}"))
