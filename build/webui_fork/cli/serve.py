"""The verb `serve`."""

from __future__ import annotations

import signal

from webui_fork.core.files import exclusive, temp_folder
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.oci import local_registry
from webui_fork.sources import programs


def run(settings: Settings, ui: Terminal, port: int) -> None:
    """Serve the embedded registry on loopback until Ctrl-C or SIGTERM.

    Raises:
        RegistryError: it does not start. ToolError: no registry program is at hand.
    """
    program = programs.find(settings, "registry", ui)
    with (
        exclusive(settings.cache / "registry.lock", "the embedded registry", ui.say),
        temp_folder(settings.cache / "tmp", "registry") as work,
        local_registry.running(program, settings.cache / "registry", work, port) as url,
    ):
        print(f"Serving {url} until Ctrl-C; pull as {url.removeprefix('http://')}/open-webui:TAG", flush=True)
        ends = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        signal.sigwait(ends)
