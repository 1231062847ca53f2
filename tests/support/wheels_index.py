"""A package index on loopback, with wheels that were uploaded when a test says."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from datetime import datetime
from http.server import BaseHTTPRequestHandler

from helpers import Server, reply

Uploads = Mapping[tuple[str, str], datetime]  # of each distribution and version


def _wheel(name: str, version: str) -> bytes:
    out = io.BytesIO()
    stem = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"{name}.py"), "")
        archive.writestr(
            zipfile.ZipInfo(f"{stem}/METADATA"), f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        archive.writestr(
            zipfile.ZipInfo(f"{stem}/WHEEL"), "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(zipfile.ZipInfo(f"{stem}/RECORD"), "")
    return out.getvalue()


def serve(server: Server, uploads: Uploads) -> str:
    """Have a server be the index; return its URL. Source: PEP 691, PEP 700."""
    files = {f"{name}-{version}-py3-none-any.whl": _wheel(name, version) for name, version in uploads}

    def answer(handler: BaseHTTPRequestHandler) -> None:
        place = handler.path.strip("/").split("/")
        if place[0] == "files" and place[1] in files:
            reply(handler, 200, files[place[1]])
            return
        rows = [
            {
                "filename": f"{name}-{version}-py3-none-any.whl",
                "url": f"/files/{name}-{version}-py3-none-any.whl",
                "hashes": {"sha256": hashlib.sha256(files[f"{name}-{version}-py3-none-any.whl"]).hexdigest()},
                "upload-time": time.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            }
            for (name, version), time in uploads.items()
            if name == place[-1]
        ]
        page = {"meta": {"api-version": "1.1"}, "name": place[-1], "files": rows}
        kind = "application/vnd.pypi.simple.v1+json"
        reply(handler, 200 if rows else 404, json.dumps(page).encode(), Content_Type=kind)

    server.answer = answer
    return f"{server.url}/simple"
