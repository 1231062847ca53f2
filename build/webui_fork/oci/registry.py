"""A client of the OCI distribution API (distribution-spec 1.1): one repository of a registry.

Passing faults are tried again, as long as Retry-After says; a large upload goes on where it stopped; what comes
back is held against its digest.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self
from urllib.parse import urljoin

from webui_fork.core.digest import Digest
from webui_fork.core.errors import RegistryError
from webui_fork.core.files import sha256_bytes
from webui_fork.oci import model, upload
from webui_fork.oci.auth import Credentials
from webui_fork.oci.content import CHUNK, Content
from webui_fork.oci.model import INDEXES, MANIFEST, SMALL, Blob, Descriptor
from webui_fork.oci.session import HEADER, TRIES, WHOLE, Answer, RegistrySession

if TYPE_CHECKING:
    import requests

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
ACCEPT = ", ".join((MANIFEST, DOCKER_MANIFEST, *INDEXES))
_STREAMED = 4 << 20  # bytes: from here on an upload can go on where it stopped
_PAGES = 1000  # of a list of tags
_TAGS = 100_000  # in all of them
MAX_BLOB = 8 << 30  # bytes: more than any layer has
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")  # OCI distribution-spec 1.1
_NEXT = re.compile(r'<([^<>]*)>\s*;[^,<]*rel="?next"?')


class Registry:
    """One repository of a registry.

    Args:
        url: as http://127.0.0.1:5000.
        repository: as open-webui.
        pause: seconds before the first retry; doubles with each.
        credentials: ours; None: nobody's.
        ca: a file of certificates to trust, all of them.
        registry: what people call it, where that is not the URL's host.
    """

    def __init__(
        self,
        url: str,
        repository: str,
        pause: float = 0.2,
        credentials: Credentials | None = None,
        ca: str | None = None,
        registry: str = "",
    ) -> None:
        self.session = RegistrySession(url, repository, pause, credentials, ca, registry)
        self.repository, self.name = repository, self.session.name
        self.received = 0  # bytes of blobs and manifests, for a summary

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.session.close()

    def has(self, kind: str, reference: str) -> bool:
        """Tell whether it has a blob or manifest (``kind``: blobs or manifests)."""
        response = self.session.attempt(
            f"look up {reference[:19]}",
            lambda: self.session.ask("HEAD", f"{self.session.base}{kind}/{reference}", headers={"Accept": ACCEPT}),
            frozenset({200, 404}),
        )
        return response.status == 200

    def tags(self) -> tuple[str, ...]:
        """List the tags of the repository; a repository that is not there has none."""
        names: list[str] = []
        url, seen = f"{self.session.base}tags/list", set[str]()
        while url:
            if url in seen or len(seen) > _PAGES or len(names) > _TAGS:
                raise RegistryError(
                    f"The registry {self.name} gives no list of tags that can be read: it is endless, or too long."
                )
            seen.add(url)
            answer = self.session.attempt("list its tags", partial(self.session.ask, "GET", url), frozenset({200, 404}))
            if answer.status == 404:
                break
            listed = answer.parsed().get("tags") or []
            rows = listed if isinstance(listed, list) else []
            names += [tag for tag in rows if isinstance(tag, str) and _TAG.fullmatch(tag)]
            after = _NEXT.search(answer.headers.get("Link", "")[:HEADER])
            url = self._next(url, after.group(1)) if after else ""
        return tuple(names)

    def _next(self, url: str, link: str) -> str:
        try:
            page = urljoin(url, link)
            if self.session.own(page):
                return page
        except ValueError:
            pass
        raise RegistryError(f"The registry {self.name} gives no list of tags: its pages lead elsewhere.")

    def mount(self, digest: Digest, repository: str) -> bool:
        """Have the registry take a blob over from another of its repositories; return whether it did."""
        import requests

        # a registry may also not know how, or not let us read there: then the blob is sent
        good = frozenset({201, 202, 400, 401, 403, 404, 405})
        try:
            answer = self.session.attempt(
                f"mount the blob {digest[:19]}", lambda: upload.start(self.session, digest, repository), good
            )
        except RegistryError:
            return False  # also what its token server refuses; if all is broken, sending says so
        if answer.status == 202 and (place := answer.headers.get("Location")):
            # it began an upload instead: that is not needed
            with suppress(requests.RequestException, RegistryError, ValueError):
                if self.session.own(started := urljoin(self.session.base, place)):  # nobody else's is ours to delete
                    self.session.ask("DELETE", started)
        return answer.status == 201

    def put(self, digest: Digest, content: Content, advance: Callable[[int], None] = lambda _count: None) -> None:
        """Upload a blob, streamed; the registry checks its digest.

        Args:
            advance: told how many bytes went.

        Raises:
            RegistryError: it keeps failing, or the bytes are not those of the digest; it keeps nothing then.
        """
        size = content.size
        if size < _STREAMED:
            data = b"".join(content.read(0))
            self._check(digest, data)
            upload.small(self.session, digest, data)
            advance(size)
        else:
            upload.LargeUpload(self.session, digest, content, advance).send()

    def _check(self, digest: Digest, data: bytes) -> None:
        if sha256_bytes(data) != digest:
            raise RegistryError(f"Digest mismatch for {digest}: nothing was sent to {self.name}.")

    def put_blob(self, blob: Blob) -> None:
        """Upload a small blob.

        Raises:
            RegistryError: it keeps failing.
        """
        upload.small(self.session, blob.digest, blob.data)

    def put_manifest(self, reference: str, blob: Blob) -> None:
        """Put a manifest under a tag or its digest, and check what the registry says it stored.

        Raises:
            RegistryError: it refuses, keeps failing, or stored something else.
        """
        response = self.session.attempt(
            f"accept the manifest {reference}",
            lambda: self.session.ask(
                "PUT",
                f"{self.session.base}manifests/{reference}",
                body=blob.data,
                headers={"Content-Type": blob.media_type},
            ),
            frozenset({201}),
        )
        stored = response.headers.get("Docker-Content-Digest", blob.digest)
        if stored != blob.digest:
            raise RegistryError(f"The registry {self.name} stored {stored}, not {blob.digest}.")

    def manifest(self, reference: str) -> Blob | None:
        """Return a manifest or index, or None; one fetched by digest is checked against it.

        Raises:
            RegistryError: it keeps failing, or lies.
        """
        answer = self.session.attempt(
            f"send the manifest {reference}",
            lambda: self.session.ask("GET", f"{self.session.base}manifests/{reference}", headers={"Accept": ACCEPT}),
            frozenset({200, 404}),
        )
        if answer.status == 404:
            return None
        self.received += len(answer.data)
        if ":" in reference and sha256_bytes(answer.data) != reference:
            raise RegistryError(f"The registry {self.name} gave other bytes than {reference}.")
        return Blob(model.media_type(answer.data), answer.data)

    def blob(self, digest: Digest, start: int = 0, limit: int | None = None) -> Iterator[bytes]:
        """Yield a blob's bytes, from an offset on; a whole one is checked at its end.

        A stream that breaks off is taken up again where it broke.

        Args:
            limit: how many bytes it may have.

        Raises:
            RegistryError: it is not there, the connection keeps breaking, or the registry lies.
        """
        import requests

        from webui_fork.core import wire

        hashed, at, broken = hashlib.sha256(), start, 0
        end = time.monotonic() + wire.slowest(MAX_BLOB if limit is None else limit)  # for all tries
        while True:
            before = at
            try:
                with (
                    closing(self._begin(digest, at)) as response,
                    wire.deadline(response, max(end - time.monotonic(), 0.01)),
                ):
                    skip = at if response.status_code == 200 else 0
                    for received in response.iter_content(CHUNK):
                        self.received += len(received)
                        piece, skip = received[skip:], max(skip - len(received), 0)
                        hashed.update(piece)
                        at += len(piece)
                        if limit is not None and at > limit:
                            raise RegistryError(
                                f"The registry {self.name} sends more than the {limit} bytes of {digest}."
                            )
                        if piece:
                            yield piece
                break
            except wire.EndlessError as error:
                raise RegistryError(
                    f"The registry {self.name} does not stop sending the blob {digest[:19]}.", why=str(error)
                ) from error
            except (requests.RequestException, ConnectionError) as error:
                broken = 1 if at > before else broken + 1  # what came is kept, and patience begins anew
                if broken == TRIES:
                    raise RegistryError(
                        f"The registry {self.name} keeps breaking off while it sends the blob {digest[:19]}.",
                        why=type(error).__name__,
                        remedy="Run this again.",
                    ) from error
            time.sleep(self.session.pause * 2**broken)
        if not start and hashed.hexdigest() != digest.hex:
            raise RegistryError(f"The registry {self.name} gave other bytes than {digest}.")

    def _begin(self, digest: Digest, at: int) -> requests.Response:
        """Open a blob for reading."""
        from webui_fork.core import wire

        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={at}-"} if at else {})}
        opened: list[requests.Response] = []

        def once() -> Answer:
            response = self.session.open("GET", f"{self.session.base}blobs/{digest}", headers=headers)
            if response.status_code in (200, 206):
                opened.append(response)
                return Answer(response.status_code, response.headers, b"")
            with closing(response):
                return Answer(response.status_code, response.headers, wire.read(response, SMALL, WHOLE))

        self.session.attempt(f"send the blob {digest[:19]}", once, frozenset({200, 206}))
        return opened[-1]

    def small_blob(self, described: Descriptor) -> Blob:
        """Return a small blob whole.

        Raises:
            RegistryError: it is not there, is larger than it should be, or the registry lies.
        """
        limit = min(described.size, SMALL)
        return Blob(described.media_type, b"".join(self.blob(described.digest, limit=limit)))


@dataclass(frozen=True, slots=True)
class BlobContent:
    """A blob of a registry as content for another; a stream that breaks off is taken up again where it broke."""

    registry: Registry
    digest: Digest
    size: int

    def read(self, start: int) -> Iterator[bytes]:
        """Yield its bytes from an offset on."""
        return self.registry.blob(self.digest, start, limit=self.size)
