"""What Open WebUI's licence (clause 4) forbids to alter, as path and line patterns. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

_NAMES = re.compile(
    r"(licen[cs]e|copying|contributor_license|favicon|apple-touch-icon|web-app-manifest).*"
    r"|(logo|splash|banner)([-_.].*)?"
    r"|.*\.webmanifest|manifest\.json|opensearch\.xml|custom\.css|loader\.js",
    re.IGNORECASE,
)
_LINES = re.compile(r"LICENSE covers|\bWEBUI_NAME\b|\bAPP_NAME\b|\bWEBUI_FAVICON_URL\b|\(Open WebUI\)")
LICENSES = ("LICENSE", "LICENSE_HISTORY", "LICENSE_NOTICE")
# variables that rename the product or put other assets in place of its own
_VARIABLES = ("WEBUI_NAME", "CUSTOM_NAME", "WEBUI_FAVICON_URL", "STATIC_DIR", "FRONTEND_BUILD_DIR")
_MARK = "LICENSE covers"
_REGION = 12  # lines: the longest marked statement has fewer


def protected_path(path: str) -> bool:
    """Tell whether a path is a licence text or a brand asset."""
    return any(_NAMES.fullmatch(part) for part in PurePosixPath(path).parts[-1:]) or "/licenses/" in f"/{path}"


def protected_line(line: str) -> bool:
    """Tell whether a source line is one that upstream marks, or that sets the product's name."""
    return bool(_LINES.search(line))


def regions(text: str) -> tuple[str, ...]:
    """Return what upstream marks as covered by its licence: each mark with the lines up to the next blank one."""
    lines = text.splitlines()
    ranges = []
    for start, line in enumerate(lines):
        if _MARK in line:
            end = next((i for i in range(start, len(lines)) if not lines[i].strip()), len(lines))
            ranges.append("\n".join(lines[start : min(end, start + _REGION)]))
    return tuple(ranges)


def text_problem(path: str, before: str, after: str) -> str:
    """Return what a changed source file alters that the licence protects, "" where that is nothing."""
    if regions(before) != regions(after):
        return f"{path}: lines that upstream marks `{_MARK} …` are not the release's"
    protected = [[line for line in text.splitlines() if protected_line(line)] for text in (before, after)]
    if protected[0] != protected[1]:
        return f"{path}: lines about the product's name or logo are not the release's"
    return ""


def image_problems(
    paths: Iterable[str],
    place: Callable[[str], str | None],
    roots: Iterable[str],
    own: Iterable[str],
    variables: Iterable[str],
) -> tuple[str, ...]:
    """Return how an image's description would alter, hide or cover what the licence protects.

    Args:
        paths: of the release. place: where a path stands in the image (None: it does not).
        roots: the parts of the release that go into the image. own: where our own files go. variables: those it sets.
    """
    problems = [f"it sets {name}, which changes name or logo" for name in variables if name in _VARIABLES]
    problems += [f"its own file {path} is in the place of a brand asset" for path in own if protected_path(path)]
    tops = tuple(root.rstrip("/") for root in roots)
    for path in paths:
        inside = any(path == top or path.startswith(top + "/") for top in tops)
        if place(path) is None and (path in LICENSES or (inside and protected_path(path))):
            problems.append(f"it leaves out {path}")
    return tuple(problems)
