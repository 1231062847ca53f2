"""Open WebUI as a process of this machine (pip, uv, a service): then what is seen from here is what it sees.

Linux alone: /proc tells who listens on a port. A container's port is listened on by its engine, a pod's by kubectl.
Source: proc(5), /proc/net/tcp.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from webui_fork.core.text import is_loopback, port_of

PROC = Path("/proc")
_LISTENING = "0A"
_SERVERS = ("python", "uvicorn", "gunicorn", "hypercorn", "ld-linux")  # the last starts a Python by hand


def serves(url: str) -> bool:
    """Tell whether a process of this machine, and of our network, is the Open WebUI at a URL."""
    port = port_of(url)
    if not port or not is_loopback(urlsplit(url).hostname or ""):
        return False
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    return bool(sockets) and any(_has(folder, sockets) for folder in PROC.glob("[0-9]*"))


def _listening(port: int) -> Iterator[str]:
    """Yield the inodes of the sockets that listen on a port here."""
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (PROC / "net" / name).read_text().splitlines()[1:]:
                fields = line.split()
                if len(fields) > 9 and fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _has(folder: Path, sockets: set[str]) -> bool:
    """Tell whether a process is an Open WebUI that holds one of some sockets."""
    try:
        words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        return _is_open_webui(words) and any(str(link.readlink()) in sockets for link in (folder / "fd").iterdir())
    except OSError:  # it ended, or is another user's
        return False


def _is_open_webui(words: list[str]) -> bool:
    """Tell whether a command line is Open WebUI's: its own script, or its module in a Python server.

    A word that is like its name is not enough: `kubectl port-forward svc/open-webui` leads to another machine.
    """
    program, *rest = words
    name = PurePath(program).name
    if name == "open-webui":
        return True
    if not name.startswith(_SERVERS):
        return False
    script = PurePath(rest[0]).name if rest else ""
    return script == "open-webui" or any(word == "open_webui" or word.startswith("open_webui.") for word in rest)
