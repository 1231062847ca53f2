"""The verb `rebase`."""

from __future__ import annotations

import argparse
import json

from webui_fork.cli import result
from webui_fork.config import policy, upstream_lock
from webui_fork.core import text
from webui_fork.core.errors import UsageError
from webui_fork.core.files import exclusive
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.rebase import report
from webui_fork.rebase import run as rebase_run

_NEXT = {
    "ready": "Next: git log; review the commits.",
    "rehearsed": "Next: the same command without --dry-run, which proves it.",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s rebase -- --to 0.12.4"
    parser.add_argument("--to", metavar="VERSION", help="the release to go to, also an older one; default: the newest")
    parser.add_argument(
        "--no-gate",
        action="store_true",
        help="carry and commit without running proofs and tests; says so in the report",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would become of each patch; prove nothing")
    result.add_arguments(parser)
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--continue", dest="resume", action="store_true", help="go on after resolving a conflict")
    ways.add_argument("--skip", action="store_true", help="drop the patch in conflict and go on")
    ways.add_argument("--abort", action="store_true", help="take the rebase back; the checkout is as it was")
    parser.add_argument("--accept", action="store_true", help="with --continue: accept the tree as it was laid out")
    parser.add_argument("--earlier", action="store_true", help="with --continue: take the earlier resolution")


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Begin a rebase, go on with one, or take it back; print the summary.

    Raises:
        UsageError: options that do not go together. ForkError: see :mod:`webui_fork.rebase.run`.
    """
    going = arguments.resume or arguments.skip or arguments.abort
    if going and (arguments.to or arguments.no_gate or arguments.dry_run):
        what = "--to, --no-gate and --dry-run are only valid when starting a rebase."
        raise UsageError(what, remedy="Leave them out, or --abort.")
    if arguments.dry_run and arguments.no_gate:
        raise UsageError("--dry-run never runs the gate.", remedy="Leave --no-gate out.")
    for name in ("earlier", "accept"):
        if getattr(arguments, name) and not arguments.resume:
            raise UsageError(f"--{name} is only valid with --continue.", remedy=f"nox -s rebase -- --continue --{name}")
    with exclusive(settings.out / ".lock", "this checkout", ui.say):
        if arguments.abort:
            aborted = rebase_run.abort(settings)
            words = f"The rebase to {aborted} is taken back; the checkout is as it was."
            result.show(arguments, {"aborted": aborted}, words)
            return
        if arguments.resume or arguments.skip:
            decision = {"skip": arguments.skip, "earlier": arguments.earlier, "accept": arguments.accept}
            done = rebase_run.resume(settings, ui, **decision)
        else:
            if arguments.dry_run:
                begun = rebase_run.rehearse(settings, ui, arguments.to)
            else:
                begun = rebase_run.start(settings, ui, arguments.to, gated=not arguments.no_gate)
            if begun is None:
                version = upstream_lock.read(settings.lock_file).version
                admitted = f" that {policy.FILE} admits" if (settings.root / policy.FILE).exists() else ""
                which = "that one" if arguments.to else f"the newest{admitted}"
                words = f"Nothing new: {version}, the pinned release, is {which}."
                result.show(arguments, {"old": version, "new": version}, words)
                return
            done = begun
    if arguments.json:
        print(json.dumps(json.loads(report.to_json(done))))
        return
    print(text.table(report.summary(done)))
    name = "dry-run" if arguments.dry_run else "report"
    print(f"\n{done.old} -> {done.new}: {done.verdict}. The report: out/rebase/{name}.md, {name}.html")
    print(_NEXT.get(done.verdict, "Next: nox -s tests, then review."))
