"""The verb `reproduce`."""

from __future__ import annotations

import argparse

from webui_fork.cli import result, signer
from webui_fork.core import text
from webui_fork.core.errors import ReproduceError
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.oci import reader
from webui_fork.trust import reproduce as reproducing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s reproduce -- ghcr.io/me/open-webui:v0.12.4-p15 --key cosign.pub"
    parser.add_argument("ref", metavar="REF", help="REGISTRY/NAME:TAG, REGISTRY/NAME@sha256:…, or oci:FOLDER")
    signer.add_arguments(parser)
    result.add_arguments(parser)


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Build an image again, and print whether it is the same.

    Raises:
        ReproduceError: it is not, with every difference. ForkError: see :mod:`webui_fork.trust.reproduce`.
    """
    verifier = signer.verifier(settings, arguments, ui)
    with reader.opened(settings, arguments.ref) as image:
        outcome = reproducing.run(settings, ui, image, verifier)
    rows = [("published", outcome.published), ("rebuilt", outcome.rebuilt), ("from", outcome.inputs)]
    value = {**dict(rows), "identical": outcome.identical, "differences": outcome.differences}
    result.show(arguments, value, text.table(rows))
    if not outcome.identical:
        shown = outcome.differences[:40]
        more = [f"… and {len(outcome.differences) - 40} more"] if len(outcome.differences) > 40 else []
        raise ReproduceError(
            "The rebuilt image has another digest.",
            why="\n".join([*shown, *more]),
            remedy="The lines above say which layer, file and field.",
        )
    if not arguments.json:
        print("\nIdentical.")
