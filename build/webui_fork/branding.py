"""What Open WebUI's licence (clause 4) forbids to alter, as path and line patterns. Pure."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_NAMES = re.compile(
    r"(licen[cs]e|copying|contributor_license|favicon|apple-touch-icon|web-app-manifest).*"
    r"|(logo|splash|banner)([-_.].*)?"
    r"|.*\.webmanifest|manifest\.json|opensearch\.xml|custom\.css|loader\.js",
    re.IGNORECASE,
)
_LINES = re.compile(r"LICENSE covers|\bWEBUI_NAME\b|\bWEBUI_FAVICON_URL\b|\(Open WebUI\)")


def protected_path(path: str) -> bool:
    """Tell whether a path is a licence text or a brand asset."""
    return any(_NAMES.fullmatch(part) for part in PurePosixPath(path).parts[-1:]) or "/licenses/" in f"/{path}"


def protected_line(line: str) -> bool:
    """Tell whether a source line is one that upstream marks, or that sets the product's name."""
    return bool(_LINES.search(line))
