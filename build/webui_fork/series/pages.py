"""A page of the documentation per patch, made from its header. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from webui_fork.core.text import inert
from webui_fork.series.patch import Patch, hook_lines

INDEX = "patches/index.md"
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&*+,;=%-]+")
_FORWARDED = {"no": "not sent to upstream yet", "not-needed": "of no use to upstream", "yes": "sent to upstream"}


def page(patch: Patch, hooks: int, blob: str) -> str:
    """Return a patch's page as Markdown: why, what, proof, status upstream.

    Args:
        hooks: lines of upstream's own files that it changes. blob: the URL below which the repository's files are.
    """
    first, _, why = patch.field("Description").partition("\n")
    added = sum(file.added for file in patch.files)
    rows = [
        f"- <code>{html.escape(file.path)}</code>: "
        + (f"new, {file.added} lines" if file.is_added_file else f"+{file.added} −{file.removed}")
        for file in patch.files
    ]
    forwarded, bug = patch.field("Forwarded"), patch.field("Bug")
    return "\n".join(
        [
            f"# {html.escape(patch.subject, quote=False)}",
            "",
            f"{inert(first)}.",
            "",
            "## Why",
            "",
            inert(why),
            "",
            "## What",
            "",
            *rows,
            "",
            f"{added} lines are added; {hooks} lines of upstream's own are changed or removed: places where a later"
            " release may conflict.",
            "",
            "## Proof",
            "",
            f"[{patch.field('Proof')}]({blob}/{patch.field('Proof')}) fails on the series up to this patch, and passes"
            " with it, at every run of `nox -s tests`.",
            "",
            "## Status upstream",
            "",
            f"- Forwarded: {_FORWARDED.get(forwarded, forwarded)}",
            f"- Bug: {f'<{bug}>' if _URL.fullmatch(bug) else 'none reported'}",
            f"- Applies to: Open WebUI {patch.field('Applies-To')}",
            f"- [The patch itself]({blob}/patches/{patch.name})",
            "",
        ]
    )


def overview(patches: Sequence[Patch]) -> str:
    """Return the page that lists the series, in order."""
    rows = [
        f"| [{html.escape(patch.subject, quote=False)}]({patch.name.removesuffix('.patch')}.md) "
        f"| {html.escape(patch.field('Description').partition(chr(10))[0].strip(), quote=False)} |"
        for patch in patches
    ]
    lines = ["# The series", "", "In the order in which they apply to the release.", "", "| patch | for |", "|---|---|"]
    return "\n".join([*lines, *rows, ""])


def pages(patches: Sequence[Patch], blob: str) -> dict[str, str]:
    """Return the pages of a series by their path below docs/."""
    hooks = hook_lines(patches)
    by_path = {
        f"patches/{patch.name.removesuffix('.patch')}.md": page(patch, hooks[patch.name], blob) for patch in patches
    }
    return {INDEX: overview(patches), **by_path}
