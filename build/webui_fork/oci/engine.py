"""Docker: find an engine or start a private one, load images, and clean up after a run that was killed.

The engine is the one DOCKER_HOST, the current context or the default socket names. Where none
answers and this is root on a Debian-like host, a private daemon with its own data root in the
cache serves for as long as it is needed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webui_fork.config import image_toml
from webui_fork.core import process
from webui_fork.core.errors import EngineError, ImageError, ToolError
from webui_fork.core.files import ensure_folder, exclusive, open_plain
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.oci import layout
from webui_fork.oci.model import Image, Index, Layer
from webui_fork.sources import programs

if TYPE_CHECKING:
    from docker import DockerClient

debug = logging.getLogger(__name__)

_START = 60.0
_TIMEOUT = 600  # seconds: loading an image is one request


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine: a client of it, and its address as DOCKER_HOST would have it."""

    client: DockerClient
    host: str


def answering(settings: Settings) -> Engine | None:
    """Return the engine the user's environment names, if it answers."""
    import docker
    from docker.context import ContextAPI
    from docker.errors import DockerException

    try:
        host = settings.environ.get("DOCKER_HOST")
        if host and not host.startswith("unix://"):
            return Engine(docker.from_env(environment=dict(settings.environ), timeout=_TIMEOUT), host)
        host = host or str(ContextAPI.get_current_context().Host)
        if host.startswith("unix://") and not _listens(Path(host.removeprefix("unix://"))):
            return None
        return Engine(docker.DockerClient(base_url=host, timeout=_TIMEOUT), host)  # asks the engine its version
    except (DockerException, OSError):
        return None


def _listens(path: Path) -> bool:
    """Tell whether somebody listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


@contextmanager
def connect(settings: Settings, ui: Terminal) -> Iterator[Engine]:
    """Yield a running engine, a private one if there is no other.

    Raises:
        EngineError: no engine answers and none can be started here.
    """
    engine = answering(settings)
    if engine is None:
        if host := settings.environ.get("DOCKER_HOST"):
            raise EngineError(f"No Docker engine answers at {host}.", remedy="Start it, or unset DOCKER_HOST.")
        with private(settings, ui) as started:
            yield started
        return
    try:
        yield engine
    finally:
        engine.client.close()


@contextmanager
def private(settings: Settings, ui: Terminal) -> Iterator[Engine]:
    """Start an engine of our own and yield it; it ends with the context.

    Raises:
        EngineError: this is not root on a Debian-like host, or it does not start.
    """
    remedy = (
        "Start Docker (Linux: `systemctl start docker`; macOS: Docker Desktop or `colima start`), or set DOCKER_HOST."
    )
    if os.geteuid() != 0:
        raise EngineError("Only root can start a Docker engine, and none answers.", remedy=remedy)
    try:
        program = programs.find(settings, "dockerd", ui)
    except ToolError as error:
        raise EngineError("Docker is not installed, and can't be.", why=error.why, remedy=remedy) from error
    data = ensure_folder(settings.cache / "docker")
    # a socket's path is limited to 108 bytes, so it does not go into the cache
    run = Path(tempfile.mkdtemp(prefix="webui-fork-engine-", dir="/run"))
    address, log = run / "docker.sock", run / "dockerd.log"
    argv = [
        program,
        "--data-root",
        data,
        "--exec-root",
        run / "exec",
        "--pidfile",
        run / "pid",
        "-H",
        f"unix://{address}",
    ]
    env = {**settings.environ, "PATH": settings.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"}
    with exclusive(settings.cache / "docker.lock", "the private Docker engine", ui.say):
        ui.say(f"Starting a private Docker engine ({data})")
        bridge_before = Path("/sys/class/net/docker0").exists()
        debug.debug("starts: %s", shlex.join(map(str, argv)))
        with log.open("wb") as sink:
            child = subprocess.Popen(
                process.bound(argv), env=env, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
                start_new_session=True,  # Ctrl-C reaches us first, so that containers go before their engine
            )  # fmt: skip
        client = None
        try:
            client = _wait_for_engine(child, address, log, remedy)
            sweep(client)
            yield Engine(client, f"unix://{address}")
        finally:
            if client is not None:
                client.close()
            process.stop(child, grace=20)
            shutil.rmtree(run, ignore_errors=True)
            if not bridge_before and shutil.which("ip"):
                process.run(["ip", "link", "delete", "docker0"], env=env, check=False)


def _wait_for_engine(child: subprocess.Popen[bytes], address: Path, log: Path, remedy: str) -> DockerClient:
    import docker

    deadline = time.monotonic() + _START
    while time.monotonic() < deadline and child.poll() is None:
        if _listens(address):
            return docker.DockerClient(base_url=f"unix://{address}", timeout=_TIMEOUT)
        time.sleep(0.1)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
    raise EngineError("The private Docker engine did not start.", why=tail, remedy=remedy)


def sweep(client: DockerClient, **filters: Any) -> None:
    """Remove the containers, networks and volumes that a killed run left in an engine nobody else uses.

    Args:
        filters: Docker's, to remove only some.
    """
    from docker.errors import DockerException

    for left in client.containers.list(all=True, filters=filters):
        with suppress(DockerException):
            left.remove(force=True, v=True)
    for unused in client.networks.list(filters={"type": "custom", **filters}):  # Docker's own can not be removed
        with suppress(DockerException):
            unused.remove()
    for kept in client.volumes.list(filters=filters):
        with suppress(DockerException):
            kept.remove(force=True)


def archive(image: Image, cache: Path, name: str, leave_out: int = 0) -> Iterator[bytes]:
    """Yield an image as a tar that `docker load` takes (its own format and an OCI layout in one).

    Args:
        leave_out: how many of the lowest layers the engine has already, and does not read.
    """
    import json

    repository, _, tag = name.rpartition(":")
    blob = "blobs/sha256/{}".format
    layers = [blob(item.layer.digest.hex) for item in image.layers]
    config = blob(image.config.digest.hex)
    small = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": layout.index(tag, image).data,
        "manifest.json": json.dumps(
            [{"Config": config, "RepoTags": [f"{repository}:{tag}"], "Layers": layers}]
        ).encode(),
        config: image.config.data,
        blob(image.digest.hex): image.manifest.data,
    }

    def head(path: str, size: int) -> bytes:
        info = tarfile.TarInfo(path)
        info.size = size
        return info.tobuf(tarfile.PAX_FORMAT)

    for path, data in small.items():
        yield head(path, len(data)) + data + bytes(-len(data) % 512)
    for item, path in list(zip(image.layers, layers, strict=True))[leave_out:]:
        yield head(path, item.layer.size)
        yield from _checked(layout.blob_path(cache, item.layer.digest), item.layer)
        yield bytes(-item.layer.size % 512)
    yield bytes(1024)


def _checked(path: Path, layer: Layer) -> Iterator[bytes]:
    """Yield a layer's bytes, and no others: the engine gets what was verified, whoever writes to the file meanwhile.

    Raises:
        ImageError: it is not what its digest says; the last piece is kept back.
    """
    hashed, left, last = hashlib.sha256(), layer.size, b""
    with open_plain(path) as file:
        while left and (piece := file.read(min(left, 1 << 20))):
            yield last
            hashed.update(piece)
            left, last = left - len(piece), piece
        if left or file.read(1) or hashed.hexdigest() != layer.digest.hex:
            raise ImageError(
                f"{path} does not match the digest in its name.", remedy="Get the image anew, or build it again."
            )
    yield last


def load(client: DockerClient, image: Image | Index, cache: Path, name: str) -> str:
    """Load an image into the engine under a tag, of several the one for its machine; return the engine's id of it.

    Args:
        name: as open-webui:v0.12.4-p1.

    Raises:
        EngineError: the engine refuses it, or none is for its machine.
    """
    from docker.errors import DockerException

    image = _for_machine(client, image, name)
    # an engine with containerd's image store wants them all
    for leave_out in sorted({_shared_layers(client, image), 0}, reverse=True):
        try:
            loaded = client.images.load(archive(image, cache, name, leave_out))  # type: ignore[arg-type]
            return str(loaded[0].id)
        except DockerException as error:
            if not leave_out:
                raise EngineError(f"The Docker engine could not load {name}.", why=str(error)) from error
    raise AssertionError("unreachable")


def _for_machine(client: DockerClient, image: Image | Index, name: str) -> Image:
    """Return the image for an engine's machine; one that is alone is taken as it is: it may be emulated."""
    if isinstance(image, Image):
        return image
    machine = str(client.info().get("Architecture"))
    fitting = [one for one in image.images if one.platform[1] == image_toml.architecture_of(machine)]
    if not fitting:
        offered = ", ".join("/".join(one.platform) for one in image.images)
        raise EngineError(f"{name} is for {offered}, and the Docker engine runs on {machine}.")
    return fitting[0]


def _shared_layers(client: DockerClient, image: Image) -> int:
    """Return how many of an image's lowest layers the engine has in another image."""
    diff_ids = [item.layer.diff_id for item in image.layers]
    most = 0
    for other in client.images.list():
        has = other.attrs["RootFS"].get("Layers") or []
        most = max(most, next((n for n, (a, b) in enumerate(zip(diff_ids, has, strict=False)) if a != b), len(has)))
    return min(most, len(diff_ids))
