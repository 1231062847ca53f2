"""The verb `reproduce`."""

from __future__ import annotations

import argparse

from webui_fork.cli import result
from webui_fork.cli import signer as cli_signer
from webui_fork.config import image_toml
from webui_fork.config.image_tables import Frontend
from webui_fork.core import git, text
from webui_fork.core.errors import ImageError, ReproduceError, UsageError
from webui_fork.core.files import write_atomic
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.frontend import build, changes, statement
from webui_fork.frontend.build import Request
from webui_fork.image import refresh_locks
from webui_fork.image.inputs import IMAGE
from webui_fork.oci import reader
from webui_fork.sources import programs, release
from webui_fork.trust import cosign, keys
from webui_fork.trust import reproduce as reproducing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s reproduce -- ghcr.io/me/open-webui:v0.12.4-p17 --key cosign.pub"
    parser.add_argument(
        "ref", metavar="REF", nargs="?", help="REGISTRY/NAME:TAG, REGISTRY/NAME@sha256:…, or oci:FOLDER"
    )
    parser.add_argument(
        "--upstream",
        action="store_true",
        help="instead, build upstream's front end from its sources, and compare it with the one in the release's wheel",
    )
    parser.add_argument("--release", metavar="VERSION", help="with --upstream: use this release, not the locked one")
    parser.add_argument(
        "--sign", action="store_true", help="with --upstream: build nothing, and sign the statement of an earlier run"
    )
    cli_signer.add_arguments(parser)
    result.add_arguments(parser)


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Build an image again, and print whether it is the same.

    Raises:
        ReproduceError: it is not, with every difference. ForkError: see :mod:`webui_fork.trust.reproduce`.
    """
    if bool(arguments.ref) == arguments.upstream or (not arguments.upstream and (arguments.release or arguments.sign)):
        raise UsageError(
            "Name either an image, or --upstream; --release and --sign are only valid with it.", remedy="See --help."
        )
    if arguments.upstream:
        (_sign if arguments.sign else _upstream)(settings, ui, arguments)
        return
    verifier = cli_signer.verifier(settings, arguments, ui)
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


def _upstream(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Build a release's front end from its sources, and hold it against the one in its wheel.

    Raises:
        ReproduceError: they differ, with every file. ImageError: image.toml does not say how it is built.
        ForkError: see :func:`webui_fork.frontend.build.build`.
    """
    spec = _description(settings)
    lock = refresh_locks.pin(settings, arguments.release)
    request = Request(lock, release.obtain(settings, lock, ui), (), spec)
    built = build.build(settings, git.repository(settings), request, ui)
    file = settings.out / statement.FILE
    (settings.out / statement.BUNDLE).unlink(missing_ok=True)  # it is of an earlier statement
    write_atomic(file, statement.write(lock, spec, built))
    rows = [
        ("wheel", f"{lock.wheel.name} {lock.wheel.digest}"),
        ("source", lock.git.commit if lock.git else f"{lock.sdist.name} {lock.sdist.digest}"),
        ("the same", f"{built.same} files"),
        ("statement", file.relative_to(settings.root).as_posix()),
    ]
    value = {"release": lock.version, "identical": not built.files, "same": built.same}
    result.show(arguments, {**value, "differences": list(map(str, built.files))}, text.table(rows))
    if built.files:
        shown = "\n".join(map(str, built.files[:40]))
        raise ReproduceError(
            f"The front end in the wheel of {lock.version} differs from its sources in {len(built.files)} files.",
            why=shown + ("\n…" if len(built.files) > 40 else ""),
            remedy="Node.js, a build setting or the source differs: ask upstream which.",
        )
    if not arguments.json:
        print(f"\nIdentical but for {changes.TAKEN}, which upstream's build fetches live: it is taken from the wheel.")


def _description(settings: Settings) -> Frontend:
    spec = image_toml.read(settings.root / "images" / IMAGE).frontend
    if spec is None:
        raise ImageError("image.toml has no [frontend].", remedy="docs/image.md says what it needs.")
    return spec


def _sign(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Sign what an earlier run stated about a release's wheel: a run that has a key runs no code of upstream's.

    Raises:
        ReproduceError: it stated nothing about that wheel. ImageError: image.toml does not say how it is built.
        PassphraseError, SigningError: cosign failed.
    """
    lock = refresh_locks.pin(settings, arguments.release)
    file, bundle = settings.out / statement.FILE, settings.out / statement.BUNDLE
    predicate = statement.predicate(file.read_bytes() if file.exists() else b"", lock, _description(settings))
    wheel = release.obtain(settings, lock, ui).wheel
    signer = keys.signer(settings, programs.find(settings, "cosign", ui), ui)
    write_atomic(bundle, cosign.attest_file(settings, signer, wheel, lock.wheel.name, statement.KIND, predicate))
    rows = [
        ("statement", file.relative_to(settings.root).as_posix()),
        ("bundle", bundle.relative_to(settings.root).as_posix()),
        ("verified by", signer.verifier(settings).who),
    ]
    result.show(arguments, dict(rows), text.table(rows))
