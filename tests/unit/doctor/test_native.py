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


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_process_of_this_machine_that_is_open_webui(host: str) -> None:
    with listening("open_webui.main:app", host=host) as port:
        assert native.serves(f"http://localhost:{port}")
        assert not native.serves(f"http://localhost:{port + 1}" if port < 65535 else "http://localhost:1")
        assert not native.serves(f"http://example.org:{port}")
        assert not native.serves("http://localhost")


def test_another_process_is_none() -> None:
    """As that of a container engine, of kubectl or of ssh: there the server is somewhere else."""
    with listening("kubectl", "port-forward", "svc/open-webui") as port:
        assert not native.serves(f"http://localhost:{port}")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("/usr/bin/python3 /home/me/.local/bin/open-webui serve --port 8080", True),
        ("/opt/venv/bin/open-webui serve", True),
        ("python3 -m uvicorn open_webui.main:app --host 0.0.0.0", True),
        ("uvicorn open_webui.main:app", True),
        ("python -m open_webui serve", True),
        ("kubectl -n open-webui port-forward svc/open-webui 3000:80", False),
        ("ssh -L 3000:localhost:8080 me@open-webui.example", False),
        ("docker-proxy -container-ip 172.17.0.2", False),
        ("python3 serve.py --name open-webui", False),
        ("", False),
    ],
)
def test_a_word_like_its_name_is_not_enough(line: str, expected: bool) -> None:
    """Else a stored key would be sent to whoever is at the loopback addresses here."""
    assert native._is_open_webui(line.split(" ")) == expected


def test_where_nothing_can_be_told_it_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "PROC", tmp_path)
    with listening("open_webui.main:app") as port:
        assert not native.serves(f"http://127.0.0.1:{port}")
