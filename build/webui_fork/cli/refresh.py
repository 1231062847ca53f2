"""The verb `refresh`."""

from __future__ import annotations

import argparse
import json

from webui_fork.cli import result
from webui_fork.core import text
from webui_fork.core.files import exclusive
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.publish import refresh, refresh_report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s refresh"
    parser.add_argument("--dry-run", action="store_true", help="commit nothing; only say what would move")
    parser.add_argument("--osv-url", metavar="URL", help="ask this OSV server instead of the public one")
    result.add_arguments(parser)


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Move the locks on, commit them, and print what changed and why.

    Raises:
        ForkError: see :mod:`webui_fork.publish.refresh`.
    """
    with exclusive(settings.out / ".lock", "this checkout", ui.say):
        report = refresh.run(settings, ui, arguments.osv_url, dry_run=arguments.dry_run)
    if arguments.json:
        print(json.dumps(json.loads(refresh_report.to_json(report)) if report else {"changes": []}))
        return
    if report is None:
        print("Nothing changed: the locks already match the mirrors and the index.")
        return
    rows = [
        (row.lock, row.name, row.before or "new", row.after or "gone", " ".join(row.advisories))
        for row in report.changes
    ]
    print(f"{text.table(rows)}\n")
    images = [report.after, *(after for _, after in report.lines)]
    facts = [row for image in images for row in (("image", image.tag), ("digest", image.digest))]
    print(text.table([*facts, ("report", "out/refresh/report.md")]))
    for row in report.not_moved:
        print(f"Not moved: {text.printable(row.words)}")
    print("\nDry run: nothing was committed." if arguments.dry_run else "\nCommitted. Next: nox -s tests")
