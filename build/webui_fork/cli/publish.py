"""The verb `publish`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace

from webui_fork.cli import checks, result, signer
from webui_fork.config import image_toml
from webui_fork.core import text
from webui_fork.core.errors import UsageError
from webui_fork.core.files import exclusive
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import inputs, variants
from webui_fork.oci import connect
from webui_fork.publish import kept_inputs, second_builder
from webui_fork.publish import promote as publishing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s publish -- ghcr.io/me/open-webui"
    parser.add_argument("target", metavar="REGISTRY/NAME", help="where to; the tags follow from upstream.lock")
    parser.add_argument("--image", metavar="NAME", help="images/NAME with a base in a registry, such as upstream")
    parser.add_argument(
        "--no-inputs", action="store_true", help="do not send along what the image was built from (packages, sources)"
    )
    parser.add_argument("--dry-run", action="store_true", help="send nothing; say which tags would name the image")
    result.add_arguments(parser)
    parser.add_argument(
        "--witness",
        nargs=2,
        metavar=("KEY", "REGISTRY/NAME"),
        help="go on only if a second builder signed the same digest: its public key, and where it published",
    )
    parser.add_argument("--flavour", metavar="NAME", default="", help="the flavour of the image, such as full")
    parser.add_argument("--variant", metavar="NAME", default="", help="with --image: which of its variants")


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Promote the tested image to a registry, and print what names it now.

    Raises:
        ForkError: see :mod:`webui_fork.publish.promote`.
    """
    if arguments.variant and not arguments.image:
        raise UsageError("--variant is only valid with --image.", remedy="Name the image with --image.")
    target = publishing.target_of(arguments.target)
    witness = _witness(*arguments.witness) if arguments.witness else None
    with exclusive(settings.out / ".lock", "this checkout", ui.say), ExitStack() as stack:
        if arguments.image in (None, inputs.IMAGE):
            what = publishing.candidate(settings, arguments.flavour)
            if not (arguments.no_inputs or arguments.dry_run):
                built_for = image_toml.architectures(settings.root / "images" / inputs.IMAGE)
                every = inputs.read_every(settings, ui, built_for, locked=True, flavour=arguments.flavour)
                what = replace(what, inputs=kept_inputs.of_builds(settings, every, ui))
        else:
            variant_image = variants.make(
                settings, variants.request(settings, ui, arguments.image, arguments.variant), ui
            )
            source = stack.enter_context(connect.connect(settings, variant_image.request.base))
            what = publishing.of_variant(settings, variant_image, source)
        if arguments.dry_run:
            refs, left = publishing.plan(settings, ui, what, target, witness)
            rows = [("digest", what.image.digest), *(("would name it", ref) for ref in refs), *_left(left)]
            value = {"digest": what.image.digest, "refs": refs, "left": dict(left), "dry_run": True}
            result.show(arguments, value, text.table(rows))
            return
        done = publishing.run(settings, ui, what, target, witness)
    rows = [("digest", done.digest), *(("tag", ref) for ref in done.refs), *_left(done.left)]
    sent = f"{done.blobs} blobs, {text.human_size(done.bytes)}; {done.mounted} mounted from another repository"
    rows.append(("sent", sent if done.blobs or done.mounted else "nothing: all of it was there"))
    value = {"digest": done.digest, "refs": done.refs, "left": dict(done.left), "bytes": done.bytes, "dry_run": False}
    value |= {"blobs": done.blobs, "mounted": done.mounted}
    again = f"nox -s verify -- {done.refs[0]}" + (f" --line {settings.line}" if settings.line else "")
    words = f"{text.table(rows)}\n\n{checks.lines(done.checks)}\n\nNext: {again}"
    result.show(arguments, value, words)


def _left(left: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [("left", f"{tag}: {why}") for tag, why in left]


def _witness(key: str, place: str) -> second_builder.Witness:
    """Return the second builder that the arguments name.

    Raises:
        UsageError: there is no such key, or the place is no name.
    """
    return second_builder.Witness(signer.existing_key(key), publishing.target_of(place))
