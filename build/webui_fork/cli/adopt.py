"""The verb `adopt`."""

from __future__ import annotations

import argparse
from collections import Counter

from webui_fork.backport import fork, fork_report
from webui_fork.cli import result
from webui_fork.core import text
from webui_fork.core.files import exclusive
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.core.text import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s adopt -- https://git.example.org/our/open-webui.git#main"
    parser.add_argument("fork", metavar="REMOTE#REF", help="a git remote, and the branch, tag or commit of the fork")
    parser.add_argument(
        "--release",
        metavar="VERSION",
        help="the release that the fork is based on; default: the one in its package.json",
    )
    result.add_arguments(parser)


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Make a series of a fork in out/adopt, and say what no patch can hold, and how far each goes.

    Raises:
        ForkError: see :mod:`webui_fork.backport.fork`.
    """
    with exclusive(settings.out / ".lock", "this checkout", ui.say):
        adopted = fork.adopt(settings, ui, arguments.fork, arguments.release)
        fork_report.write(settings.out / "adopt", adopted)
    left = Counter(one.why for one in adopted.left)
    value = {
        "release": adopted.version,
        "patches": [patch.name for patch in adopted.patches],
        "left": [{"path": one.path, "why": one.why} for one in adopted.left],
        "reach": {name: dict(cells) for name, cells in adopted.reach},
    }
    rows = [("release", adopted.version), ("patches", str(len(adopted.patches)))]
    rows += [("left out", f"{counted(number, 'place')}: {why}") for why, number in left.most_common()]
    words = f"{text.table(rows)}\nout/adopt/report.md has the details. Next: fill in headers and proofs."
    result.show(arguments, value, words)
