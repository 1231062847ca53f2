"""A client of the OCI distribution API (distribution-spec 1.1): one repository of a registry.

Passing faults are tried again, as long as Retry-After says; a large upload goes on where it stopped; what comes
back is held against its digest.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from webui_fork import credentials
from webui_fork.blobs import CHUNK, Body, Content
from webui_fork.credentials import Authenticator
from webui_fork.errors import RegistryError
from webui_fork.files import sha256_bytes
from webui_fork.oci import INDEX, MANIFEST, Blob

if TYPE_CHECKING:
    import requests

TRIES = 4
TIMEOUT = (5.0, 300.0)
MAX_WAIT = 60.0  # seconds: what a Retry-After may ask of us
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
ACCEPT = ", ".join((MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX))
_RETRIED = frozenset({408, 429, 500, 502, 503, 504})
_LOST = frozenset({404, 416})  # of an upload under way
_STREAMED = 4 << 20  # bytes: from here on an upload can go on where it stopped
_MANIFEST_LIMIT = 8 << 20
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")


class Registry:
    """One repository of a registry.

    Args:
        url: as http://127.0.0.1:5000. repository: as open-webui.
        known: whose credentials. ca: a file of certificates to trust instead of the system's.
        pause: seconds before the first retry; doubles with each.
    """

    def __init__(
        self,
        url: str,
        repository: str,
        pause: float = 0.2,
        known: credentials.Credentials | None = None,
        ca: str | None = None,
    ) -> None:
        import requests

        host = url.split("://", 1)[1].rstrip("/")
        self._base = f"{url.rstrip('/')}/v2/{repository}/"
        self.name = f"{host}/{repository}"
        self.repository, self.url = repository, url.rstrip("/")
        self._pause = pause
        self._http = requests.Session()
        # loopback never goes through a proxy; .netrc is not where registries' credentials are
        self._http.trust_env = False
        self._http.verify = ca or True
        if urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1"):
            self._http.proxies = requests.utils.get_environ_proxies(url)
        self._http.headers["User-Agent"] = "webui-fork"
        self._auth = Authenticator(host, known)
        self._known = known is not None
        self.sent = self.received = 0  # bytes of blobs and manifests, for a bench and a summary

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.close()

    def _ask(self, method: str, url: str, **options: Any) -> requests.Response:
        """Send one request with our credentials; a challenge is answered once."""
        headers = options.pop("headers", {})
        body = options.pop("body", None)
        for last in (False, True):
            response = self._http.request(
                method,
                url,
                headers={**headers, **self._auth.headers()},
                data=body() if callable(body) else body,
                timeout=TIMEOUT,
                **options,
            )
            if response.status_code != 401 or last:
                return response
            scope = f"repository:{self.repository}:{'pull' if method in ('GET', 'HEAD') else 'pull,push'}"
            if not self._auth.answer(self._http, response, scope, TIMEOUT):
                return response
            response.close()
        raise AssertionError("not reached")

    def _try(
        self,
        doing: str,
        once: Callable[[], requests.Response],
        good: frozenset[int],
        again: frozenset[int] = _RETRIED,
    ) -> requests.Response:
        """Do one request, again on passing faults; a body must be made anew by ``once``."""
        import requests

        why, wait = "", 0.0
        for attempt in range(TRIES):
            if attempt:
                time.sleep(wait)
            wait = self._pause * 2**attempt
            try:
                response = once()
            except requests.exceptions.SSLError as error:
                raise self._untrusted(error) from error
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                why = f"the connection failed: {type(error).__name__}"
                continue
            if response.status_code in good:
                return response
            why = f"it answered HTTP {response.status_code}: {_words(response)}"
            if response.status_code in (401, 403):
                raise credentials.denied(self.name, why, self._known)
            if response.status_code not in again:
                break
            asked = response.headers.get("Retry-After", "")
            wait = min(float(asked), MAX_WAIT) if asked.isdigit() else wait
        raise RegistryError(
            f"The registry {self.name} failed to {doing}.",
            why=why,
            remedy="What it already has stays; look at the registry's log and disk, then run this again to go on.",
        )

    def _untrusted(self, error: Exception) -> RegistryError:
        return RegistryError(
            f"The certificate of {self.name} is not trusted.",
            why=str(error)[:300],
            remedy="Name your CA's certificate in SSL_CERT_FILE (PEM), or put it where Docker has it: "
            "/etc/docker/certs.d/HOST:PORT/ca.crt.",
        )

    def has(self, kind: str, reference: str) -> bool:
        """Tell whether it has a blob or manifest (``kind``: blobs or manifests)."""
        response = self._try(
            f"look up {reference[:19]}",
            lambda: self._ask("HEAD", f"{self._base}{kind}/{reference}", headers={"Accept": ACCEPT}),
            frozenset({200, 404}),
        )
        return response.status_code == 200

    def tags(self) -> tuple[str, ...]:
        """List the tags of the repository; a repository that is not there has none."""
        found: list[str] = []
        url = f"{self._base}tags/list"
        while url:
            response = self._try("list its tags", partial(self._ask, "GET", url), frozenset({200, 404}))
            if response.status_code == 404:
                break
            found += response.json().get("tags") or []
            after = response.links.get("next", {}).get("url")
            url = urljoin(url, after) if after else ""
        return tuple(found)

    def _start(self, digest: str, mount_from: str = "") -> requests.Response:
        query = f"?mount={digest}&from={mount_from}" if mount_from else ""
        return self._ask("POST", f"{self._base}blobs/uploads/{query}", headers={"Content-Length": "0"})

    def mount(self, digest: str, repository: str) -> bool:
        """Have the registry take a blob over from another of its repositories; return whether it did.

        Raises:
            RegistryError: it keeps failing.
        """
        response = self._try(
            f"mount the blob {digest[:19]}",
            lambda: self._start(digest, repository),
            frozenset({201, 202, 403, 404, 405}),
        )
        if response.status_code == 202 and (place := response.headers.get("Location")):
            self._ask("DELETE", urljoin(self._base, place))  # it began an upload instead: that is not needed
        return response.status_code == 201

    def put(self, digest: str, content: Content, advance: Callable[[int], None] = lambda _count: None) -> None:
        """Upload a blob, streamed; the registry checks its digest, and so do we before it may keep it.

        Args:
            advance: told how many bytes went.

        Raises:
            RegistryError: it keeps failing, or the bytes are not those of the digest; it keeps nothing then.
        """
        size = content.size
        if size < _STREAMED:
            data = b"".join(content.read(0))
            self._check(digest, data)
            self._small(digest, data)
            advance(size)
        else:
            self._large(digest, content, size, advance)
        self.sent += size

    def _check(self, digest: str, data: bytes) -> None:
        if sha256_bytes(data) != digest:
            raise RegistryError(f"The bytes for {digest} are others: nothing was sent to {self.name}.")

    def put_blob(self, blob: Blob) -> None:
        """Upload a small blob.

        Raises:
            RegistryError: it keeps failing.
        """
        self._small(blob.digest, blob.data)
        self.sent += len(blob.data)

    def _small(self, digest: str, data: bytes) -> None:
        def once() -> requests.Response:
            started = self._start(digest)
            return self._finish(started.headers["Location"], digest, data) if started.status_code == 202 else started

        self._try(f"take the blob {digest[:19]}", once, frozenset({201}))

    def _finish(self, location: str, digest: str, data: bytes = b"") -> requests.Response:
        place = urljoin(self._base, location)
        url = f"{place}{'&' if '?' in place else '?'}digest={digest}"
        return self._ask("PUT", url, body=data, headers={"Content-Type": "application/octet-stream"})

    def _large(self, digest: str, content: Content, size: int, advance: Callable[[int], None]) -> None:
        """Send a blob in one stream; after a fault ask how far it came, and go on from there."""
        place, offset, shown = "", 0, 0

        def once() -> requests.Response:
            nonlocal place, offset, shown
            if place:
                said = self._ask("GET", place)
                match = _RANGE.match(said.headers.get("Range", "")) if said.status_code == 204 else None
                # a registry that took nothing says 0-0, as one that took a single byte
                offset = int(match.group(1)) + 1 if match and match.group(1) != "0" else 0
                place = urljoin(self._base, said.headers.get("Location", place)) if match and offset <= size else ""
            if not place:
                started = self._start(digest)
                if started.status_code != 202:
                    return started
                place, offset = urljoin(self._base, started.headers["Location"]), 0
            if offset < size:
                sent = self._stream(place, content, offset, size, lambda done: show(offset + done))
                if sent.status_code not in (201, 202, 204):
                    if sent.status_code in _LOST:
                        place = ""  # it forgot the upload, or counts otherwise: from the start
                    return sent
                place = urljoin(self._base, sent.headers.get("Location", place))
            return self._finish(place, digest)

        def show(done: int) -> None:
            nonlocal shown
            advance(max(done - shown, 0))
            shown = max(shown, done)

        self._try(f"take the blob {digest[:19]}", once, frozenset({201}), _RETRIED | _LOST)

    def _stream(
        self, place: str, content: Content, offset: int, size: int, show: Callable[[int], None]
    ) -> requests.Response:
        def pieces() -> Iterator[bytes]:
            done = 0
            for piece in content.read(offset):
                yield piece
                done += len(piece)
                show(done)

        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size - offset)}
        if offset:
            headers["Content-Range"] = f"{offset}-{size - 1}"
        return self._ask("PATCH", place, body=lambda: Body(pieces(), size - offset), headers=headers)

    def put_manifest(self, reference: str, blob: Blob) -> None:
        """Put a manifest under a tag or its digest, and check what the registry says it stored.

        Raises:
            RegistryError: it refuses, keeps failing, or stored something else.
        """
        response = self._try(
            f"take the manifest {reference}",
            lambda: self._ask(
                "PUT", f"{self._base}manifests/{reference}", body=blob.data, headers={"Content-Type": blob.media_type}
            ),
            frozenset({201}),
        )
        self.sent += len(blob.data)
        stored = response.headers.get("Docker-Content-Digest", blob.digest)
        if stored != blob.digest:
            raise RegistryError(f"The registry {self.name} stored {stored}, not {blob.digest}.")

    def manifest(self, reference: str) -> Blob | None:
        """Return a manifest or index, or None; one fetched by digest is checked against it.

        Raises:
            RegistryError: it keeps failing, or lies.
        """
        response = self._try(
            f"give the manifest {reference}",
            lambda: self._ask("GET", f"{self._base}manifests/{reference}", headers={"Accept": ACCEPT}),
            frozenset({200, 404}),
        )
        if response.status_code == 404:
            return None
        data = response.content
        self.received += len(data)
        if len(data) > _MANIFEST_LIMIT:
            raise RegistryError(f"The manifest {reference} of {self.name} is larger than any manifest may be.")
        if reference.startswith("sha256:") and sha256_bytes(data) != reference:
            raise RegistryError(f"The registry {self.name} gave other bytes than {reference}.")
        return Blob(response.headers.get("Content-Type", MANIFEST).partition(";")[0], data)

    def blob(self, digest: str, start: int = 0) -> Iterator[bytes]:
        """Yield a blob's bytes, from an offset on; a whole one is checked at its end.

        A stream that breaks off is taken up again where it broke.

        Raises:
            RegistryError: it is not there, the connection keeps breaking, or the registry lies.
        """
        import requests

        hashed, at, broken = hashlib.sha256(), start, 0
        while True:
            with closing(self._open(digest, at)) as response:
                skip = at if response.status_code == 200 else 0
                try:
                    for received in response.iter_content(CHUNK):
                        self.received += len(received)
                        piece, skip = received[skip:], max(skip - len(received), 0)
                        hashed.update(piece)
                        at += len(piece)
                        if piece:
                            yield piece
                    break
                except (requests.RequestException, ConnectionError) as error:
                    broken += 1
                    if broken == TRIES:
                        raise RegistryError(
                            f"The registry {self.name} keeps breaking off in the blob {digest[:19]}.",
                            why=type(error).__name__,
                            remedy="Run this again.",
                        ) from error
            time.sleep(self._pause * 2**broken)
        if not start and "sha256:" + hashed.hexdigest() != digest:
            raise RegistryError(f"The registry {self.name} gave other bytes than {digest}.")

    def _open(self, digest: str, at: int) -> requests.Response:
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={at}-"} if at else {})}
        return self._try(
            f"give the blob {digest[:19]}",
            lambda: self._ask("GET", f"{self._base}blobs/{digest}", headers=headers, stream=True),
            frozenset({200, 206}),
        )

    def small_blob(self, digest: str, media_type: str = "application/octet-stream") -> Blob:
        """Return a small blob whole.

        Raises:
            RegistryError: it is not there, or the registry lies.
        """
        return Blob(media_type, b"".join(self.blob(digest)))


def _words(response: requests.Response) -> str:
    """Return what a registry says is wrong, in its own words."""
    try:
        errors = response.json().get("errors") or []
        return "; ".join(f"{row.get('code')}: {row.get('message')}" for row in errors)[:300]
    except (ValueError, AttributeError):
        return response.text.strip()[:200]
