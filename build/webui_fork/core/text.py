"""Results as text, and what of a URL may be shown. Pure: values in, lines out."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

# @somebody, a tag, an entity, #1, an address, the end of a link's text, GH-1
_MEANS = re.compile(
    r"@|<(?=[a-zA-Z/!?])|&(?=[#a-zA-Z])|#(?=[0-9])|:(?=//)|\](?=[(\[])|(?<=\bGH)-|(?<=\bwww)\.", re.IGNORECASE
)


def human_size(size: float) -> str:
    """Return a size in bytes as people read it, in powers of 1000."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def printable(text: str) -> str:
    """Return somebody else's text without what a terminal would obey: control and escape characters."""
    return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text)


def inert(text: str) -> str:
    """Return somebody else's text as one line of Markdown: no tag, mention, reference, link, and no table's column.

    A zero-width space takes the meaning away, inside of code and outside, as Renovate does it in pull requests. What
    is left is emphasis and code.
    """
    line = " ".join(printable(text).split())
    return _MEANS.sub("\\g<0>\u200b", line).replace("|", "\\|")


def fenced(text: str, language: str) -> list[str]:
    """Return the lines of a block of code in Markdown, which nothing in it can end.

    Args:
        text: what it shows. language: as `diff`.
    """
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", text, fence]


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """Return rows as aligned columns, which a terminal only shows, whoever wrote a cell."""
    lines = [tuple(map(printable, row)) for row in rows]
    if not lines:
        return ""
    widths = [max(len(row[i]) for row in lines if i < len(row)) for i in range(max(map(len, lines)))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in lines
    )


def is_private(host: str) -> bool:
    """Tell whether a host is on this machine or network, by its address or by how it is named."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return "." not in host or host.lower().endswith((".local", ".localhost", ".internal", ".home.arpa"))
    return address.is_private or address.is_loopback or address.is_link_local


def is_loopback(host: str) -> bool:
    """Tell whether a URL's host (without a port) is the machine or container itself that asks."""
    return host in ("localhost", "127.0.0.1", "::1", "0.0.0.0")  # noqa: S104 - compared, not bound


def without_secrets(url: str) -> str:
    """Return a URL, or what should be one, without user name, password and query."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        scheme, rest = "", url
    return f"{scheme}{mark}{rest.rpartition('@')[2].partition('?')[0].partition('#')[0]}"


_TELLING = 8  # characters of a secret, from anywhere in it: fewer say nothing


def without_parts(text: str, secrets: Sequence[str]) -> str:
    """Return a text without any of these secrets, whole or in part, whatever the case of their letters."""
    for secret in secrets:
        length = min(len(secret), _TELLING)
        parts = {secret[at : at + length].casefold() for at in range(len(secret) - length + 1)}
        hits = [at for at in range(len(text)) if text[at : at + length].casefold() in parts]
        for end, start in reversed(_spans(hits, length)):
            text = f"{text[:start]}***{text[end:]}"
    return text


def _spans(hits: Sequence[int], length: int) -> list[tuple[int, int]]:
    """Return end and start of what so many characters from each of some places cover, in order."""
    spans: list[tuple[int, int]] = []
    for at in hits:
        start = spans.pop()[1] if spans and at <= spans[-1][0] else at
        spans.append((at + length, start))
    return spans


def port_of(url: str) -> int | None:
    """Return a URL's port, or None where it names none (or none that can be)."""
    try:
        return urlsplit(url.strip()).port
    except ValueError:
        return None


def without_credentials(text: str) -> str:
    """Return text without user names, passwords, queries and fragments of the URLs in it."""
    text = re.sub(r"(?<=://)[^/\s\"']*@", "", text)
    return re.sub(r"[^\s\"']+", lambda word: _without_query(word.group()), text)


def _without_query(word: str) -> str:
    """Return a word up to what a URL in it ends its path with."""
    path = word.find("/")
    ends = [at for sign in "?#" if path >= 0 and (at := word.find(sign, path)) > 0]
    return f"{word[: min(ends)]}?…" if ends else word


def redact_text(text: str, url: str) -> str:
    """Take the credentials and the query of a URL out of a library's error text."""
    parts = urlsplit(url)
    for secret, shown in ((parts.netloc.rpartition("@")[0], ""), (parts.query, "…")):
        if secret:
            text = text.replace(secret, shown)
    return text


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as `1 file` and `2 files`.

    Args:
        number: how many.
        noun: its singular.
    """
    endings = (("ty", noun[:-1] + "ies"), ("ch", noun + "es"), ("", noun + "s"))
    return f"{number} {noun if number == 1 else next(plural for end, plural in endings if noun.endswith(end))}"
