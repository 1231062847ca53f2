"""Things several tests build: a talkative terminal, a faulty HTTP server, tiny releases."""

from __future__ import annotations

import gzip
import io
import os
import signal
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packageurl import PackageURL

from webui_fork.core import git
from webui_fork.core.git import Repo
from webui_fork.core.terminal import Terminal
from webui_fork.oci import layout
from webui_fork.oci.model import Image


class Talk(Terminal):
    """A terminal that keeps its lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """An HTTP server on loopback whose answers a test gives; ``requests`` has what was asked."""

    def __init__(self) -> None:
        self.answer: Answer = lambda handler: reply(handler, 404)
        self.requests: list[tuple[str, str, Mapping[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (ConnectionError, TimeoutError):
                    self.close_connection = True

            def _any(self) -> None:
                outer.requests.append((self.command, self.path, dict(self.headers)))
                outer.answer(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _any  # noqa: N815

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Server:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def reply(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes = b"",
    *,
    length: int | None = None,
    **headers: str,
) -> None:
    """Answer a request; with ``length`` longer than the body, hang up in the middle."""
    handler.send_response(status)
    for key, value in headers.items():
        handler.send_header(key.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)
    if length is not None and length != len(body):
        hang_up(handler)


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """Drop the connection."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def file_server(files: Mapping[str, bytes]) -> Answer:
    """Answer GET with files by path, and understand ranges."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        data = files.get(handler.path)
        if data is None:
            reply(handler, 404)
        elif start := handler.headers.get("Range", "").removeprefix("bytes=").rstrip("-"):
            reply(handler, 206, data[int(start) :])
        else:
            reply(handler, 200, data)

    return answer


def sdist(path: Path, files: Mapping[str, bytes], top: str = "open_webui-1.2.3") -> Path:
    """Write a source distribution."""
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


RELEASE = {
    "LICENSE": b"terms\n",
    "backend/open_webui/env.py": b"WEBUI_NAME = 'Open WebUI'\nTIMEOUT = 10\n",
    "backend/open_webui/utils/models.py": b"".join(b"line_%d = %d\n" % (i, i) for i in range(40)),
    "src/app.html": b"<html></html>\n",
}


def interrupted(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> None:
    """Have Ctrl-C come when a function is called."""
    real = getattr(module, name)

    def then(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return real(*arguments)

    monkeypatch.setattr(module, name, then)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it


def release_repo(folder: Path, files: Mapping[str, bytes] | None = None) -> tuple[Repo, str]:
    """Make a bare repository with one commit that stands for a release."""
    from webui_fork.sources import archive, release

    repo = git.bare(folder / "source.git", os.environ)
    members = [archive.Member(path, data) for path, data in sorted((files or RELEASE).items())]
    commit = release._import(repo, members, "refs/releases/1.2.3/x", "Open WebUI 1.2.3\n", 1_700_000_000)
    return repo, commit


def purls(document: Mapping[str, Any]) -> frozenset[tuple[str, str, str]]:
    """Return what an SBOM names, as (type, name, version), to hold it against another scanner's words."""
    parsed = [PackageURL.from_string(row["purl"]) for row in document["components"] if row.get("purl")]
    return frozenset((p.type, "/".join(filter(None, (p.namespace, p.name))), str(p.version)) for p in parsed)


def members(image: Image, cache: Path) -> Iterator[tuple[str, tarfile.TarInfo, bytes]]:
    """Yield every member of every layer: the layer's name, what it is, its content."""

    for item in image.layers:
        with (
            gzip.open(layout.blob_path(cache, item.layer.digest)) as plain,
            tarfile.open(fileobj=plain, mode="r|") as tar,
        ):
            for info in tar:
                file = tar.extractfile(info) if info.isreg() else None
                yield item.name, info, file.read() if file else b""


HEADER = """\
Description: Why it is there
 in two lines.
Origin: vendor
Forwarded: no
Bug: none
Applies-To: >=1.2
Proof: tests/proofs/test_x.py"""


def make_patch(
    repo: Repo, parent: str, changes: Mapping[str, bytes | None], subject: str = "Do a thing", body: str = HEADER
) -> tuple[bytes, str]:
    """Commit changes on a parent and return the exported patch and the commit."""
    import tempfile

    from webui_fork.series import apply

    with tempfile.TemporaryDirectory() as folder:
        env = {
            "GIT_INDEX_FILE": f"{folder}/index",
            "GIT_AUTHOR_NAME": "An Author",
            "GIT_AUTHOR_EMAIL": "a@fork.invalid",
            "GIT_AUTHOR_DATE": "1700000100 +0000",
            **apply.COMMITTER,
        }
        repo.git.read_tree(parent, env=env)
        for number, (path, data) in enumerate(changes.items()):
            if data is None:
                gone = Path(folder) / "gone"
                gone.write_text(f"0 {'0' * 40}\t{path}\n")
                with gone.open("rb") as rows:
                    repo.git.update_index("--index-info", istream=rows, env=env)
                continue
            blob = Path(folder) / str(number)
            blob.write_bytes(data)
            name = repo.git.hash_object("-w", "--no-filters", str(blob))
            repo.git.update_index("--add", "--cacheinfo", f"100644,{name},{path}", env=env)
        tree = repo.git.write_tree(env=env)
        commit = str(repo.git.commit_tree(tree, "-p", parent, "-m", subject, "-m", body, env=env))
    return apply.export(repo, commit), commit
