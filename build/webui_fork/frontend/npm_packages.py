"""Which npm packages are in the release's built front end, read off its source maps. Pure.

A bundle has no package.json. Its source map names the files that went in, by their paths in node_modules, and the
release's package-lock.json has the version, the licence and the digest of what was there.
Sources: ECMA-426 (source maps); npm's package-lock.json, lockfileVersion 2 and 3.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable
from typing import Any

from webui_fork.core.errors import ArchiveError
from webui_fork.rootfs.package import Package

_FOLDER = re.compile(r"node_modules/(?:@[^/]+/)?[^/@?]+")  # one package can be in another's node_modules
_NAME = re.compile(r"(?:@[a-z0-9~-][a-z0-9~._-]*/)?[A-Za-z0-9~-][A-Za-z0-9~._-]*")
_SHA512 = re.compile(r"(?:^| )sha512-([A-Za-z0-9+/]{86}==)(?:$| |\?)")


def bundled(maps: Iterable[tuple[str, bytes]], lock: bytes | None, place: str) -> tuple[Package, ...]:
    """Return the npm packages whose code is in a built front end, in a fixed order.

    What has no map (style sheets, WebAssembly, fonts) is not seen.

    Args:
        maps: its source maps, each with a name for messages.
        lock: the release's `package-lock.json`; None where it has none, and versions are unknown.
        place: where the front end is in the image.

    Raises:
        ArchiveError: a map or the lock is malformed.
    """
    folders = sorted({folder for name, data in maps for folder in _folders(name, data) if _is_package(folder)})
    rows = _packages(lock) if lock is not None else {}
    return tuple(_package(folder, rows.get(folder, {}), place) for folder in folders)


def _folders(name: str, source_map: bytes) -> Iterable[str]:
    """Yield the folders below node_modules that a source map names."""
    sources = _document(name, source_map).get("sources", [])
    if not isinstance(sources, list):
        raise ArchiveError(f"{name} of the release is not a source map.", why="Its `sources` are not a list.")
    for source in sources:
        if isinstance(source, str) and (parts := _FOLDER.findall(source)):
            yield "/".join(parts)


def _is_package(folder: str) -> bool:
    """Tell whether npm puts a package at a path: `.vite` is a bundler's own, and an odd name is nobody's."""
    return all(_NAME.fullmatch(name.strip("/")) for name in folder.split("node_modules/")[1:])


def _packages(lock: bytes) -> dict[str, dict[str, Any]]:
    rows = _document("package-lock.json", lock).get("packages")
    if not isinstance(rows, dict):
        raise ArchiveError("The release's package-lock.json has no `packages`: it is older than npm 7, or damaged.")
    return {folder: row for folder, row in rows.items() if isinstance(row, dict)}


def _document(name: str, data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"{name} of the release is not JSON.", why=str(error)) from error
    if not isinstance(value, dict):
        raise ArchiveError(f"{name} of the release is not a JSON object.")
    return value


def _package(folder: str, row: dict[str, Any], place: str) -> Package:
    """Return a package as the lock has it; an alias has its name there, else the folder's is it."""
    name = row.get("name") or folder.rpartition("node_modules/")[2]
    version, licence, integrity = row.get("version", ""), row.get("license"), row.get("integrity", "")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(version, str):
        raise ArchiveError(f"The release's package-lock.json is malformed at {folder!r}.")
    return Package(
        "npm",
        name,
        version,
        (licence,) if isinstance(licence, str) and licence else (),
        paths=(place.strip("/"),),
        sha512=_sha512(integrity) if isinstance(integrity, str) else "",
    )


def _sha512(integrity: str) -> str:
    """Return the bare digest of a Subresource Integrity string, or "" where it has none."""
    match = _SHA512.search(integrity)
    try:
        return base64.b64decode(match.group(1), validate=True).hex() if match else ""
    except binascii.Error:
        return ""
