"""Servers on loopback that a test makes misbehave: a Redis behind a line that is slow or cut, a bad certificate."""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

import tools
from processes import free_port
from webui_fork.core import process, settings
from webui_fork.core.terminal import Terminal


class Line:
    """A TCP line to a port, which holds up what a test says, or is cut."""

    def __init__(self, port: int) -> None:
        self.held: dict[bytes, float] = {}
        self._to, self._port = port, free_port()
        self._open: list[socket.socket] = []
        self._server: socket.socket | None = None
        self.allow()

    @property
    def host(self) -> str:
        """Where it begins: address and port."""
        return f"127.0.0.1:{self._port}"

    def hold(self, word: str, seconds: float) -> None:
        """Hold up each message of a client that has a word in it, and only those."""
        self.held = {word.encode(): seconds}

    def refuse(self) -> None:
        """Cut it: what is open ends, and nobody gets in."""
        server, self._server = self._server, None
        for one in (server, *self._open):
            if one:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        self._open.clear()

    def allow(self) -> None:
        """Let clients in again."""
        self._server = socket.create_server(("127.0.0.1", self._port), reuse_port=True)
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def _accept(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._open += [client, far]
                threading.Thread(target=self._pump, args=(client, far, True), daemon=True).start()
                threading.Thread(target=self._pump, args=(far, client, False), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, asks: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if asks:
                    time.sleep(max((seconds for word, seconds in self.held.items() if word in data), default=0))
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)


@contextmanager
def _redis_server(*options: str) -> Iterator[int]:
    """Run a real Redis that keeps nothing; yields its port."""
    program, port = tools.find(settings.load(), "redis-server", Terminal()), free_port()
    folder = tempfile.TemporaryDirectory()  # where a replica puts what it gets
    argv = [program, *options, "--bind", "127.0.0.1", "--port", port, "--dir", folder.name, "--daemonize", "no"]
    child = subprocess.Popen(process.bound(argv), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.stop(child, grace=2)
        folder.cleanup()


@contextmanager
def redis() -> Iterator[Line]:
    """Run a Redis behind a line."""
    with _redis_server("--save", "", "--repl-diskless-sync-delay", "0") as port:
        line = Line(port)
        yield line
        line.refuse()


@dataclass(frozen=True)
class Sentinel:
    """A Sentinel over two Redis, one of which is the master."""

    port: int

    def ask(self, *words: str, port: int = 0) -> str:
        """Send it, or the Redis of a port, a command."""
        request = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        with socket.create_connection(("127.0.0.1", port or self.port), timeout=5) as line:
            line.sendall(request.encode())
            return line.recv(1 << 16).decode()

    def _is_replicated(self, master: str) -> bool:
        """Tell whether the other one has what a master has."""
        info = self.ask("INFO", "replication", port=int(master.split("\r\n")[-2]))
        offset = info.partition("master_repl_offset:")[2].partition("\r\n")[0]
        return f"state=online,offset={offset}," in info

    def fail_over(self) -> None:
        """Have the other one become the master; returns when it is."""
        before = self.ask("SENTINEL", "get-master-addr-by-name", "mymaster")
        deadline = time.monotonic() + 60
        while not self._is_replicated(before):  # else the new master may not know whose token was revoked
            assert time.monotonic() < deadline
            time.sleep(0.05)
        while not self.ask("SENTINEL", "failover", "mymaster").startswith("+OK"):  # it does not know the other one yet
            assert time.monotonic() < deadline
            time.sleep(0.2)
        while self.ask("SENTINEL", "get-master-addr-by-name", "mymaster") == before:
            assert time.monotonic() < deadline
            time.sleep(0.1)


@contextmanager
def sentinel() -> Iterator[Sentinel]:
    """Run a Sentinel over two Redis."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        master = stack.enter_context(_redis_server("--save", "", "--repl-diskless-sync-delay", "0"))
        stack.enter_context(
            _redis_server("--save", "", "--repl-diskless-sync-delay", "0", "--replicaof", f"127.0.0.1 {master}")
        )
        config = Path(folder) / "sentinel.conf"
        config.write_text(
            f"sentinel monitor mymaster 127.0.0.1 {master} 1\n"
            "sentinel failover-timeout mymaster 2000\nsentinel down-after-milliseconds mymaster 1000\n"
        )
        yield Sentinel(stack.enter_context(_redis_server(str(config), "--sentinel")))


@contextmanager
def tls() -> Iterator[str]:
    """Serve nothing behind TLS, with a certificate that nobody knows the issuer of; yield address and port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients go away, as they should
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
