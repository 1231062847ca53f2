"""Servers of a model on loopback that misbehave as a test says, byte by byte."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import requests

from sites import Connection, Session

OK = b'{"object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}]}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
DOORS = [
    "/api/chat/completions",
    "/openai/chat/completions",
    "/openai/responses",
    "/api/embeddings",
    "/openai/completions",
]
# of a connection whose models the admin typed in: it is not asked for them
LISTED = {"model_ids": ["listed"]}

Answer = Callable[[socket.socket], None]


def says(data: bytes) -> Answer:
    """Return an answer that is these bytes; the connection is closed after it."""
    return lambda connection: connection.sendall(data)


def status(code: int) -> Answer:
    """Return an answer of a status, without words."""
    return says(b"HTTP/1.1 %d Status\r\nContent-Length: 0\r\n\r\n" % code)


def resets(connection: socket.socket) -> None:
    """End a connection as a process that is killed does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def silent(connection: socket.socket) -> None:
    connection.settimeout(30)
    connection.recv(1)


def after(seconds: float, answer: Answer) -> Answer:
    def late(connection: socket.socket) -> None:
        time.sleep(seconds)
        answer(connection)

    return late


ANSWERS, HANGS_UP = says(HEAD % len(OK) + OK), says(b"")


class Server:
    """A server that gives each request to a model the next answer, the last one for ever.

    Attributes:
        url: its base URL.
        requests: the requests to a model, as they came.
    """

    def __init__(self, listener: socket.socket, answers: list[Answer], models: Answer) -> None:
        self._listener, self._answers, self._models = listener, answers, models
        self.requests: list[bytes] = []
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def connection(self) -> Connection:
        return self.url, LISTED

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            text = b""
            while b"\r\n\r\n" not in text or len(text.partition(b"\r\n\r\n")[2]) < _length(text):
                part = connection.recv(65536)
                if not part:
                    return
                text += part
            if text.startswith(b"GET"):
                self._models(connection)
                return
            self.requests.append(text)
            self._answers[min(len(self.requests), len(self._answers)) - 1](connection)


def _length(text: bytes) -> int:
    head = text.lower().partition(b"\r\n\r\n")[0]
    return int(head.partition(b"content-length:")[2].split()[0]) if b"content-length:" in head else 0


def models(*names: str) -> Answer:
    """Return the answer of a list of models."""
    body = json.dumps({"data": [{"id": name} for name in names]}).encode()
    return says(HEAD % len(body) + body)


_used: set[int] = set()


def _unused_port() -> int:
    """Return a free port that no server had before: who was not well there would be remembered for 10 s."""
    while True:
        with closing(socket.create_server(("127.0.0.1", 0))) as listener:
            port: int = listener.getsockname()[1]
        if port not in _used:
            _used.add(port)
            return port


@contextmanager
def server(*answers: Answer, port: int = 0, lists: Answer | None = None) -> Iterator[Server]:
    """Run a server.

    Args:
        answers: to requests to a model, in order.
        port: its port; 0 for a free one.
        lists: the answer to each request for its models; without one, `listed`.
    """
    with closing(socket.create_server(("127.0.0.1", port or _unused_port()))) as listener:
        yield Server(listener, list(answers), lists or models("listed"))
        listener.shutdown(socket.SHUT_RDWR)  # or the thread in accept() takes one more


def say(site: Session, door: str = DOORS[0], **options: Any) -> requests.Response:
    """Say something to the model `listed` through a door; `options` are of the request."""
    form = {"model": "listed", "messages": [{"role": "user", "content": "hi"}], "input": "hi", "stream": False}
    return site.call("POST", door, json={**form, **options})


def connect(site: Session, *servers: Server) -> None:
    """Have servers for connections, and the list made."""
    site.connect([server.connection for server in servers])
    site.models()
