"""What the doctor saw, as frozen values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from webui_fork.core import strict_json
from webui_fork.core.text import without_secrets


def model_ids(value: Any) -> tuple[str, ...] | None:
    """Return the ids of an OpenAI list of models, or None if it is no such list."""
    rows = value.get("data") if isinstance(value, dict) else value if isinstance(value, list) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and isinstance(row.get("id"), str) for row in rows):
        return None
    return tuple(row["id"] for row in rows)


def tags(value: Any) -> tuple[str, ...] | None:
    """Return the names of an Ollama's list of models, or None if it is no such list."""
    rows = value.get("models") if isinstance(value, dict) else None
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and isinstance(row.get("model"), str) for row in rows
    ):
        return None
    return tuple(row["model"] for row in rows)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a probe of a URL saw, step by step, and from where (:mod:`webui_fork.doctor.probe`); times in seconds."""

    url: str
    where: str
    dns: str = ""
    connect: str = ""
    tls: str = ""
    http: str = ""
    status: int = 0
    type: str = ""
    location: str = ""
    body: str = ""
    dns_seconds: float = 0.0
    proxy: str = ""
    proxied: Seen | None = None

    @classmethod
    def of(cls, answer: Mapping[str, Any], where: str) -> Seen:
        """Return a probe's answer as a value."""
        plain = {key: answer[key] for key in answer if key in cls.__slots__ and key not in ("proxied", "where")}
        proxied = answer.get("proxied")
        inner = cls.of({"url": answer["url"], **proxied}, where) if proxied else None
        return cls(**plain, where=where, proxied=inner)

    @property
    def json(self) -> Any:
        """The body as JSON, or None."""
        try:
            return strict_json.plain(self.body)
        except ValueError:
            return None

    @property
    def trouble(self) -> str:
        """Why no HTTP answer came, or ""."""
        return self.dns or self.connect or self.tls or self.http

    @property
    def words(self) -> str:
        """What came, for people."""
        if self.trouble:
            return f"{self.trouble} (asked {self.where})"
        kind = self.type.partition(";")[0] or "no type"
        return f"answers {self.status}, {kind} (asked {self.where})"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of Open WebUI's own API; ``status`` 0 where none came within its time."""

    status: int
    body: Any
    seconds: float


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A container: its state, its health ("" without a healthcheck), the end of its log."""

    name: str
    image: str
    state: str
    health: str
    log: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Room:
    """The container that Open WebUI runs in, and what of its environment matters here.

    ``vectors`` is the database that slim searches documents in; ``data`` is the folder that a volume stands at;
    ``urls`` are the OpenAI connections that the environment names.
    """

    itself: Neighbour
    labels: Mapping[str, str]
    proxies: Mapping[str, str]
    redis: str
    bypass_access: bool
    sentinel: bool = False
    vectors: str = ""
    data: str = "/app/backend/data"
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection of Open WebUI's to a provider.

    ``verified`` is what the server answers when asked to verify it; ``base``, ``at_v1`` and ``root`` are probes of
    its list, of the list below /v1, and of what answers at all. ``behind`` is the container of that name, if known.
    """

    slot: str
    index: int
    url: str
    manual: tuple[str, ...] = ()
    keyed: bool = False
    verified: Reply | None = None
    base: Seen | None = None
    at_v1: Seen | None = None
    root: Seen | None = None
    behind: Neighbour | None = None

    @property
    def name(self) -> str:
        """What people call it: slot, number as the settings page counts, URL without secrets."""
        return f"{self.slot} connection {self.index + 1} ({without_secrets(self.url)})"

    @property
    def host(self) -> str:
        """The host of its URL, or ""."""
        try:
            return urlsplit(self.url.strip()).hostname or ""
        except ValueError:
            return ""


@dataclass(frozen=True, slots=True)
class Server:
    """The model server that the user names, as this machine sees it."""

    url: str
    health: Seen
    models: Seen
    keyed: bool
    behind: Neighbour | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered to one request; times in seconds.

    ``kind`` names the request (`plain`, `streamed`, `tool`, `no tools`, `embedding`, `long`). ``words`` are the
    error's, or the beginning of the answer. Of a stream: ``first``, until the first token; ``gap``, the longest wait;
    ``tokens``.
    """

    kind: str
    status: int
    words: str = ""
    seconds: float = 0.0
    first: float = 0.0
    gap: float = 0.0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation with a model of OpenAI connection ``number``; ``limit`` is its `max_model_len`, 0 if unknown."""

    model: str
    number: int
    limit: int
    answers: tuple[Answer, ...]

    def to(self, kind: str) -> Answer | None:
        """Return what it said to a request of this kind, None where it was not asked."""
        return next((answer for answer in self.answers if answer.kind == kind), None)


@dataclass(frozen=True, slots=True)
class Image:
    """What verifying an image said: the checks that failed, or why none could be made."""

    ref: str
    bad: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was seen. What could not be looked at is None or empty.

    ``users``: accounts that are no admin's. ``database``: asked by itself where ``ready`` gives no answer.
    ``native``: Open WebUI is a process of this machine, so that what is seen from here is what it sees.
    ``stored``: when the OpenAI connections were stored, in seconds since 1970; 0 if unknown.
    """

    url: str
    front: Seen
    pinned: str
    config_status: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)
    role: str = ""
    token_refused: bool = False
    ready: Reply | None = None
    database: Reply | None = None
    listing: Reply | None = None
    openai: Reply | None = None
    ollama: Reply | None = None
    openai_enabled: bool = True
    ollama_enabled: bool = False
    connections: tuple[Connection, ...] = ()
    pipes: tuple[str, ...] = ()
    records: tuple[Mapping[str, Any], ...] = ()
    users: int = 0
    room: Room | None = None
    native: bool = False
    redis: Seen | None = None
    collections: int = 0
    stored: int = 0
    server: Server | None = None
    image: Image | None = None
    chats: tuple[Chat, ...] = ()
    unchecked: tuple[str, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def inside(self) -> bool:
        """Whether probes were made from where the server is."""
        return self.native or self.room is not None

    @property
    def redis_hangs(self) -> bool:
        """Whether the page that asks database and Redis gives no answer, and the database by itself does."""
        hangs = self.ready is not None and not self.ready.status
        return hangs and self.database is not None and self.database.status == 200

    @property
    def slim(self) -> bool:
        """Whether the server says that it has the slim set of packages (since 0.12)."""
        features = self.config.get("features")
        return isinstance(features, dict) and features.get("slim") is True

    @property
    def listed(self) -> tuple[str, ...]:
        """The ids of the models that the admin's list has."""
        return (model_ids(self.listing.body) or ()) if self.listing else ()

    @property
    def switched_off(self) -> frozenset[str]:
        """The ids of models that an admin has switched off."""
        return frozenset(str(row.get("id")) for row in self.records if row.get("is_active") is False)

    @property
    def fresh(self) -> tuple[dict[str, Any], ...]:
        """The entries of models of OpenAI connections that have just listed them."""
        body = self.listing.body if self.listing else None
        rows = body["data"] if isinstance(body, dict) and model_ids(body) else []
        return tuple(row for row in rows if _fresh(row))

    @property
    def working(self) -> frozenset[int]:
        """The numbers of OpenAI connections that have models in the list, fresh ones."""
        return frozenset(row["urlIdx"] for row in self.fresh)


def first_models(facts: Facts) -> tuple[tuple[int, str, int], ...]:
    """Return number, id and `max_model_len` (0 if unknown) of the first fresh model of each OpenAI connection."""
    rows: dict[int, tuple[int, str, int]] = {}
    for row in facts.fresh:
        inner = row.get("openai")
        limit = inner.get("max_model_len") if isinstance(inner, dict) else None
        number = row["urlIdx"]
        rows.setdefault(number, (number, row["id"], limit if isinstance(limit, int) else 0))
    return tuple(rows[number] for number in sorted(rows))


def _fresh(row: dict[str, Any]) -> bool:
    return row.get("owned_by") == "openai" and isinstance(row.get("urlIdx"), int) and not row.get("stale")
