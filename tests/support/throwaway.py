"""Containers, networks and volumes that go when their context ends."""

from __future__ import annotations

import io
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from docker import DockerClient
from docker.errors import DockerException
from docker.models.containers import Container
from docker.types import IPAMConfig, IPAMPool

from seconds import until
from webui_fork.core.errors import EngineError


@contextmanager
def network(client: DockerClient, subnet: str | None = None) -> Iterator[str]:
    """Make a bridge network for as long as the context lasts; yields its name.

    Args:
        subnet: its addresses, as 10.77.0.0/24, where they have to be known; the first is this machine's.
    """
    pool = IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)]) if subnet else None
    new_network = client.networks.create(f"webui-fork-{uuid.uuid4().hex[:12]}", driver="bridge", ipam=pool)
    try:
        yield str(new_network.name)
    finally:
        with suppress(DockerException):
            new_network.remove()


@contextmanager
def volume(client: DockerClient) -> Iterator[str]:
    """Make a volume for as long as the context lasts; yields its name."""
    new_volume = client.volumes.create(f"webui-fork-{uuid.uuid4().hex[:12]}")
    try:
        yield str(new_volume.name)
    finally:
        with suppress(DockerException):
            new_volume.remove(force=True)


@contextmanager
def frozen(container: Container) -> Iterator[None]:
    """Stop a container's processes for as long as the context lasts; on a busy machine the freezer needs more tries."""
    until(lambda: _tried(container.pause), 120)
    try:
        yield
    finally:
        until(lambda: _tried(container.unpause), 120)


def _tried(change: Callable[[], None]) -> bool:
    try:
        change()
    except DockerException:
        return False
    return True


@contextmanager
def container(
    client: DockerClient,
    image: str,
    *,
    healthy: float | None = None,
    files: Mapping[str, bytes] | None = None,
    **options: Any,
) -> Iterator[Container]:
    """Run a container for as long as the context lasts; it and its anonymous volumes are removed.

    Args:
        image: name or id. healthy: seconds to wait for the image's healthcheck to pass.
        files: put at these absolute paths before it starts.
        options: of docker-py's `containers.create`.

    Raises:
        EngineError: it can't be started, ends, or does not become healthy; the end of its log is in it.
    """
    name = f"webui-fork-{uuid.uuid4().hex[:12]}"
    new_container = None
    try:
        try:
            new_container = client.containers.create(image, name=name, **options)
            for path, data in (files or {}).items():
                new_container.put_archive("/", _one_file(path, data))
            new_container.start()
        except DockerException as error:
            raise EngineError(f"The container of {image} could not be started.", why=str(error)) from error
        if healthy is not None:
            wait_healthy(new_container, healthy)
        yield new_container
    finally:
        if new_container is not None:
            with suppress(DockerException):
                new_container.remove(force=True, v=True)


def _one_file(path: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(path.lstrip("/"))
        info.size, info.mode = len(data), 0o644
        tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def wait_healthy(container: Container, seconds: float) -> None:
    """Wait until a container's healthcheck passes.

    Raises:
        EngineError: it does not within these seconds, or it ends; the end of its log is in it.
    """
    deadline = time.monotonic() + seconds
    state: dict[str, Any] = {}
    while time.monotonic() < deadline:
        container.reload()
        state = container.attrs["State"]
        if state.get("Health", {}).get("Status") == "healthy":
            return
        if state["Status"] in ("exited", "dead"):
            break
        time.sleep(0.2)
    tail = container.logs(tail=25).decode(errors="replace")
    raise EngineError(
        f"The container did not become healthy within {seconds:g} s (it is {state.get('Status', 'gone')}).", why=tail
    )
