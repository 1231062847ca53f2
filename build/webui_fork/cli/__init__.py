"""The command line: parse arguments, call one stage, map errors to exit codes."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from webui_fork.core import settings as settings_module
from webui_fork.core.errors import ForkError, ToolError, from_os_error
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.core.text import printable


def _release_parsers(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verbs that look at more than one release."""
    rebase = verbs.add_parser(
        "rebase", help="carry the series to the newest release", epilog="example: nox -s rebase -- --to 0.12.4"
    )
    rebase.add_argument("--to", metavar="VERSION", help="the release to go to, also an older one; default: the newest")
    rebase.add_argument(
        "--no-gate",
        action="store_true",
        help="carry and commit without running proofs and tests; says so in the report",
    )
    ways = rebase.add_mutually_exclusive_group()
    ways.add_argument("--continue", dest="resume", action="store_true", help="go on after resolving a conflict")
    ways.add_argument("--skip", action="store_true", help="drop the patch in conflict and go on")
    ways.add_argument("--abort", action="store_true", help="take the rebase back; the checkout is as it was")
    rebase.add_argument("--accept", action="store_true", help="with --continue: the tree is right as it was laid out")
    rebase.add_argument("--earlier", action="store_true", help="with --continue: take what was decided before")

    backtest = verbs.add_parser(
        "backtest", help="replay upstream's history with series of older releases", epilog="example: nox -s backtest"
    )
    backtest.add_argument("--data", metavar="FOLDER", help="series by release; default: tests/assets/series")
    backtest.add_argument("--no-peers", action="store_true", help="leave out git am -3 and patch -p1")
    backtest.add_argument("--from", dest="first", metavar="VERSION", help="leave out series of older releases")
    backtest.add_argument("--to", dest="last", metavar="VERSION", help="the last release; default: the newest")

    matrix = verbs.add_parser(
        "matrix", help="draw which patches carry to which releases", epilog="example: nox -s matrix -- --from 0.9.0"
    )
    matrix.add_argument("--from", dest="first", metavar="VERSION", default="0.9.0", help="the first; default: 0.9.0")
    matrix.add_argument("--to", dest="last", metavar="VERSION", help="the last release; default: the newest")

    mutants = verbs.add_parser(
        "mutants",
        help="make small faults in the lines of patches, and see whether their proofs notice",
        epilog="example: nox -s mutants -- go-direct --sample 20",
    )
    mutants.add_argument("patches", nargs="*", metavar="PATCH", help="patches of the series; default: all")
    mutants.add_argument("--sample", type=int, default=0, metavar="N", help="only so many of each patch")
    mutants.add_argument("--jobs", type=int, default=2, metavar="N", help="proofs at the same time; default: 2")


def _signer_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say whose signature counts."""
    parser.add_argument("--key", metavar="FILE", help="the public key, or a KMS URI; default: as WEBUI_FORK_SIGN says")
    parser.add_argument("--identity", metavar="WHO", help="the keyless signer's identity; needs --issuer")
    parser.add_argument("--issuer", metavar="URL", help="the OIDC issuer of that identity")


def _trust_parsers(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verbs that are about who made what of what."""
    verify = verbs.add_parser(
        "verify",
        help="check a published image: signature, attestations, layers, tag, labels, patches",
        epilog="example: nox -s verify -- ghcr.io/me/open-webui:v0.12.4-p15 --key cosign.pub",
    )
    verify.add_argument("--no-layers", action="store_true", help="do not read and hash the layers")
    verify.add_argument("--strict", action="store_true", help="a check that could not be made counts as failed")
    verify.add_argument("--json", action="store_true", help="print the checks as JSON")
    reproduce = verbs.add_parser(
        "reproduce",
        help="build a published image again from its provenance, and compare",
        epilog="example: nox -s reproduce -- ghcr.io/me/open-webui:v0.12.4-p15 --key cosign.pub",
    )
    pin = verbs.add_parser(
        "pin",
        help="verify an image, and have deploy/ name it by digest",
        epilog="example: nox -s pin -- ghcr.io/me/open-webui:v0.12.4-p17 --key cosign.pub",
    )
    pin.add_argument(
        "--as", dest="alias", metavar="REGISTRY/NAME", help="write this name, where the cluster pulls from a mirror"
    )
    for parser in (verify, reproduce, pin):
        parser.add_argument("ref", metavar="REF", help="REGISTRY/NAME:TAG, REGISTRY/NAME@sha256:…, or oci:FOLDER")
        _signer_arguments(parser)
    publish = verbs.add_parser(
        "publish",
        help="promote the image that passed the tests to a registry",
        epilog="example: nox -s publish -- ghcr.io/me/open-webui",
    )
    publish.add_argument("target", metavar="REGISTRY/NAME", help="where to; the tags follow from upstream.lock")
    publish.add_argument(
        "--image", metavar="NAME", help="images/NAME with a base in a registry instead, such as upstream"
    )
    publish.add_argument("--variant", metavar="NAME", default="", help="with --image: which of its variants")
    audit = verbs.add_parser(
        "audit", help="list known vulnerabilities of the image's packages", epilog="example: nox -s audit"
    )
    audit.add_argument("--osv-url", metavar="URL", help="ask this OSV server instead of the public one")


def _doctor_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    doctor = verbs.add_parser(
        "doctor",
        help="why is the model list empty, slow or a 503? Works on stock images too",
        epilog="example: OPEN_WEBUI_TOKEN=… nox -s doctor -- --webui http://localhost:3000 --vllm http://localhost:8000",
    )
    doctor.add_argument("--webui", metavar="URL", required=True, help="Open WebUI, as a browser here reaches it")
    doctor.add_argument("--vllm", metavar="URL", help="the model server, as this machine reaches it")
    doctor.add_argument("--image", metavar="REF", help="also verify this image, as `verify` does")
    _signer_arguments(doctor)
    doctor.add_argument(
        "--container", metavar="NAME", help="Open WebUI's container; default: the one that publishes the port"
    )
    doctor.add_argument(
        "--token-file", metavar="FILE", help="holds a token of an admin; default: the variable OPEN_WEBUI_TOKEN"
    )
    doctor.add_argument(
        "--vllm-key-file", metavar="FILE", help="holds the model server's key; default: the variable VLLM_API_KEY"
    )
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")


def _build_parsers(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verbs that build and serve."""
    build = verbs.add_parser(
        "build", help="build, push, sign and verify the image", epilog="example: nox -s build -- --load"
    )
    build.add_argument("--locked", action="store_true", help="refuse any input that is not the locked one")
    build.add_argument(
        "--image", metavar="NAME", help="build images/NAME instead, such as vllm-cpu: neither pushed nor signed"
    )
    build.add_argument("--variant", metavar="NAME", default="", help="with --image: which of its variants")
    build.add_argument(
        "--unsigned", action="store_true", help="only write out/image: neither push nor sign (what `reproduce` runs)"
    )
    build.add_argument("--load", action="store_true", help="load the image into the Docker engine under its tag")

    lock = verbs.add_parser(
        "lock", help="pin a release and refresh the locks", epilog="example: nox -s lock -- --release latest"
    )
    lock.add_argument("--release", metavar="VERSION", help="the release to pin, or `latest`; default: the pinned one")
    only = lock.add_mutually_exclusive_group()
    only.add_argument("--revise", action="store_true", help="only take the next patchset revision (-pN)")
    only.add_argument("--bases", action="store_true", help="only pin the images that variants go on")

    serve = verbs.add_parser(
        "serve", help="serve the embedded registry until Ctrl-C", epilog="example: nox -s serve -- --port 5000"
    )
    serve.add_argument("--port", type=int, default=5000, help="the port on 127.0.0.1; default: 5000")


def _patches_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    patches = verbs.add_parser("patches", help="the maintainer's daily tool", epilog="example: nox -s patches -- apply")
    actions = patches.add_subparsers(dest="action", required=True, metavar="ACTION", help="what to do")
    lint = actions.add_parser(
        "lint", help="check every rule of the series", epilog="example: nox -s patches -- lint --write"
    )
    lint.add_argument(
        "--write",
        action="store_true",
        help="write the patches in canonical form and record the series in upstream.lock",
    )
    actions.add_parser("list", help="list the patches with their reasons", epilog="example: nox -s patches -- list")
    apply = actions.add_parser(
        "apply",
        help="make a git worktree of the release with the series as commits",
        epilog="example: nox -s patches -- apply out/worktree",
    )
    apply.add_argument("folder", nargs="?", help="where; default: out/worktree")
    apply.add_argument("--upto-failure", action="store_true", help="stop before the first patch that does not apply")
    new = actions.add_parser(
        "new",
        help="commit the worktree's changes as a patch with its DEP-3 header",
        epilog="example: nox -s patches -- new 'Trim base URLs' --description 'Stock lists nothing behind a slash.'",
    )
    new.add_argument("subject", help="what it does, in the imperative, as 'Trim base URLs'")
    new.add_argument("--description", default="TODO", help="why, in a sentence or two")
    new.add_argument("--bug", default="none", help="URL of the bug it answers")
    tree = actions.add_parser(
        "tree",
        help="lay the built Open WebUI out in a folder, for its proofs",
        epilog="example: nox -s patches -- tree out/tree",
    )
    tree.add_argument("folder", help="a folder that does not exist yet")
    export = actions.add_parser(
        "export", help="write the worktree's commits back to patches/", epilog="example: nox -s patches -- export"
    )
    export.add_argument("folder", nargs="?", help="the worktree; default: out/worktree")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="webui_fork", description="Keep a patched, signed build of Open WebUI alive.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    _build_parsers(verbs)
    _release_parsers(verbs)
    _trust_parsers(verbs)
    _doctor_parser(verbs)
    _patches_parser(verbs)
    completion = verbs.add_parser(
        "completion",
        help="print the shell's completion of all this",
        epilog="example: nox -s completion -- bash > ~/.webui_fork.bash; then source it in ~/.bashrc",
    )
    completion.add_argument("shell", choices=("bash", "zsh"), help="for which shell")
    return parser


def _run(arguments: argparse.Namespace, settings: Settings, ui: Terminal) -> int:
    """Run a verb; return its exit code, which is 0 for all but those whose answer is one."""
    # imported late: a verb pays only for what it uses
    if arguments.verb == "doctor":
        from webui_fork.cli import doctor

        return doctor.run(settings, ui, arguments)
    if arguments.verb == "completion":
        from webui_fork.cli import completion

        print(completion.script(_parser(), arguments.shell, settings))
        return 0
    if arguments.verb == "build":
        from webui_fork.cli import build

        if arguments.image in (None, "open-webui"):
            build.run(settings, ui, locked=arguments.locked, load=arguments.load, unsigned=arguments.unsigned)
        elif build.in_registry(settings, arguments.image):
            build.run_variant(settings, ui, arguments.image, arguments.variant)
        else:
            build.run_companion(settings, ui, arguments.image, locked=arguments.locked, load=arguments.load)
    elif arguments.verb == "lock":
        from webui_fork.core.files import exclusive
        from webui_fork.image import refresh_locks

        with exclusive(settings.out / ".lock", "this checkout", ui.say):
            if arguments.revise:
                changed = refresh_locks.revise(settings)
            elif arguments.bases:
                changed = refresh_locks.pin_bases(settings, ui)
            else:
                changed = refresh_locks.refresh(settings, ui, arguments.release)
        print("\n".join(changed) or "Nothing changed: the locks are what the mirrors and the index give.")
    elif arguments.verb == "rebase":
        from webui_fork.cli import rebase

        rebase.run(settings, ui, arguments)
    elif arguments.verb in ("backtest", "matrix"):
        from webui_fork.cli import history

        {"backtest": history.backtest, "matrix": history.matrix}[arguments.verb](settings, ui, arguments)
    elif arguments.verb == "mutants":
        from webui_fork.cli import mutants

        mutants.run(settings, ui, arguments)
    elif arguments.verb in ("verify", "reproduce", "publish", "pin", "audit"):
        from webui_fork.cli import trust

        getattr(trust, arguments.verb)(settings, ui, arguments)
    elif arguments.verb == "serve":
        from webui_fork.cli import serve

        serve.run(settings, ui, arguments.port)
    else:
        from webui_fork.cli import patches

        patches.run(settings, ui, arguments)
    return 0


def _report(error: ForkError, terminal: bool) -> int:
    red, plain = ("\033[31m", "\033[0m") if terminal else ("", "")
    print(f"{red}error: {printable(error.what)}{plain}", file=sys.stderr)
    for text in (error.why, error.remedy):
        if text:
            print("\n".join(f"  {line}" for line in printable(text.expandtabs()).splitlines()), file=sys.stderr)
    return error.exit_code


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; return the exit code (docs/exit-codes.md)."""
    arguments = _parser().parse_args(argv)
    terminal = False
    signal.signal(signal.SIGTERM, _interrupt)  # children are ended and folders removed, as on Ctrl-C
    try:
        settings = settings_module.load()
        terminal = settings.terminal
        return _run(arguments, settings, Terminal(rich=settings.terminal))
    except ForkError as error:
        return _report(error, terminal)
    except OSError as error:
        if error.errno is None:  # a library's, about the network
            return _report(ForkError("The network failed.", why=str(error), remedy="Run this again."), terminal)
        return _report(from_os_error(error, "use a file"), terminal)
    except Exception as error:
        if type(error).__name__ != "GitCommandError":  # comparing names spares every verb the import of git
            raise
        why = str(getattr(error, "stderr", "")).strip()
        return _report(
            ToolError("git failed.", why=why or str(error), remedy="Is the disk full, or the cache damaged?"), terminal
        )
    except KeyboardInterrupt:
        print("Interrupted; what was finished is kept, and the next run goes on from there.", file=sys.stderr)
        return 130
