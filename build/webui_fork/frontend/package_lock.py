"""What npm may install: every package of a `package-lock.json` by its digest, from a registry. Pure.

npm checks the digest of what has one, and takes the rest as it comes.
Source: npm's package-lock.json, lockfileVersion 2 and 3.
"""

from __future__ import annotations

import json
import re
from typing import Any

from webui_fork.core.errors import SourceError

_INTEGRITY = re.compile(r"sha512-[A-Za-z0-9+/]{86}==")
_ARCHIVE = re.compile(r"https://[^\s?#]+\.tgz")
_REMEDY = "Nothing was installed. A person must review the package-lock.json of this release."


def check(data: bytes) -> tuple[str, ...]:
    """Check that each package comes from a registry and has a digest that npm holds it against.

    Args:
        data: the release's `package-lock.json`.

    Returns:
        The packages, by folder, that would run code of theirs when they are installed; none of it is run.

    Raises:
        SourceError: it is malformed, or a package has no digest, or comes from elsewhere.
    """
    rows = _packages(data)
    refused = [why for folder, row in rows.items() if folder and (why := _problem(folder, row))]
    if refused:
        more = f"\n… and {len(refused) - 8} more" if len(refused) > 8 else ""
        raise SourceError(
            "The release's package-lock.json does not pin every package that it names.",
            why="\n".join(refused[:8]) + more,
            remedy=_REMEDY,
        )
    return tuple(sorted(folder for folder, row in rows.items() if row.get("hasInstallScript")))


def _packages(data: bytes) -> dict[str, dict[str, Any]]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SourceError("The release's package-lock.json is not JSON.", why=str(error), remedy=_REMEDY) from None
    rows = document.get("packages") if isinstance(document, dict) else None
    if not isinstance(rows, dict) or document.get("lockfileVersion") not in (2, 3):
        raise SourceError(
            "The release's package-lock.json is not of version 2 or 3, or lists no packages.", remedy=_REMEDY
        )
    for folder, row in rows.items():
        if not isinstance(row, dict):
            raise SourceError(f"The release's package-lock.json is malformed at {folder!r}.", remedy=_REMEDY)
    return rows


def _problem(folder: str, row: dict[str, Any]) -> str:
    """Return what is wrong with a package, "" where it is nothing."""
    if not folder.startswith("node_modules/") or ".." in folder.split("/") or row.get("link"):
        return f"{folder}: is not below node_modules"
    if row.get("hasShrinkwrap"):
        return f"{folder}: brings a lock of its own"
    resolved, integrity = row.get("resolved"), row.get("integrity")
    if not isinstance(resolved, str) or not _ARCHIVE.fullmatch(resolved):
        return f"{folder}: comes from {resolved!r}, which is not an archive of a registry"
    if not isinstance(integrity, str) or not _INTEGRITY.fullmatch(integrity):
        return f"{folder}: has no sha512"
    return ""
