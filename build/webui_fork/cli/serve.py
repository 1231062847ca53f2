"""The verb `serve`."""

from __future__ import annotations

import argparse
import signal

from webui_fork.core.files import exclusive, temp_folder
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.oci import local_registry
from webui_fork.sources import programs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s serve -- --port 5000"
    parser.add_argument("--port", type=int, default=5000, help="the port on 127.0.0.1; default: 5000")


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Serve the embedded registry on loopback until Ctrl-C or SIGTERM.

    Raises:
        RegistryError: it does not start. ToolError: no registry program is at hand.
    """
    program = programs.find(settings, "registry", ui)
    with (
        exclusive(settings.cache / "registry.lock", "the embedded registry", ui.say),
        temp_folder(settings.cache / "tmp", "registry") as work,
        local_registry.running(program, settings.cache / "registry", work, arguments.port, readonly=True) as url,
    ):
        print(f"Serving {url} until Ctrl-C; pull as {url.removeprefix('http://')}/open-webui:TAG", flush=True)
        ends = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        signal.sigwait(ends)
