"""An OSV server on loopback, that answers as the public one documents; that one was never asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

import msgspec

from helpers import Server, reply
from webui_fork.publish import vex


def serve(server: Server, vulnerable: Mapping[tuple[str, str], list[str]]) -> None:
    """Have a server know the vulnerabilities of packages, by name and version; all of them are fixed in 9."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "GET":
            number = handler.path.rpartition("/")[2]
            name = next(name for (name, _), ids in vulnerable.items() if number in ids)
            spans = [{"events": [{"introduced": "0"}, {"fixed": "9"}]}]
            row = {"id": number, "affected": [{"package": {"name": name}, "ranges": spans}]}
            reply(handler, 200, json.dumps(row).encode())
            return
        queries = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))["queries"]
        rows = [vulnerable.get((query["package"]["name"], query["version"]), []) for query in queries]
        results = [{"vulns": [{"id": number} for number in ids]} for ids in rows]
        reply(handler, 200, json.dumps({"results": results}).encode())

    server.answer = answer


def judgement(purl: str, *, name: str = "PYSEC-1", status: str = "not_affected", **words: str) -> dict[str, Any]:
    """Return a statement of OpenVEX about a package."""
    reason = {} if words or status != "not_affected" else {"justification": "vulnerable_code_not_present"}
    return {"vulnerability": {"name": name}, "products": [{"@id": purl}], "status": status, **reason, **words}


def judgements(*statements: dict[str, Any]) -> dict[str, Any]:
    """Return a document of OpenVEX."""
    head = {"@context": vex.CONTEXT, "@id": "https://example.org/vex", "author": "me", "version": 1}
    return {**head, "timestamp": "2026-11-28T00:00:00Z", "statements": list(statements)}


def document(*statements: dict[str, Any]) -> vex.Document:
    """Return a document of OpenVEX as it is read."""
    return msgspec.convert(judgements(*statements), vex.Document)
