"""Stock tells a Docling server the whole path under which it keeps a document."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from processes import Site

ENV = {"CONTENT_EXTRACTION_ENGINE": "docling", "BYPASS_EMBEDDING_AND_RETRIEVAL": "true"}


class _Docling(BaseHTTPRequestHandler):
    names: list[str] = []  # noqa: RUF012 - one server a test

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.names += re.findall(r'filename="([^"]*)"', body.decode("latin-1"))
        answer = json.dumps({"status": "success", "document": {"md_content": "What Docling read."}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def docling() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Docling) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_docling_learns_the_name_alone(webui: Site, docling: str) -> None:
    form = {"CONTENT_EXTRACTION_ENGINE": "docling", "DOCLING_SERVER_URL": docling}
    webui.call("POST", "/api/v1/retrieval/config/update", json=form).raise_for_status()
    document = {"file": ("plan.pdf", b"%PDF-1.4\n%%EOF\n", "application/pdf")}
    sent = webui.call("POST", "/api/v1/files/?process_in_background=false", files=document)
    assert sent.status_code == 200, sent.text
    (name,) = _Docling.names
    assert "/" not in name
    assert name.endswith("plan.pdf")
    assert "What Docling read." in webui.call("GET", f"/api/v1/files/{sent.json()['id']}/data/content").text
