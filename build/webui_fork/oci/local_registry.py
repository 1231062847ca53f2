"""The embedded registry: a real one as a child process on loopback, storing in the user's cache."""

from __future__ import annotations

import http.client
import json
import logging
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from webui_fork.core.digest import Digest
from webui_fork.core.errors import RegistryError
from webui_fork.core.files import ensure_folder, write_atomic
from webui_fork.core.process import bound, stop

_REPOSITORIES, _TAGS, _LINK = Path("docker/registry/v2/repositories"), "_manifests/tags", "current/link"

debug = logging.getLogger(__name__)

_CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {store}}}
  delete: {{enabled: true}}
  cache: {{blobdescriptor: inmemory}}
  maintenance: {{readonly: {{enabled: {readonly}}}}}
http: {{addr: "127.0.0.1:{port}", secret: {nonce}, headers: {{X-Webui-Fork: [{nonce}]}}}}
"""


@contextmanager
def running(program: Path, store: Path, work: Path, port: int = 0, *, readonly: bool = False) -> Iterator[str]:
    """Run a registry on loopback for as long as the context lasts; yields its URL.

    Args:
        program: Debian's docker-registry or the like. store: folder of its blobs.
        work: folder for its configuration and log. port: 0 takes a free one.
        readonly: refuse every change: anybody on this machine reaches it.

    Raises:
        RegistryError: it does not start; the end of its log is in the error.
    """
    ensure_folder(store)
    ensure_folder(work)
    if not port:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    nonce = secrets.token_hex(16)
    config, log = work / "registry.yml", work / "registry.log"
    values = {"store": json.dumps(str(store)), "port": port, "nonce": nonce, "readonly": json.dumps(readonly)}
    write_atomic(config, _CONFIG.format(**values))
    debug.debug("starts: %s serve %s", program, config)
    with log.open("wb") as sink:
        child = subprocess.Popen(
            bound([program, "serve", config]),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            env={"PATH": "/usr/bin:/bin", "OTEL_TRACES_EXPORTER": "none"},
        )
    try:
        deadline = time.monotonic() + 10
        while not _answers(port, nonce):
            if child.poll() is not None or time.monotonic() > deadline:
                raise RegistryError(
                    "The embedded registry did not start.",
                    why="\n".join(log.read_text(errors="replace").splitlines()[-5:]),
                    remedy=f"Check the port, {store} and the free space.",
                )
            time.sleep(0.005)
        yield f"http://127.0.0.1:{port}"
    finally:
        stop(child)


@contextmanager
def tags_kept(store: Path, name: str, tag: str, digest: Digest) -> Iterator[None]:
    """Let one tag move while a registry takes changes; anybody on this machine reaches it, and may move others.

    Args:
        store: folder of its blobs.
        name: of the repository whose tag moves.
        tag: what may move; the tags of cosign's signatures may, too.
        digest: where to.
    """
    own = _REPOSITORIES / name / _TAGS / tag / _LINK
    before = _links(store)
    try:
        yield
    finally:
        after = _links(store)
        for link in after.keys() | before.keys():
            moved = link == own and after.get(link) not in (None, before.get(link))  # else the push failed
            value = digest if moved else before.get(link)
            if after.get(link) != value:
                if value is None:
                    shutil.rmtree(store / link.parents[1])
                else:
                    write_atomic(store / link, value)


def _links(store: Path) -> dict[Path, str]:
    """Return what each tag names, by its file (distribution's own layout of a store)."""
    links = (store / _REPOSITORIES).glob(f"**/{_TAGS}/*/{_LINK}")
    return {link.relative_to(store): link.read_text() for link in links if not link.parts[-3].startswith("sha256-")}


def _answers(port: int, nonce: str) -> bool:
    """Tell whether our own registry answers on a port, and not a stranger's."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().headers.get("X-Webui-Fork") == nonce
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
