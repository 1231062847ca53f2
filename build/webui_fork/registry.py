"""Push to a registry over the OCI distribution API (distribution-spec 1.1)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from webui_fork import fetch
from webui_fork.errors import RegistryError
from webui_fork.files import sha256_bytes
from webui_fork.oci import MANIFEST, Blob, Image, blob_path

if TYPE_CHECKING:
    import requests

TRIES = 3
TIMEOUT = (5.0, 300.0)
_RETRIED = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did: the reference by digest, blobs and bytes sent, and whether anything was new."""

    ref: str
    blobs: int
    bytes: int
    new: bool


class Registry:
    """One repository of a registry.

    Args:
        url: as http://127.0.0.1:5000. repository: as open-webui.
        pause: seconds before the first retry; doubles with each.
    """

    def __init__(self, url: str, repository: str, pause: float = 0.2) -> None:
        import requests

        self._base = f"{url.rstrip('/')}/v2/{repository}/"
        self.name = f"{url.split('://', 1)[1].rstrip('/')}/{repository}"
        self._pause = pause
        self._http = requests.Session()
        self._http.trust_env = not url.startswith("http://127.0.0.1:")  # loopback never goes through a proxy

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.close()

    def _try(self, doing: str, once: Callable[[], requests.Response], good: frozenset[int]) -> requests.Response:
        """Do one request, again on passing faults; a body must be made anew by ``once``."""
        import requests

        why = ""
        for attempt in range(TRIES):
            if attempt:
                time.sleep(self._pause * 2 ** (attempt - 1))
            try:
                response = once()
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                why = f"the connection failed: {type(error).__name__}"
                continue
            if response.status_code in good:
                return response
            why = f"it answered HTTP {response.status_code}: {response.text.strip()[:200]}"
            if response.status_code not in _RETRIED:
                break
        raise RegistryError(
            f"The registry {self.name} failed to {doing}.",
            why=why,
            remedy="What it already has stays; look at the registry's log and disk, then run this again to go on.",
        )

    def has(self, kind: str, reference: str) -> bool:
        """Tell whether it has a blob or manifest (``kind``: blobs or manifests)."""
        headers = {"Accept": MANIFEST}
        response = self._try(
            f"look up {reference[:19]}",
            lambda: self._http.head(f"{self._base}{kind}/{reference}", headers=headers, timeout=TIMEOUT),
            frozenset({200, 404}),
        )
        return response.status_code == 200

    def _upload(self, digest: str, send: Callable[[str], requests.Response]) -> None:
        def once() -> requests.Response:
            started = self._http.post(f"{self._base}blobs/uploads/", timeout=TIMEOUT)
            if started.status_code != 202:
                return started
            place = urljoin(self._base, started.headers["Location"])
            return send(f"{place}{'&' if '?' in place else '?'}digest={digest}")

        self._try(f"take the blob {digest[:19]}", once, frozenset({201}))

    def put_file(self, digest: str, path: Path) -> None:
        """Upload a blob from a file, streamed; the registry checks the digest.

        Raises:
            RegistryError: it keeps failing.
        """

        def send(url: str) -> requests.Response:
            with path.open("rb") as body:
                return self._http.put(
                    url, data=body, headers={"Content-Type": "application/octet-stream"}, timeout=TIMEOUT
                )

        self._upload(digest, send)

    def put_blob(self, blob: Blob) -> None:
        """Upload a small blob.

        Raises:
            RegistryError: it keeps failing.
        """
        headers = {"Content-Type": "application/octet-stream"}
        self._upload(blob.digest, lambda url: self._http.put(url, data=blob.data, headers=headers, timeout=TIMEOUT))

    def put_manifest(self, reference: str, blob: Blob) -> None:
        """Put a manifest under a tag or its digest, and check what the registry says it stored.

        Raises:
            RegistryError: it refuses, keeps failing, or stored something else.
        """
        response = self._try(
            f"take the manifest {reference}",
            lambda: self._http.put(
                f"{self._base}manifests/{reference}",
                data=blob.data,
                headers={"Content-Type": blob.media_type},
                timeout=TIMEOUT,
            ),
            frozenset({201}),
        )
        stored = response.headers.get("Docker-Content-Digest", blob.digest)
        if stored != blob.digest:
            raise RegistryError(f"The registry {self.name} stored {stored}, not {blob.digest}.")

    def get_manifest(self, reference: str) -> bytes | None:
        """Return a manifest's bytes, or None; one fetched by digest is checked against it.

        Raises:
            RegistryError: it keeps failing, or lies.
        """
        response = self._try(
            f"give the manifest {reference}",
            lambda: self._http.get(f"{self._base}manifests/{reference}", headers={"Accept": MANIFEST}, timeout=TIMEOUT),
            frozenset({200, 404}),
        )
        if response.status_code == 404:
            return None
        if reference.startswith("sha256:") and sha256_bytes(response.content) != reference:
            raise RegistryError(f"The registry {self.name} gave other bytes than {reference}.")
        return response.content

    def push(self, image: Image, tag: str, cache: Path, progress: Callable[[str, int], None]) -> Pushed:
        """Push an image, its manifest last, and only what the registry lacks.

        Args:
            cache: where the layers' blobs are. progress: told the name and size of each blob sent.

        Raises:
            RegistryError: it keeps failing; the tag still names what it named before.
            DigestError: a cached blob was damaged; it is removed, and made again in the next run.
        """
        ref = f"{self.name}@{image.digest}"
        if self.get_manifest(tag) == image.manifest.data:
            return Pushed(ref, 0, 0, False)
        blobs = sent = 0
        for named in image.layers:
            if not self.has("blobs", named.layer.digest):
                progress(named.name, named.layer.size)
                fetch.check(blob_path(cache, named.layer.digest), named.layer.digest.removeprefix("sha256:"))
                self.put_file(named.layer.digest, blob_path(cache, named.layer.digest))
                blobs, sent = blobs + 1, sent + named.layer.size
        if not self.has("blobs", image.config.digest):
            self.put_blob(image.config)
            blobs, sent = blobs + 1, sent + len(image.config.data)
        self.put_manifest(tag, image.manifest)
        return Pushed(ref, blobs, sent, True)
