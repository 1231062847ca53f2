"""The verb `doctor`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import webui_fork
from webui_fork.cli import signer
from webui_fork.core.errors import EXIT_DOCTOR_CRITICAL, EXIT_DOCTOR_WARNING, ForkError
from webui_fork.core.files import write_atomic
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.doctor import examine, findings, page, rules
from webui_fork.doctor.facts import Facts, Image
from webui_fork.doctor.findings import Severity
from webui_fork.oci import reader
from webui_fork.trust import verify
from webui_fork.trust.keys import Verifier

_EXIT = {Severity.CRITICAL: EXIT_DOCTOR_CRITICAL, Severity.WARNING: EXIT_DOCTOR_WARNING, Severity.INFO: 0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = (
        "example: OPEN_WEBUI_TOKEN=… nox -s doctor -- --webui http://localhost:3000 --vllm http://localhost:8000"
    )
    parser.add_argument("--webui", metavar="URL", required=True, help="Open WebUI, as a browser here reaches it")
    parser.add_argument("--vllm", metavar="URL", help="the model server, as this machine reaches it")
    parser.add_argument("--image", metavar="REF", help="also verify this image, as `verify` does")
    signer.add_arguments(parser)
    parser.add_argument(
        "--container", metavar="NAME", help="Open WebUI's container; default: the one that publishes the port"
    )
    parser.add_argument(
        "--token-file", metavar="FILE", help="a file with an admin's token; default: the variable OPEN_WEBUI_TOKEN"
    )
    parser.add_argument(
        "--vllm-key-file", metavar="FILE", help="a file with the model server's key; default: the variable VLLM_API_KEY"
    )
    parser.add_argument(
        "--chat", action="store_true", help="also chat with a model of each connection: it costs a few tokens"
    )
    parser.add_argument(
        "--watch",
        metavar="SECONDS",
        type=_seconds,
        help="check again every SECONDS, printing one line each time, until all is well",
    )
    parser.add_argument("--html", metavar="FILE", type=Path, help="also write an HTML page without secrets, to share")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def _seconds(text: str) -> float:
    if not text.isdecimal() or not 1 <= int(text) <= 86400:
        raise argparse.ArgumentTypeError("write a number from 1 to 86400")
    return float(text)


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> int:
    """Look, print the report, and return the exit code, which is by the worst finding.

    With `--watch`, look again until nothing is worse than a note; only then is the report printed.

    Raises:
        UsageError: an argument is off.
    """
    request = examine.Request(
        webui=examine.checked_url(arguments.webui, "--webui"),
        vllm=examine.checked_url(arguments.vllm, "--vllm") if arguments.vllm else "",
        image=arguments.image or "",
        container=arguments.container or "",
        token=examine.secret(settings, arguments.token_file, "OPEN_WEBUI_TOKEN"),
        vllm_key=examine.secret(settings, arguments.vllm_key_file, "VLLM_API_KEY"),
        chat=arguments.chat,
    )
    facts = _watched(settings, request, ui, arguments.watch) if arguments.watch else examine.run(settings, request, ui)
    if request.image:
        with ui.step("image", f"Verifying {request.image}"):
            verifier = partial(signer.verifier, settings, arguments, ui)
            facts = replace(facts, image=verified(settings, request.image, verifier))
    diagnosis = tuple(findings.redacted(finding, facts.secrets) for finding in rules.diagnose(facts))
    about = rules.about(facts)
    if arguments.json:
        document = findings.document(facts.url, about, diagnosis, facts.unchecked)
        print(json.dumps(document, indent=1))
    else:
        colour = settings.terminal and sys.stdout.isatty()
        print(findings.text(facts.url, about, diagnosis, facts.unchecked, colour=colour), flush=True)
    if arguments.html:
        when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        write_atomic(arguments.html, page.write(facts, about, diagnosis, when, f"webui-fork {webui_fork.__version__}"))
        ui.say(f"Written: {arguments.html}")
    return _EXIT[findings.worst(diagnosis)]


def _watched(settings: Settings, request: examine.Request, ui: Terminal, seconds: float) -> Facts:
    """Say the causes in a line every so many seconds; return what is seen once there are none."""
    while True:
        facts = examine.run(settings, request, replace(ui, quiet=True))
        causes = [finding.cause for finding in rules.diagnose(facts) if finding.severity < Severity.INFO]
        ui.say(f"{datetime.now().astimezone():%H:%M:%S} {', '.join(causes) or 'all is well'}")
        if not causes:
            return facts
        time.sleep(seconds)


def verified(settings: Settings, ref: str, verifier: Callable[[], Verifier]) -> Image:
    """Verify an image as `nox -s verify` does, without its layers.

    Args:
        verifier: returns whose signature counts.
    """
    try:
        with reader.opened(settings, ref) as image:
            checks = verify.run(settings, image, verifier(), layers=False)
    except ForkError as error:
        return Image(ref, error=" ".join(part for part in (error.what, error.why) if part))
    return Image(ref, tuple(f"{check.name}: {check.words}" for check in checks if check.verdict is verify.Verdict.BAD))
