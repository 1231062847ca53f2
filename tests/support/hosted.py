"""Real servers of this machine, reachable from containers at the gateway of their network."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from docker import DockerClient

import tools
from webui_fork.core import process
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal


@dataclass(frozen=True)
class Hosted:
    """A running server and its address as containers see it."""

    child: subprocess.Popen[bytes]
    host: str
    port: int

    def freeze(self) -> None:
        self.child.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.child.send_signal(signal.SIGCONT)


def program(name: str) -> Path:
    """Return the path of a program that came as a wheel beside this Python, else of the one on PATH."""
    beside = Path(sys.executable).parent / name
    found = beside if beside.exists() else shutil.which(name)
    assert found, f"{name} is missing: `nox -s tests` brings it, or install it"
    return Path(found)


def gateway(client: DockerClient, network: str) -> str:
    """Return this machine's address in a network of the engine."""
    (config,) = client.networks.get(network).attrs["IPAM"]["Config"]
    return str(config["Gateway"])


def _listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextmanager
def _running(argv: list[str], host: str, port: int, env: Mapping[str, str] | None = None) -> Iterator[Hosted]:
    child = subprocess.Popen(process.bound(argv), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not _listens(host, port):
            if child.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{argv[0]} does not listen")
            time.sleep(0.05)
        yield Hosted(child, host, port)
    finally:
        child.send_signal(signal.SIGCONT)
        process.stop(child, grace=5)


@contextmanager
def redis(real: Settings, host: str, port: int | None = None) -> Iterator[Hosted]:
    """Run a Redis that keeps nothing."""
    program, port = tools.find(real, "redis-server", Terminal()), port or _free_port(host)
    argv = [str(program), "--bind", host, "--port", str(port), "--protected-mode", "no", "--save", ""]
    with _running(argv, host, port) as running:
        yield running


@contextmanager
def tinyproxy(real: Settings, host: str, folder: Path) -> Iterator[Hosted]:
    """Run a proxy that connects to whatever it can look up."""
    program, port = tools.find(real, "tinyproxy", Terminal()), _free_port(host)
    config = folder / "tinyproxy.conf"
    config.write_text(f'Port {port}\nListen {host}\nTimeout 60\nMaxClients 50\nPidFile "{folder}/pid"\n')
    with _running([str(program), "-d", "-c", str(config)], host, port) as running:
        yield running


@contextmanager
def s3(real: Settings, host: str, folder: Path, key: str, secret: str) -> Iterator[Hosted]:
    """Serve a folder's folders as S3 buckets, with rclone."""
    port = _free_port(host)
    argv = [str(program("rclone")), "serve", "s3", "--addr", f"{host}:{port}", str(folder)]
    # the key pair goes in by the environment: a command line can be seen by everybody
    env = {**real.environ, "RCLONE_AUTH_KEY": f'"{key},{secret}"', "RCLONE_CONFIG": "/dev/null"}
    with _running(argv, host, port, env) as running:
        yield running
