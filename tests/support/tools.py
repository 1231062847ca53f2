"""Programs that only tests drive."""

from __future__ import annotations

from pathlib import Path

from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.sources import programs
from webui_fork.sources.programs import Tool

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
TOOLS = {
    "mmdebstrap": Tool(("mmdebstrap",), "mmdebstrap", None, "apt: mmdebstrap; dnf: mmdebstrap; brew: none"),
    "redis-server": Tool(("redis-server",), "redis-server", None, "apt: redis-server; dnf: redis; brew: redis"),
    "tinyproxy": Tool(("tinyproxy",), "tinyproxy-bin", None, "apt: tinyproxy-bin; dnf: tinyproxy; brew: tinyproxy"),
    "qemu-aarch64": Tool(
        ("qemu-aarch64-static",), "qemu-user-static", None, "apt: qemu-user-static; dnf: qemu-user-static; brew: none"
    ),
    "rsync": Tool(("rsync",), "rsync", None, "apt: rsync; dnf: rsync; brew: rsync"),  # of gitlab-ci-local
    "wrk": Tool(("wrk",), "wrk", None, "apt: wrk; dnf: wrk; brew: wrk"),
    "chromium": Tool(_CHROMIUM, "chromium", None, "apt: chromium; dnf: chromium; brew: chromium"),
}


def find(settings: Settings, name: str, ui: Terminal) -> Path:
    """Return the path of a program, getting it from the distribution if need be."""
    return programs.find(settings, name, ui, TOOLS)


def cosign_3(settings: Settings) -> Path:
    """Return the path of cosign 3, from Debian testing: no released Debian has it."""
    tool = Tool(("cosign",), "cosign", "testing", "apt (Debian 14): cosign", expired=True)  # a mirror may stand still
    return programs.fetch(settings, "cosign-3", tool, Terminal())
