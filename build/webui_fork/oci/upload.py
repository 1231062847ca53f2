"""Uploads of blobs: a small one whole, a large one in a stream that goes on where it stopped.

Source: OCI distribution-spec 1.1, "Pushing blobs".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import urljoin

from webui_fork.core.digest import Digest
from webui_fork.oci.content import Body, Content
from webui_fork.oci.session import RETRIED, Answer, RegistrySession

_LOST = frozenset({404, 416})  # of an upload under way
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")
_BYTES = {"Content-Type": "application/octet-stream"}


def start(session: RegistrySession, digest: Digest, mount_from: str = "") -> Answer:
    """Begin an upload, or have the blob taken over from another repository of the registry."""
    query = f"?mount={digest}&from={mount_from}" if mount_from else ""
    return session.ask("POST", f"{session.base}blobs/uploads/{query}", headers={"Content-Length": "0"})


def finish(session: RegistrySession, location: str, digest: Digest, data: bytes = b"") -> Answer:
    """End an upload, with the last bytes; the registry checks the digest."""
    place = urljoin(session.base, location)
    return session.ask("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", body=data, headers=_BYTES)


def small(session: RegistrySession, digest: Digest, data: bytes) -> None:
    """Send a small blob.

    Raises:
        RegistryError: the registry keeps failing, or does not take it.
    """

    def once() -> Answer:
        started = start(session, digest)
        return finish(session, started.headers["Location"], digest, data) if started.status == 202 else started

    session.attempt(f"accept the blob {digest[:19]}", once, frozenset({201}))


class LargeUpload:
    """A blob that is sent in one stream; after a fault it asks how far that came, and goes on from there.

    Args:
        session: to the registry.
        digest: of the blob.
        content: its bytes.
        advance: told how many bytes went.
    """

    def __init__(
        self, session: RegistrySession, digest: Digest, content: Content, advance: Callable[[int], None]
    ) -> None:
        self._session, self._digest, self._content, self._advance = session, digest, content, advance
        self._size = content.size
        self._place = ""  # the upload's URL; "": none is under way
        self._offset = 0  # bytes that the registry has
        self._shown = 0  # bytes that were told

    def send(self) -> None:
        """Send it.

        Raises:
            RegistryError: the registry keeps failing, or does not take it.
        """
        doing = f"accept the blob {self._digest[:19]}"
        self._session.attempt(doing, self._once, frozenset({200, 201}), RETRIED | _LOST)

    def _once(self) -> Answer:
        if self._place and (answer := self._resume()) and answer.status != 404:
            return answer
        if not self._place:
            started = start(self._session, self._digest)
            if started.status != 202:
                return started
            self._place, self._offset = urljoin(self._session.base, started.headers["Location"]), 0
        if self._offset < self._size:
            sent = self._stream()
            if sent.status not in (201, 202, 204):
                if sent.status in _LOST:
                    self._place = ""  # it forgot the upload, or counts otherwise: from the start
                return sent
            self._place = urljoin(self._session.base, sent.headers.get("Location", self._place))
        return finish(self._session, self._place, self._digest)

    def _resume(self) -> Answer | None:
        """Ask how far a broken upload came; None to go on, else what to make of it."""
        answer = self._session.ask("GET", self._place)
        if answer.status in RETRIED:
            return answer
        match = _RANGE.match(answer.headers.get("Range", "")) if answer.status == 204 else None
        if not match:
            self._place = ""
            # it may have ended, and only its answer was lost
            return self._session.ask("HEAD", f"{self._session.base}blobs/{self._digest}")
        # a registry that took nothing says 0-0, as one that took a single byte
        self._offset = int(match.group(1)) + 1 if match.group(1) != "0" else 0
        location = answer.headers.get("Location", self._place)
        self._place = urljoin(self._session.base, location) if self._offset <= self._size else ""
        return None

    def _stream(self) -> Answer:
        offset, left = self._offset, self._size - self._offset

        def pieces() -> Iterator[bytes]:
            done = offset
            for piece in self._content.read(offset):
                yield piece
                done += len(piece)
                self._show(done)

        headers = {**_BYTES, "Content-Length": str(left)}
        if offset:
            headers["Content-Range"] = f"{offset}-{self._size - 1}"
        return self._session.ask("PATCH", self._place, body=lambda: Body(pieces(), left), headers=headers)

    def _show(self, done: int) -> None:
        self._advance(max(done - self._shown, 0))
        self._shown = max(self._shown, done)
