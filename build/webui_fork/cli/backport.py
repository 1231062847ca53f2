"""The verb `backport`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from webui_fork.backport import fix
from webui_fork.backport import run as backport_run
from webui_fork.backport.run import Backport, Order
from webui_fork.cli import result
from webui_fork.core import text
from webui_fork.core.errors import UsageError
from webui_fork.core.files import exclusive
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.series import patch as series_patch
from webui_fork.series.narrowing import Block


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = (
        "example: nox -s backport -- 0.12.1..0.12.2 --onto 0.11.4 --part backend/open_webui/routers/scim.py:delete_user"
        " --subject 'Keep administrators from SCIM'"
    )
    parser.add_argument("fix", metavar="FIX", help="0.12.1..0.12.2, or a commit of a git remote: https://…#COMMIT")
    parser.add_argument("--onto", metavar="VERSION", help="the older release; its line is created if there is none")
    parser.add_argument(
        "--part",
        action="append",
        default=[],
        metavar="FILE[:FUNCTION,…]",
        help="a file that contains the fix, and the functions to take; a commit needs no --part",
    )
    parser.add_argument(
        "--block",
        action="append",
        default=[],
        type=int,
        metavar="N",
        help="take only this block of lines, as --list numbers them",
    )
    parser.add_argument("--list", action="store_true", help="show the blocks of lines of the parts; do nothing")
    parser.add_argument("--subject", help="what the fix does, in the imperative")
    parser.add_argument("--description", default="", help="what is wrong without it, in a sentence or two")
    parser.add_argument("--bug", default="none", help="URL of the bug, the pull request or the advisory")
    parser.add_argument("--advisory", action="append", default=[], metavar="ID", help="CVE-… or GHSA-…")
    parser.add_argument("--proof", default="", metavar="FILE", help="default: tests/proofs/test_<subject>.py")
    parser.add_argument("--dry-run", action="store_true", help="say what would become of it; prove and write nothing")
    result.add_arguments(parser)


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Carry a fix back to an older release, or show what it consists of.

    Raises:
        UsageError: options that do not go together. ForkError: see :mod:`webui_fork.backport.run`.
    """
    parts = tuple(fix.part(words) for words in arguments.part)
    with exclusive(settings.out / ".lock", "this checkout", ui.say):
        if arguments.list:
            blocks = backport_run.listed(settings, ui, arguments.fix, parts)
            result.show(arguments, {"blocks": [_value(block) for block in blocks]}, _listing(blocks))
            return
        for name in ("onto", "subject"):
            if not getattr(arguments, name):
                raise UsageError(f"--{name} is missing.", remedy="`nox -s backport -- --help` has an example.")
        if bad := [one for one in arguments.advisory if not re.fullmatch(series_patch.ADVISORY, one)]:
            raise UsageError(f"{bad[0]!r} is not an advisory.", remedy="As in CVE-2026-45339, or GHSA-57q6-fvp4-pqmm.")
        order = Order(
            arguments.fix,
            arguments.onto,
            arguments.subject,
            arguments.description or arguments.subject,
            arguments.bug,
            tuple(arguments.advisory),
            parts,
            tuple(arguments.block),
            arguments.proof,
        )
        done = backport_run.carry(settings, ui, order, proved=not arguments.dry_run)
    value = {
        "line": done.line,
        "tag": done.tag,
        "patch": done.carried.name,
        "outcome": done.carried.outcome,
        "left": list(done.left),
        "red": done.red,
        "green": done.green,
    }
    result.show(arguments, value, _words(done))


def _value(block: Block) -> dict[str, object]:
    return {"path": block.path, "line": block.line, "function": block.function,
            "removed": "".join(block.removed), "added": "".join(block.added)}  # fmt: skip


def _listing(blocks: Sequence[Block]) -> str:
    rows = []
    for number, block in enumerate(blocks, 1):
        rows.append(f"block {number}: {block.path}:{block.line} {block.function}".rstrip())
        rows += [f"  -{line.rstrip()}" for line in block.removed] + [f"  +{line.rstrip()}" for line in block.added]
    return text.printable("\n".join(rows))


def _words(done: Backport) -> str:
    patch = done.carried.patch
    size = sum(file.added + file.removed for file in patch.files) if patch else 0
    rows = [("patch", f"lines/{done.line}/patches/{done.carried.name}")]
    rows += [("outcome", f"{done.carried.outcome}, by {done.carried.method.word}"), ("lines", str(size))]
    if done.green:
        rows += [("proof", f"{text.counted(done.red, 'test')} red without it, {done.green} green with it")]
    rows += [("stays behind", words) for words in done.left]
    if not done.green:
        return f"{text.table(rows)}\nNothing was written. Next: the same command without --dry-run."
    return f"{text.table(rows)}\nThe line is at {done.tag}. Next: nox -s build -- --line {done.line}"
