"""Download pinned files into the cache: resumable, bounded, checked by size and sha256."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from webui_fork.config.upstream_lock import MAX_FILE_SIZE
from webui_fork.core.digest import Digest
from webui_fork.core.errors import DigestError, SourceError, from_os_error
from webui_fork.core.files import ensure_folder, exclusive, sha256_file
from webui_fork.core.terminal import Advance, Terminal, ignore
from webui_fork.core.text import redact_text, without_secrets

if TYPE_CHECKING:
    import requests

TRIES = 3
TIMEOUT = (10.0, 60.0)
MAX_WAIT = 30.0
_CHUNK = 64 << 10  # a connection that drops loses at most this much
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


class NotFoundError(SourceError):
    """The server says it does not have the file (404 or 410)."""


class _TransientError(Exception):
    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to fetch: where, what to call it, its digest, its size in bytes if known, which no file may exceed."""

    url: str
    name: str
    digest: Digest
    size: int | None = None


def cached(cache: Path, digest: Digest) -> Path:
    """Return where a downloaded file is, or will be, in the cache."""
    return cache / "downloads" / digest.hex


def digest_of(text: object) -> Digest:
    """Return the digest of a file, as an index gives it: in hex.

    Raises:
        SourceError: it is none.
    """
    try:
        return Digest.of_hex(text)
    except ValueError:
        raise SourceError(
            f"{text!r} is not a sha256 (64 hexadecimal digits).",
            why="It was given as the digest of a file to download.",
            remedy="Use another index or mirror: this one is broken or hostile.",
        ) from None


def download(
    session: requests.Session, file: Wanted, cache: Path, ui: Terminal, *, pause: float = 1.0, quiet: bool = False
) -> Path:
    """Return the path of a file with the wanted digest, downloading what the cache lacks.

    An interrupted download goes on where it stopped. Passing faults (a dropped connection, 5xx,
    429) are retried: ``TRIES`` times in all, waiting ``pause`` seconds, then twice that, or what
    the server's Retry-After says, up to ``MAX_WAIT`` seconds.

    Raises:
        NotFoundError: the server does not have it.
        DigestError: the bytes are not the pinned ones; they are thrown away.
        SourceError: the server can't be reached or keeps failing.
        CacheError, DiskFullError: the cache can't be written.
    """
    target = cached(cache, file.digest)
    if target.exists() and (file.size is None or target.stat().st_size == file.size):
        return target
    ensure_folder(target.parent)
    part = target.with_name(target.name + ".part")
    with exclusive(cache / "locks" / file.digest.hex, f"the download of {file.name}", ui.say):
        if target.exists() and (file.size is None or target.stat().st_size == file.size):
            return target
        resumed = part.exists()
        _fill(session, file, part, ui, pause, quiet)
        if resumed and sha256_file(part) != file.digest:
            part.unlink()  # the old half may have been another file's: once more from the start
            _fill(session, file, part, ui, pause, quiet)
        digest = sha256_file(part)
        if digest != file.digest:
            part.unlink()
            raise DigestError(
                f"{file.name} is not the pinned file.",
                why=f"Pinned {file.digest}, downloaded {digest} from {without_secrets(file.url)}.",
                remedy="Do not use this mirror before you know why. If upstream's own file really changed, "
                "review it and run `nox -s lock`.",
            )
        part.replace(target)
    return target


def _fill(session: requests.Session, file: Wanted, part: Path, ui: Terminal, pause: float, quiet: bool) -> None:
    why = ""
    for attempt in range(TRIES):
        try:
            _attempt(session, file, part, ui, quiet)
            return
        except _TransientError as error:
            why = str(error)
            if attempt + 1 < TRIES:
                wait = min(error.wait if error.wait is not None else pause * 2**attempt, MAX_WAIT)
                ui.say(f"{file.name}: {why}; trying again in {wait:g} s")
                time.sleep(wait)
    raise SourceError(
        f"Could not download {file.name} from {without_secrets(file.url)}.",
        why=f"{why} ({TRIES} tries)",
        remedy="Check the network, the proxy variables and the index; the next run goes on where this one stopped.",
    )


def _attempt(session: requests.Session, file: Wanted, part: Path, ui: Terminal, quiet: bool) -> None:
    import requests

    from webui_fork.core import wire

    have = part.stat().st_size if part.exists() else 0
    if file.size is not None:
        if have == file.size:
            return
        if have > file.size:
            part.unlink()
            have = 0
    # identity: a proxy must not hand us the file compressed
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    try:
        with session.get(file.url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            status = response.status_code
            if status in (404, 410):
                raise NotFoundError(f"{without_secrets(file.url)} does not exist (HTTP {status}).")
            if status in _RETRIED:
                raise _TransientError(f"the server answered HTTP {status}", _retry_after(response))
            if status == 416:
                part.unlink(missing_ok=True)
                raise _TransientError("the server refused to resume", 0.0)
            if status not in (200, 206):
                raise SourceError(
                    f"Could not download {file.name}: {without_secrets(file.url)} answered HTTP {status}.",
                    remedy="Check the index or mirror that your pip/uv settings name, and its credentials.",
                )
            appending = status == 206
            total = file.size or _count(response.headers.get("Content-Length"))
            with ExitStack() as stack:
                advance: Advance = ignore
                if not quiet:
                    advance = stack.enter_context(ui.bar(f"Downloading {file.name}", total))
                advance(have if appending else 0)
                stack.enter_context(wire.deadline(response, wire.slowest(total or wire.LIMIT)))
                _write(response, part, appending, file, advance)
    except (requests.RequestException, ConnectionError) as error:
        raise _TransientError(type(error).__name__ + ": " + redact_text(str(error), file.url)) from error


def _write(response: requests.Response, part: Path, appending: bool, expected: Wanted, advance: Advance) -> None:
    written, limit = part.stat().st_size if appending else 0, expected.size or MAX_FILE_SIZE
    try:
        with part.open("ab" if appending else "wb") as file:
            for chunk in response.iter_content(_CHUNK):
                written += len(chunk)
                if written > limit:
                    file.close()
                    part.unlink()
                    raise DigestError(
                        f"{expected.name} is longer than {f'the pinned {limit}' if expected.size else limit} bytes.",
                        why=f"{without_secrets(expected.url)} kept sending; nothing of it was kept.",
                        remedy="The mirror or a proxy in between is broken or hostile: use another one.",
                    )
                file.write(chunk)
                advance(len(chunk))
    except OSError as error:
        if isinstance(error, ConnectionError) or error.errno is None:
            raise  # the network's, not the disk's (requests' errors are OSErrors too)
        raise from_os_error(error, f"write {part}") from error
    if expected.size is not None and written < expected.size:
        raise _TransientError(f"the connection ended after {written} of {expected.size} bytes", 0.0)


def _count(text: str | None) -> int:
    """Return how many bytes a server says it sends, 0 where it says nothing that can be so."""
    return min(int(text), MAX_FILE_SIZE) if text and text.isdecimal() and len(text) < 16 else 0


def _retry_after(response: requests.Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() and len(value) < 16 else None
