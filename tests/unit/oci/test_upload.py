from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from helpers import Server, reply
from webui_fork.core.errors import RegistryError
from webui_fork.core.files import sha256_bytes
from webui_fork.oci.content import FileContent
from webui_fork.oci.session import RegistrySession
from webui_fork.oci.upload import LargeUpload

DATA = bytes(range(256)) * 4096
DIGEST = sha256_bytes(DATA)
PLACE = "/v2/x/blobs/uploads/1"


class Uploads:
    """The uploads of a registry. ``breaks``: how many streams break off, each after ``after`` bytes."""

    def __init__(self, breaks: int = 0, after: int = 0):
        self.breaks, self.after, self.data, self.ended = breaks, after, b"", False
        self.override: Callable[[BaseHTTPRequestHandler], bool] = lambda handler: False

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        if self.override(handler):
            return
        if handler.command == "POST":
            self.data = b""
            reply(handler, 202, Location=PLACE)
        elif handler.command == "GET":
            reply(handler, 204, Range=f"0-{max(len(self.data) - 1, 0)}", Location=PLACE)
        elif handler.command == "PATCH":
            begin = int((handler.headers.get("Content-Range") or "0-").split("-")[0])
            if begin != len(self.data):
                handler.rfile.read(length)
                reply(handler, 416)
            elif self.breaks:
                self.breaks -= 1
                self.data += handler.rfile.read(min(self.after, length))
                handler.close_connection = True
                handler.connection.close()
            else:
                self.data += handler.rfile.read(length)
                reply(handler, 202, Location=PLACE)
        elif handler.command == "PUT":
            self.ended = True
            assert handler.path.endswith(f"?digest={DIGEST}")
            reply(handler, 201)
        else:
            reply(handler, 200 if self.ended else 404)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "blob"
    path.write_bytes(DATA)
    return path


def send(server: Server, uploads: Uploads, file: Path) -> list[int]:
    """Send DATA; return what was told of its progress."""
    told: list[int] = []
    server.answer = uploads
    session = RegistrySession(server.url, "x", pause=0)
    try:
        LargeUpload(session, DIGEST, FileContent(file), told.append).send()
    finally:
        session.close()
    return told


@pytest.mark.parametrize(("breaks", "after"), [(0, 0), (1, 0), (1, 1), (1, 100_000), (2, 300_000)])
def test_a_stream_that_breaks_goes_on_where_it_stopped(server: Server, breaks: int, after: int, file: Path) -> None:
    uploads = Uploads(breaks, after)
    told = send(server, uploads, file)
    assert uploads.data == DATA
    assert sum(told) == len(DATA)
    # a single byte and none are the same range: then all of it is sent again
    assert [command for command, _, _ in server.requests].count("POST") == (2 if after == 1 else 1)


def test_an_upload_that_the_registry_forgot_starts_anew(server: Server, file: Path) -> None:
    uploads = Uploads(1, 1000)
    forgot = 0

    def once(handler: BaseHTTPRequestHandler) -> bool:
        nonlocal forgot
        if handler.command == "GET" and not forgot:
            forgot = 1
            reply(handler, 404)
            return True
        return False

    uploads.override = once
    told = send(server, uploads, file)
    assert uploads.data == DATA
    assert sum(told) == len(DATA)
    assert [command for command, _, _ in server.requests].count("POST") == 2


def test_an_upload_whose_last_answer_was_lost_is_not_sent_again(server: Server, file: Path) -> None:
    uploads = Uploads()
    lost = 0

    def once(handler: BaseHTTPRequestHandler) -> bool:
        nonlocal lost
        if handler.command == "PUT" and not lost:
            lost, uploads.ended = 1, True
            handler.close_connection = True
            handler.connection.close()
            return True
        if handler.command == "GET":
            reply(handler, 404)
            return True
        return False

    uploads.override = once
    send(server, uploads, file)
    assert [command for command, _, _ in server.requests].count("PATCH") == 1


def test_a_registry_that_counts_more_than_there_is_gets_all_of_it_again(server: Server, file: Path) -> None:
    uploads = Uploads(1, 1000)

    def more(handler: BaseHTTPRequestHandler) -> bool:
        if handler.command == "GET":
            reply(handler, 204, Range=f"0-{len(DATA) + 5}")
            return True
        return False

    uploads.override = more
    send(server, uploads, file)
    assert uploads.data == DATA


def test_a_registry_that_keeps_breaking_off_is_an_error(server: Server, file: Path) -> None:
    with pytest.raises(RegistryError, match="failed to accept the blob"):
        send(server, Uploads(100, 10), file)
