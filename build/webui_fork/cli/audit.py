"""The verb `audit`."""

from __future__ import annotations

import argparse

from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.trust import audit as trust_audit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s audit"
    parser.add_argument("--osv-url", metavar="URL", help="ask this OSV server instead of the public one")


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """List known vulnerabilities of the image's packages.

    Raises:
        AuditError: there are some that nobody judged, or some packages could not be looked up.
    """
    findings = trust_audit.run(settings, ui, arguments.osv_url)
    print(trust_audit.table(findings))
    trust_audit.refuse(findings)
