"""Open WebUI as its users see it, wherever it runs, and the connections that its admin sets."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import requests

ADMIN = "admin@example.org"

Connection = str | tuple[str, dict[str, Any]]
Connections = Sequence[Connection]


def fault(name: str, slot: str = "openai", host: str = "provider:8000") -> str:
    """Return the base URL of a fault of the provider's table."""
    return f"http://{host}/f/{name}" + ("/v1" if slot == "openai" else "")


@dataclass(frozen=True)
class Listing:
    """What a listing answered: status, models, seconds."""

    status: int
    models: tuple[dict[str, Any], ...]
    seconds: float
    failing: tuple[dict[str, Any], ...] = ()

    @property
    def ids(self) -> list[Any]:
        return [model.get("id") for model in self.models]

    def get(self, model_id: str) -> dict[str, Any] | None:
        return next((model for model in self.models if model.get("id") == model_id), None)

    def stale(self, model_id: str = "beside") -> bool:
        """Tell whether a model that is listed is marked as stale."""
        entry = self.get(model_id)
        assert entry, self.ids
        return bool(entry.get("stale", False))


@dataclass(frozen=True)
class Session:
    """A running Open WebUI, and somebody signed in."""

    url: str
    token: str
    password: str = ""

    def call(self, method: str, path: str, *, timeout: float = 30, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return requests.request(method, f"{self.url}{path}", headers=headers, timeout=timeout, **options)

    def models(self, path: str = "/api/models?refresh=true", key: str = "data") -> Listing:
        start = time.monotonic()
        response = self.call("GET", path)
        seconds = time.monotonic() - start
        try:
            answer = response.json() if response.ok else {}
        except ValueError:  # the list of stock may be no JSON
            answer = {}
        return Listing(response.status_code, tuple(answer.get(key, ())), seconds, tuple(answer.get("failing", ())))

    def connect(self, openai: Connections = (), ollama: Connections = (), keys: Sequence[str] | None = None) -> None:
        """Set the connections as the admin's page does; each is a URL, or a URL and its configuration."""
        urls, configs = _split(openai)
        form = {"ENABLE_OPENAI_API": bool(urls), "OPENAI_API_BASE_URLS": urls, "OPENAI_API_CONFIGS": configs}
        form["OPENAI_API_KEYS"] = list(keys or ["key"] * len(urls))
        self.call("POST", "/openai/config/update", json=form).raise_for_status()
        urls, configs = _split(ollama)
        form = {"ENABLE_OLLAMA_API": bool(urls), "OLLAMA_BASE_URLS": urls, "OLLAMA_API_CONFIGS": configs}
        self.call("POST", "/ollama/config/update", json=form).raise_for_status()

    def chat(self, model: str, **options: Any) -> requests.Response:
        """Say something to a model, and wait for all of its answer."""
        form = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": False, **options}
        return self.call("POST", "/api/chat/completions", json=form)

    def sql(self, statement: str, *values: Any) -> None:
        """Change the database behind the server's back."""
        raise NotImplementedError

    def set_config(self, key: str, value: str) -> None:
        """Put a JSON text into the database's configuration."""
        self.sql("INSERT OR REPLACE INTO config (key, value, updated_at) VALUES (?, ?, 0)", key, value)

    def function(self, name: str, content: str) -> None:
        """Install a function and switch it on."""
        form = {"id": name, "name": name, "content": content, "meta": {"description": name}}
        self.call("POST", "/api/v1/functions/create", json=form).raise_for_status()
        self.call("POST", f"/api/v1/functions/id/{name}/toggle").raise_for_status()

    def join_group(self, **config: Any) -> None:
        """Make a group with a configuration, and put whoever is signed in into it."""
        form = {"name": secrets.token_hex(4), "description": "", "data": {"config": config}}
        group = self.call("POST", "/api/v1/groups/create", json=form).json()["id"]
        own = self.call("GET", "/api/v1/auths/").json()["id"]
        self.call("POST", f"/api/v1/groups/id/{group}/users/add", json={"user_ids": [own]}).raise_for_status()

    def signed_up(self, name: str, role: str = "user") -> Self:
        """Return the site as a new user of this admin's sees it."""
        form = {"name": name, "email": f"{name}@example.org", "password": secrets.token_hex(16), "role": role}
        added = self.call("POST", "/api/v1/auths/add", json=form)
        added.raise_for_status()
        return replace(self, token=added.json()["token"])

    def signed_in(self, *, auth: bool) -> Self:
        """Return the site as its admin sees it: the one who needs no password, or the first to sign up."""
        if auth:
            form = {"name": "Admin", "email": ADMIN, "password": secrets.token_hex(16)}
            answer = requests.post(f"{self.url}/api/v1/auths/signup", json=form, timeout=30)
        else:
            form = {"email": "", "password": ""}
            answer = requests.post(f"{self.url}/api/v1/auths/signin", json=form, timeout=30)
        answer.raise_for_status()
        return replace(self, token=answer.json()["token"], password=form["password"])


def _split(connections: Connections) -> tuple[list[str], dict[str, Any]]:
    pairs = [(item, {}) if isinstance(item, str) else item for item in connections]
    return [url for url, _ in pairs], {str(idx): config for idx, (_, config) in enumerate(pairs) if config}
