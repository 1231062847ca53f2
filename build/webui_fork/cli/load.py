"""The verb `load`."""

from __future__ import annotations

import argparse
from pathlib import Path

from webui_fork.cli import checks, result, signer
from webui_fork.config import reference
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.oci import reader
from webui_fork.oci.reader import LayoutReader
from webui_fork.trust import verify


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s load -- open-webui/image --key open-webui/cosign.pub"
    parser.add_argument("folder", metavar="FOLDER", help="an OCI layout: a bundle's image/, or out/image")
    parser.add_argument("--name", metavar="NAME", default="open-webui", help="what the engine calls it (%(default)s)")
    signer.add_arguments(parser)
    result.add_arguments(parser)


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Verify an image in a folder, and load it into the Docker engine; neither needs a network.

    Raises:
        VerifyError: it does not verify. EngineError: no engine answers, or it refuses the image.
    """
    from webui_fork.oci import engine

    folder = Path(arguments.folder.removeprefix(reference.LAYOUT))
    verifier = signer.verifier(settings, arguments, ui)
    with reader.opened(settings, f"{reference.LAYOUT}{folder}") as store:
        assert isinstance(store, LayoutReader)
        rows = verify.run(settings, store, verifier)
        if unknown := checks.refuse(str(folder), rows):
            ui.say(f"NOTE: {unknown} checks could not be made.\n{checks.lines(rows)}")
        # the tag of the folder is not signed: an older image would pass for the newest
        image, name = store.layout.image, f"{arguments.name}:{verify.signed_as(store)}"
    with engine.connect(settings, ui) as docker, ui.step("load", f"Loading {name} into the Docker engine"):
        engine.load(docker.client, image, folder, name)
    command = f"docker run --rm -p 3000:8080 -v open-webui:/app/backend/data {name}"
    words = f"Loaded {name}\n{image.digest}\n\nNext: {command}"
    result.show(arguments, {"image": name, "digest": image.digest}, words)
