"""The verb `bundle`."""

from __future__ import annotations

import argparse
from pathlib import Path

from webui_fork.cli import checks, result, signer
from webui_fork.core import text
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.oci import reader
from webui_fork.publish import bundle as publish_bundle
from webui_fork.trust import verify


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s bundle -- ghcr.io/me/open-webui:v0.12.4-p17 open-webui.tar"
    parser.add_argument("ref", metavar="REF", help="REGISTRY/NAME:TAG, or REGISTRY/NAME@sha256:…")
    parser.add_argument("file", metavar="FILE", type=Path, help="the tar to write")
    signer.add_arguments(parser)
    result.add_arguments(parser)


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Verify a published image, and write it with all that belongs to it to one file.

    Raises:
        VerifyError: it does not verify. ForkError: see :mod:`webui_fork.publish.bundle`.
    """
    verifier = signer.verifier(settings, arguments, ui)
    with reader.opened(settings, arguments.ref) as store:
        # what comes is hashed while it is written
        checks.refuse(arguments.ref, verify.run(settings, store, verifier, layers=False))
        count = publish_bundle.write(settings, ui, store, verifier, arguments.file)
        digest = store.root.digest
    value = {"digest": digest, "inputs": count, "size": arguments.file.stat().st_size}
    rows = [("digest", digest), ("inputs", str(count)), ("size", text.human_size(value["size"]))]
    more = f"Next, on the target machine: tar -xf {arguments.file.name}, then follow docs/trust.md"
    result.show(arguments, value, f"{text.table(rows)}\n\n{more}")
