from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from webui_fork.doctor import native

LISTEN = """
import socket, sys
with socket.create_server((sys.argv[1], 0)) as server:
    print(server.getsockname()[1], flush=True)
    sys.stdin.read()
"""


@contextmanager
def listening(*words: str, host: str = "127.0.0.1") -> Iterator[int]:
    """Have a process that listens on a port, with these words on its command line."""
    argv = [sys.executable, "-c", LISTEN, host, *words]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        yield int(child.stdout.readline())
        child.communicate()


@pytest.mark.parametrize("words", ["open_webui.main:app", "/usr/local/bin/open-webui"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_process_of_this_machine_that_is_open_webui(words: str, host: str) -> None:
    with listening(words, host=host) as port:
        assert native.serves(f"http://localhost:{port}")
        assert not native.serves(f"http://localhost:{port + 1}" if port < 65535 else "http://localhost:1")
        assert not native.serves(f"http://example.org:{port}")
        assert not native.serves("http://localhost")


def test_another_process_is_none() -> None:
    """As that of a container engine, of kubectl or of ssh: there the server is somewhere else."""
    with listening("kubectl", "port-forward") as port:
        assert not native.serves(f"http://localhost:{port}")


def test_where_nothing_can_be_told_it_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "PROC", tmp_path)
    with listening("open_webui.main:app") as port:
        assert not native.serves(f"http://127.0.0.1:{port}")
