"""A server of processes that have Open WebUI's packages imported already: see tests/assets/fork_server.py."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import cast

import shared

DATABASE = "webui.db"  # as the release's migrations leave it, which take a fifth of a start
PROGRAM = Path(__file__).parents[1] / "assets/fork_server.py"
# what packages read when they are imported: a start with one of these is from nothing
READ_EARLY = frozenset({"SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONPATH"})


class Forked:
    """A process that the server forked, as far as a test looks at one; not a child of ours, so its code is unknown."""

    stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle = os.pidfd_open(pid)

    def poll(self) -> int | None:
        return 0 if self._ended(0) else None

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended(timeout):
            raise subprocess.TimeoutExpired("a forked server", timeout or 0)
        return 0

    def send_signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> bool:
        return bool(select.select([self._handle], [], [], timeout)[0])

    def __del__(self) -> None:
        os.close(self._handle)


def _address(tree: Path) -> Path:
    """Return the socket of the server with a tree's packages, which trees of another release do not have."""
    return shared.folder() / f"{(tree / 'root').resolve().name[-12:]}.sock"


def _database(address: Path) -> Path:
    return address.with_suffix(".db")


def start(python: Sequence[str | Path], environment: Mapping[str, str], tree: Path) -> str:
    """Start a server that ends when the folder of the run is gone; return its address.

    Args:
        python: the command of the image's Python.
        environment: of its processes; a request has its own on top.
        tree: whose imports it learns what to import from.
    """
    address, folder = _address(tree), shared.folder()
    words = address.with_suffix(".log")
    with tempfile.TemporaryDirectory() as data, words.open("wb") as log:
        (Path(data) / "static").mkdir()
        child = subprocess.Popen(
            [*python, PROGRAM, address, tree, data, folder], env=environment, stdout=subprocess.PIPE, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        assert child.stdout
        assert child.stdout.readline() == b"ready\n", words.read_text()
        child.stdout.close()
        with (
            closing(sqlite3.connect(Path(data) / DATABASE)) as first,
            closing(sqlite3.connect(database := _database(address).with_suffix(".part"))) as kept,
        ):
            first.backup(kept)
            kept.execute("DELETE FROM config")  # a start writes its settings there, if there are none
            kept.commit()
        database.rename(_database(address))  # the last step: it is available now
    child.returncode = 0  # it outlives this process, and nobody here waits for it
    return str(address)


def available(tree: Path) -> bool:
    """Tell whether this run has a server with the packages of a tree."""
    return shared.RUN in os.environ and _database(_address(tree)).exists()


def launch(tree: Path, environment: Mapping[str, str], words: Sequence[str], data: Path) -> subprocess.Popen[bytes]:
    """Have the server fork an uvicorn.

    Args:
        tree: whose backend is its folder, where it finds its application.
        environment: all of it.
        words: uvicorn's arguments.
        data: its data folder; its log is there, too.
    """
    if not (data / DATABASE).exists():
        shutil.copyfile(_database(_address(tree)), data / DATABASE)
    request = {
        "cwd": str((tree / "backend").resolve()),
        "env": dict(environment),
        "argv": list(words),
        "log": str(data / "log"),
    }
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(_address(tree)))
        with connection.makefile("rw") as pipe:
            pipe.write(json.dumps(request) + "\n")
            pipe.flush()
            return cast("subprocess.Popen[bytes]", Forked(int(pipe.readline())))
