"""The verb `lock`."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from webui_fork.cli import result
from webui_fork.core import git
from webui_fork.core.errors import UsageError
from webui_fork.core.files import exclusive, temp_folder
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
    parser.add_argument("--dry-run", action="store_true", help="resolve everything, and only say what would change")
    result.add_arguments(parser)
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--revise", action="store_true", help="only take the next patchset revision (-pN)")
    only.add_argument(
        "--tools", action="store_true", help="only lock the tools' own packages (requirements/*.lock) again"
    )
    only.add_argument("--bases", action="store_true", help="only pin the base images of the variants")


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Refresh the locks, and print what changed.

    Raises:
        UsageError: --at-once without --tools. ForkError: see :mod:`webui_fork.image.refresh_locks`.
    """
    if arguments.at_once and not arguments.tools:
        raise UsageError("--at-once is for the tools' own packages.", remedy="nox -s lock -- --tools --at-once NAME")
    if arguments.release is not None and (arguments.revise or arguments.tools or arguments.bases):
        raise UsageError("--release does not go with --revise, --tools or --bases.", remedy="Run one after the other.")
    if settings.line and (arguments.tools or arguments.bases):
        raise UsageError("--tools and --bases are for the checkout, not for a line.", remedy="Leave out --line.")
    with exclusive(settings.out / ".lock", "this checkout", ui.say), ExitStack() as stack:
        if arguments.dry_run:
            settings = stack.enter_context(_copied(settings))
        if arguments.revise:
            changed = refresh_locks.revise(settings)
        elif arguments.tools:
            changed = refresh_locks.refresh_tools(settings, ui, arguments.at_once)
        elif arguments.bases:
            changed = refresh_locks.pin_bases(settings, ui)
        else:
            changed = refresh_locks.refresh(settings, ui, arguments.release)
    words = "\n".join(changed) or "Nothing changed: the locks already match the mirrors and the index."
    ending = "\nDry run: nothing was written." if arguments.dry_run else ""
    result.show(arguments, {"changed": changed, "dry_run": arguments.dry_run}, words + ending)


@contextmanager
def _copied(settings: Settings) -> Iterator[Settings]:
    """Have a copy of what the locks are made from and stand in, as long as the context lasts; yields its settings."""
    with temp_folder(settings.cache / "tmp", "dry-run") as folder:
        root = folder / settings.root.relative_to(settings.checkout)
        for name in ("images", "patches", "requirements"):
            if (settings.root / name).exists():  # a line has no requirements/
                shutil.copytree(settings.root / name, root / name)
        for name in ("upstream.lock", "pyproject.toml"):
            if (settings.root / name).exists():
                shutil.copy2(settings.root / name, root)
        shown = git.in_checkout(settings, "rev-parse", "--absolute-git-dir", check=False)
        if not shown.code:  # the revision follows from the last commit's
            (folder / ".git").write_text(f"gitdir: {shown.stdout.strip()}\n")
        yield replace(settings, root=root)
