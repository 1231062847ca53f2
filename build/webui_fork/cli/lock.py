"""The verb `lock`."""

from __future__ import annotations

import argparse

from webui_fork.core.errors import UsageError
from webui_fork.core.files import exclusive
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import refresh_locks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s lock -- --release latest"
    parser.add_argument(
        "--at-once",
        action="append",
        default=[],
        metavar="NAME",
        help="with --tools: take its newest version, however new",
    )
    parser.add_argument("--release", metavar="VERSION", help="the release to pin, or `latest`; default: the pinned one")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--revise", action="store_true", help="only take the next patchset revision (-pN)")
    only.add_argument(
        "--tools", action="store_true", help="only lock the tools' own packages (requirements/*.lock) again"
    )
    only.add_argument("--bases", action="store_true", help="only pin the images that variants go on")


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Refresh the locks, and print what changed.

    Raises:
        UsageError: --at-once without --tools. ForkError: see :mod:`webui_fork.image.refresh_locks`.
    """
    if arguments.at_once and not arguments.tools:
        raise UsageError("--at-once is for the tools' own packages.", remedy="nox -s lock -- --tools --at-once NAME")
    with exclusive(settings.out / ".lock", "this checkout", ui.say):
        if arguments.revise:
            changed = refresh_locks.revise(settings)
        elif arguments.tools:
            changed = refresh_locks.refresh_tools(settings, ui, arguments.at_once)
        elif arguments.bases:
            changed = refresh_locks.pin_bases(settings, ui)
        else:
            changed = refresh_locks.refresh(settings, ui, arguments.release)
    print("\n".join(changed) or "Nothing changed: the locks are what the mirrors and the index give.")
