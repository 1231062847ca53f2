"""The verb `audit`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import asdict

from webui_fork.cli import result
from webui_fork.core import text
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.publish import audit as publish_audit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s audit"
    parser.add_argument("--flavour", metavar="NAME", default="", help="the flavour of the image, such as full")
    parser.add_argument("--osv-url", metavar="URL", help="ask this OSV server instead of the public one")
    result.add_arguments(parser)


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """List known vulnerabilities of the image's packages.

    Raises:
        AuditError: there are some that nobody judged, or some packages could not be looked up.
    """
    findings = publish_audit.run(settings, ui, arguments.osv_url, arguments.flavour)
    result.show(arguments, {"findings": [asdict(item) for item in findings]}, table(findings))
    publish_audit.refuse(findings)


def table(findings: Iterable[publish_audit.Finding]) -> str:
    """Return the findings as a table, those that matter first."""
    rows = [
        (
            f"{item.package.name} {item.package.version}",
            " ".join(dict.fromkeys((item.id, *(a for a in item.aliases if a.startswith("CVE-"))))),
            f"fixed in {', '.join(item.fixed)}" if item.fixed else "no fix",
            item.judged or "not judged",
            item.summary,
        )
        for item in findings
    ]
    return text.table(rows) or "No known vulnerability."
