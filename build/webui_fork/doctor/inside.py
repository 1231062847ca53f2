"""What a Docker engine can tell, if one answers: Open WebUI's container, its neighbours, and a look from the inside.

Read only: containers are inspected, their logs read, and one Python process (`probe.py`) runs beside the server.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from webui_fork.core import strict_json
from webui_fork.core.errors import UsageError
from webui_fork.core.settings import Settings
from webui_fork.core.text import is_loopback
from webui_fork.doctor import probe
from webui_fork.doctor.facts import Neighbour, Room, Seen
from webui_fork.oci import engine

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
_LOG = 200  # lines


@contextmanager
def looking(settings: Settings) -> Iterator[DockerClient | None]:
    """Yield a client of the engine that answers on this machine, or None; none is started."""
    existing = engine.answering(settings)
    try:
        yield existing.client if existing else None
    finally:
        if existing:
            existing.client.close()


def find(client: DockerClient, url: str, name: str | None) -> Container | None:
    """Return the container by name, else the one that publishes the port of a loopback URL.

    Raises:
        UsageError: there is none of that name.
    """
    from docker.errors import DockerException

    if name:
        try:
            return client.containers.get(name)
        except DockerException as error:
            raise UsageError(
                f"There is no container {name}.", why=str(error), remedy="`docker ps -a` lists them."
            ) from error
    return published(client, url)


def published(client: DockerClient, url: str) -> Container | None:
    """Return the running container that publishes the port of a URL of this machine."""
    from docker.errors import DockerException

    parts = urlsplit(url)
    port = str(parts.port or (443 if parts.scheme == "https" else 80))
    if not is_loopback(parts.hostname or ""):
        return None
    with suppress(DockerException):
        for container in client.containers.list():
            bound = container.attrs["NetworkSettings"]["Ports"] or {}
            if any(place["HostPort"] == port for places in bound.values() for place in places or ()):
                return container
    return None


def neighbour(container: Container) -> Neighbour:
    """Return a container's state and the end of its log."""
    from docker.errors import DockerException

    state = container.attrs["State"]
    log: list[str] = []
    with suppress(DockerException):  # a log driver may keep nothing that can be read
        log = container.logs(tail=_LOG).decode(errors="replace").splitlines()
    config = container.attrs["Config"]
    return Neighbour(
        str(container.name),
        str(config["Image"]),
        str(state["Status"]),
        str(state.get("Health", {}).get("Status", "")),
        tuple(log),
    )


def room(container: Container) -> Room:
    """Return what matters of Open WebUI's container."""
    config = container.attrs["Config"]
    env = dict(item.partition("=")[::2] for item in config.get("Env") or ())
    proxies = {key: value for key, value in env.items() if key.lower() in _PROXIES and value}
    return Room(
        itself=neighbour(container),
        labels=dict(config.get("Labels") or {}),
        proxies=proxies,
        redis=env.get("REDIS_URL", ""),
        bypass_access=env.get("BYPASS_MODEL_ACCESS_CONTROL", "").lower() == "true",
        vectors=env.get("PGVECTOR_DB_URL") or env.get("DATABASE_URL", ""),
        data=env.get("DATA_DIR") or "/app/backend/data",
        urls=tuple(filter(None, (env.get("OPENAI_API_BASE_URLS") or env.get("OPENAI_API_BASE_URL", "")).split(";"))),
        sentinel=bool(env.get("REDIS_SENTINEL_HOSTS")) or env.get("REDIS_CLUSTER", "").lower() == "true",
    )


def named(client: DockerClient, container: Container, host: str) -> Neighbour | None:
    """Return the container that another reaches by a name on a network of both."""
    from docker.errors import DockerException

    networks = set(container.attrs["NetworkSettings"]["Networks"])
    with suppress(DockerException):
        for other in client.containers.list(all=True):
            places: Mapping[str, Any] = other.attrs["NetworkSettings"]["Networks"]
            for network in networks & set(places):
                place = places[network] or {}
                names = {other.name, *(place.get("Aliases") or ()), *(place.get("DNSNames") or ())}
                if host in names or host == place.get("IPAddress"):
                    return neighbour(other)
    return None


def ask(container: Container, requests: Iterable[Mapping[str, Any]]) -> list[Seen] | None:
    """Probe URLs from inside a container; None where it has no Python, or does not run."""
    from docker.errors import DockerException

    questions = list(requests)
    code = Path(probe.__file__).read_text(encoding="utf-8")
    for python in ("python3", "python"):
        try:
            out = _run(container, [python, "-I", "-c", code], json.dumps(questions).encode())
            answers, where = strict_json.plain(out), f"in {container.name}"
            pairs = zip(questions, answers, strict=True)
            return [Seen.of(answer or {"url": question["url"], "http": "timeout"}, where) for question, answer in pairs]
        except (DockerException, ValueError, OSError, LookupError, TypeError, AttributeError):  # no Python, say
            continue
    return None


# how many collections of documents the standard image left, and when the connections were stored
QUERIES = (
    ("vector_db/chroma.sqlite3", "SELECT count(*) FROM collections"),
    ("webui.db", "SELECT updated_at FROM config WHERE key = 'openai.api_base_urls'"),
)
_NUMBER = """import pathlib, sqlite3, sys
file = pathlib.Path(sys.argv[1])
print(*sqlite3.connect(file.as_uri() + "?mode=ro", uri=True).execute(sys.argv[2]).fetchone())
"""


def number(container: Container, data: str, file: str, query: str) -> int:
    """Return a number that a database in a data folder has, with one of `QUERIES`; 0 where none can be seen."""
    from docker.errors import DockerException

    try:
        return int(_run(container, ["python3", "-I", "-c", _NUMBER, f"{data}/{file}", query], b""))
    except (DockerException, ValueError, OSError):
        return 0


def _run(container: Container, argv: list[str], text: bytes) -> bytes:
    """Run a program in a container with something on its standard input; return its standard output."""
    from docker.utils.socket import frames_iter

    api = container.client.api  # type: ignore[union-attr]
    execution = api.exec_create(container.id, argv, stdin=True)
    opened = api.exec_start(execution["Id"], socket=True)
    raw: Any = getattr(opened, "_sock", opened)
    try:
        raw.settimeout(90)
        raw.sendall(text)
        raw.shutdown(socket.SHUT_WR)
        frames: Iterator[tuple[int, bytes]] = frames_iter(opened, tty=False)  # type: ignore[no-untyped-call]
        return b"".join(data for stream, data in frames if stream == 1)
    finally:
        for response in (getattr(opened, "_response", None), opened, raw):  # docker-py leaves all three open
            if response is not None:
                with suppress(ValueError, OSError):
                    response.close()
