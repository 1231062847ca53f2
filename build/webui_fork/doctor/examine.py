"""Gather the facts: from Open WebUI's API, from inside its container where an engine answers, from the model server."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from webui_fork.config import upstream_lock
from webui_fork.core.errors import UsageError
from webui_fork.core.settings import Secret, Settings
from webui_fork.core.strict_json import items
from webui_fork.core.terminal import Terminal
from webui_fork.core.text import counted, is_loopback, is_private, without_secrets
from webui_fork.doctor import chats, inside, native, probe
from webui_fork.doctor.facts import Connection, Facts, Neighbour, Reply, Room, Seen, Server
from webui_fork.doctor.webui import Site

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container


HERE = "from this machine"
BESIDE = "on this machine, where Open WebUI runs"
_STEP = 5.0  # seconds a step of a probe may take


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for: where Open WebUI is, and what else to look at."""

    webui: str
    vllm: str = ""
    image: str = ""
    container: str = ""
    token: Secret | None = None
    vllm_key: Secret | None = None
    chat: bool = False


def secret(settings: Settings, file: str | None, variable: str) -> Secret | None:
    """Return a secret from a file, else from a variable of the environment, else None.

    Raises:
        UsageError: the file can't be read.
    """
    if file:
        try:
            return _header(Path(file).read_text(encoding="utf-8"), file)
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{file} can't be read.", why=str(error)) from error
    value = settings.environ.get(variable, "")
    return _header(value, variable) if value.strip() else None


def _header(value: str, where: str) -> Secret:
    """Return a secret that fits into a header.

    Raises:
        UsageError: it does not; its words do not show it.
    """
    value = value.strip()
    if not value.isascii() or not value.isprintable():
        raise UsageError(f"{where} holds a character that no token has.", remedy="Copy it again, as one line.")
    return Secret(value)


def checked_url(url: str, option: str) -> str:
    """Return a URL without blanks and slashes at its end.

    Raises:
        UsageError: it is none.
    """
    try:
        parts = urlsplit(url.strip())
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise UsageError(
            f"{option} {without_secrets(url)!r} is not a URL.",
            remedy=f"Write it as {option} http://localhost:{8000 if option == '--vllm' else 3000}.",
        )
    return url.strip().rstrip("/")


def run(settings: Settings, request: Request, ui: Terminal) -> Facts:
    """Look at everything once.

    Raises:
        UsageError: the container that was named does not exist.
    """
    site = Site(request.webui, request.token)
    with inside.looking(settings) as client:
        container = inside.find(client, request.webui, request.container or None) if client else None
        if request.container and not client:
            raise UsageError("--container needs a Docker engine, and none answers.")
        openai: dict[str, Any] = {}
        try:
            with ui.step("webui", f"Asking {without_secrets(request.webui)}"):
                facts = _front(settings, request, site, container)
                if facts.config.get("version"):
                    facts, openai = _api(facts, site)
            if facts.role == "admin":
                with ui.step("connections", f"Looking at {counted(len(facts.connections), 'connection')}"):
                    facts = _connections(facts, openai, site, client, container)
            if request.chat and facts.role == "admin":
                with ui.step("chats", f"Chatting with {counted(len(facts.working), 'model')}"):
                    facts = replace(facts, chats=chats.run(site, facts))
        finally:
            site.close()
        facts = _redis(facts, container)
        if container and facts.room:
            collections, stored = (inside.number(container, facts.room.data, *query) for query in inside.QUERIES)
            facts = replace(facts, collections=collections, stored=stored)
        if request.vllm:
            with ui.step("vllm", f"Asking {without_secrets(request.vllm)}"):
                facts = replace(facts, server=_server(request, client))
    given = tuple(secret.reveal() for secret in (site.token, request.vllm_key) if secret)
    return replace(
        facts,
        unchecked=(*facts.unchecked, *_unchecked(request, facts, container)),
        # shorter ones would take words out of the report
        secrets=tuple(value for value in (*facts.secrets, *given) if len(value) >= 6),
    )


def _front(settings: Settings, request: Request, site: Site, container: Container | None) -> Facts:
    front = Seen.of(probe.probe(f"{request.webui}/health", timeout=_STEP), HERE)
    config = site.ask("/api/config", patience=10) if front.status else Reply(0, None, 0.0)
    body = config.body if config.status == 200 and isinstance(config.body, dict) else {}
    room: Room | None = inside.room(container) if container else None
    return Facts(
        without_secrets(request.webui),
        front,
        upstream_lock.read(settings.lock_file).version,
        config.status,
        body,
        room=room,
        native=container is None and native.serves(request.webui),
    )


def _api(facts: Facts, site: Site) -> tuple[Facts, dict[str, Any]]:
    """Ask what an admin may see; returns the connections' configuration, too, which has their keys."""
    features = facts.config.get("features") or {}
    # before the first account is made, signing in would make it
    if site.token is None and features.get("auth") is False and not facts.config.get("onboarding"):
        site.sign_in_without_password()
    role = site.role() if site.token else ""
    ready = _ready(site)
    hangs = ready is not None and not ready.status  # on the database or on Redis; what needs either does, too
    database = site.ask("/health/db", patience=10) if hangs else None
    refused = bool(site.token and not role and not hangs)
    facts = replace(facts, role=role, token_refused=refused, ready=ready, database=database)
    if not role:
        return facts, {}
    if role != "admin":
        return replace(facts, listing=site.ask("/api/models")), {}
    facts = _listing(facts, site)
    openai, ollama = _dict(site.ask("/openai/config")), _dict(site.ask("/ollama/config"))
    # what can't be read is not switched off
    enabled = bool(openai.get("ENABLE_OPENAI_API", not openai)), bool(ollama.get("ENABLE_OLLAMA_API"))
    users = site.ask("/api/v1/users/?page=1")
    facts = replace(
        facts,
        openai_enabled=enabled[0],
        ollama_enabled=enabled[1],
        openai=site.ask("/openai/models") if enabled[0] else None,
        ollama=site.ask("/ollama/api/tags") if enabled[1] else None,
        connections=(*_openai(openai), *_ollama(ollama)),
        pipes=_pipes(site.ask("/api/v1/functions/")),
        records=_records(site),
        users=_count(users.body),
    )
    return facts, openai


def _listing(facts: Facts, site: Site) -> Facts:
    """Ask for the list, fresh: but where the admin has it kept, a refresh would throw away what everybody has."""
    if _dict(site.ask("/api/v1/configs/models")).get("ENABLE_BASE_MODELS_CACHE"):
        kept = "the list as it would be now: the base models cache is on, and a refresh would replace it for everybody"
        return replace(facts, listing=site.ask("/api/models"), unchecked=(kept,))
    return replace(facts, listing=site.ask("/api/models?refresh=true"))


def _ready(site: Site) -> Reply | None:
    """Ask whether database and Redis answer; older releases have no such page."""
    reply = site.ask("/ready", patience=10)
    return reply if isinstance(reply.body, dict) or not reply.status else None


def _dict(reply: Reply) -> dict[str, Any]:
    return reply.body if reply.status == 200 and isinstance(reply.body, dict) else {}


def _count(body: Any) -> int:
    """Return how many accounts are no admin's, of a page of them; what is on other pages may be anybody's."""
    total, rows = (body.get("total"), items(body.get("users"))) if isinstance(body, dict) else (0, items(body))
    users = [row for row in rows if not isinstance(row, dict) or row.get("role") not in ("admin", "pending")]
    return len(users) + max(0, (total if isinstance(total, int) else 0) - len(rows))


def _records(site: Site) -> tuple[dict[str, Any], ...]:
    """Return what the database has about models: of providers, and of the workspace."""
    rows: list[dict[str, Any]] = []
    for path in ("/api/v1/models/all", "/api/v1/models/base", "/api/v1/models/"):
        body = site.ask(path).body
        listed = body if isinstance(body, list) else body.get("items") if isinstance(body, dict) else None
        rows += [row for row in listed or () if isinstance(row, dict)]
    return tuple({str(row.get("id")): row for row in rows}.values())


def _pipes(reply: Reply) -> tuple[str, ...]:
    rows = reply.body if isinstance(reply.body, list) else []
    return tuple(
        str(row.get("id"))
        for row in rows
        if isinstance(row, dict) and row.get("type") == "pipe" and row.get("is_active")
    )


def _config_of(configs: Any, index: int, url: str) -> dict[str, Any]:
    config = configs.get(str(index), configs.get(url)) if isinstance(configs, dict) else None
    return config if isinstance(config, dict) else {}


def _openai(config: dict[str, Any]) -> tuple[Connection, ...]:
    if not config.get("ENABLE_OPENAI_API"):
        return ()
    keys = items(config.get("OPENAI_API_KEYS"))
    connections = []
    for index, url in enumerate(map(str, items(config.get("OPENAI_API_BASE_URLS")))):
        own = _config_of(config.get("OPENAI_API_CONFIGS"), index, url)
        if url and own.get("enable", True):
            keyed = index < len(keys) and bool(keys[index])
            models = tuple(map(str, items(own.get("model_ids"))))
            connections.append(Connection("OpenAI", index, url, models, keyed))
    return tuple(connections)


def _ollama(config: dict[str, Any]) -> tuple[Connection, ...]:
    if not config.get("ENABLE_OLLAMA_API"):
        return ()
    return tuple(
        Connection("Ollama", index, url)
        for index, url in enumerate(map(str, items(config.get("OLLAMA_BASE_URLS"))))
        if url and _config_of(config.get("OLLAMA_API_CONFIGS"), index, url).get("enable", True)
    )


def _connections(
    facts: Facts, openai: dict[str, Any], site: Site, client: DockerClient | None, container: Container | None
) -> Facts:
    looked = []
    for item in facts.connections:
        key = _key_of(openai, item)
        path = "/openai/verify" if item.slot == "OpenAI" else "/ollama/verify"
        config = _config_of(openai.get("OPENAI_API_CONFIGS"), item.index, item.url) if item.slot == "OpenAI" else {}
        verified = site.ask(path, {"url": item.url, "key": key.reveal(), "config": config})
        seen = replace(item, verified=verified, behind=_behind(client, container, item))
        looked.append(_probed(seen, key, container, beside=facts.native))
    keys = tuple(str(key) for key in items(openai.get("OPENAI_API_KEYS")))
    return replace(facts, connections=tuple(looked), secrets=keys)


def _key_of(config: dict[str, Any], item: Connection) -> Secret:
    keys = items(config.get("OPENAI_API_KEYS"))
    return Secret(str(keys[item.index]) if item.slot == "OpenAI" and item.index < len(keys) else "")


def _behind(client: DockerClient | None, container: Container | None, item: Connection) -> Neighbour | None:
    return inside.named(client, container, item.host) if client and container and item.host else None


def _probed(item: Connection, key: Secret, container: Container | None, *, beside: bool) -> Connection:
    """Ask a connection's URLs as the server does: from inside where that is possible, else from here.

    Args:
        item: the connection.
        key: the one stored for it.
        container: Open WebUI's.
        beside: it runs on this machine, without a container.
    """
    url, base = item.url, item.url.strip().rstrip("/")
    scheme, mark, rest = base.partition("://")
    root = f"{scheme}{mark}{rest.partition('/')[0]}/"
    if item.slot == "Ollama":
        urls = [f"{url}/api/tags", root, root]
    else:
        # as it is written; with what may be missing; and without what may be too much, or what answers at all
        urls = [f"{url}/models", f"{base}/v1/models", f"{base}/models" if url != base else root]
    headers = {"Authorization": f"Bearer {key.reveal()}"} if key.reveal() else {}
    probes: list[dict[str, Any]] = [{"url": address, "headers": headers, "timeout": _STEP} for address in urls]
    seen = inside.ask(container, probes) if container else None
    if beside:
        seen = [Seen.of(probe.probe(**request), BESIDE) for request in probes]
    if seen is None:
        if container is None and is_loopback(item.host):
            return item  # would be this machine's own
        # from here the name may be another server's: the stored key stays where it is
        seen = [Seen.of(probe.probe(request["url"], timeout=_STEP), HERE) for request in probes]
        if seen[0].dns and is_private(item.host):
            return item  # a name of a network that this machine is not on: no evidence
    return replace(item, base=seen[0], at_v1=seen[1] if item.slot == "OpenAI" else None, root=seen[2])


def _redis(facts: Facts, container: Container | None) -> Facts:
    """Open a connection to Redis from inside, where Open WebUI itself does not say that it answers."""
    room, ready = facts.room, facts.ready
    if not (room and room.redis and container) or room.sentinel or (ready and ready.status == 200):
        return facts
    try:
        parts = urlsplit(room.redis)
        where = f"{parts.hostname}:{parts.port or 6379}"
    except ValueError:
        return facts
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        return facts
    seen = inside.ask(container, [{"url": f"http://{where}/", "timeout": _STEP, "connect_only": True}])
    return replace(facts, redis=seen[0] if seen else None)


def _server(request: Request, client: DockerClient | None) -> Server:
    base = request.vllm.removesuffix("/v1")
    headers = {"Authorization": f"Bearer {request.vllm_key.reveal()}"} if request.vllm_key else {}
    health = Seen.of(probe.probe(f"{base}/health", timeout=_STEP), HERE)
    models = Seen.of(probe.probe(f"{base}/v1/models", headers, _STEP), HERE)
    behind = inside.published(client, request.vllm) if client else None
    return Server(
        request.vllm, health, models, request.vllm_key is not None, inside.neighbour(behind) if behind else None
    )


def _unchecked(request: Request, facts: Facts, container: Container | None) -> tuple[str, ...]:
    out = []
    if facts.config.get("version") and not facts.role:
        out.append("connections, functions, access: set OPEN_WEBUI_TOKEN to a token of an admin (or --token-file)")
    if facts.native:
        out.append("its environment: HTTP_PROXY and NO_PROXY may be set in the shell or service that started it")
    elif container is None:
        out.append("the view from inside: no Docker engine with Open WebUI's container answers here (--container NAME)")
    if not request.vllm:
        out.append("the model server by itself: --vllm URL")
    if not request.chat:
        out.append("whether the models answer: --chat, which costs a few tokens")
    elif facts.role != "admin":
        out.append("whether the models answer: --chat needs a token of an admin")
    if not request.image:
        out.append("the image's signature: --image REF")
    return tuple(out)
