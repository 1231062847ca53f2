"""Open WebUI's own API, as far as the doctor asks it. Nothing is stored or changed; a chat costs tokens."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

import requests

from webui_fork.core import strict_json, wire
from webui_fork.core.settings import Secret
from webui_fork.core.text import is_private
from webui_fork.doctor.facts import Reply

_LIMIT = 32 << 20  # bytes of an answer
PATIENCE = 25.0  # seconds: stock waits 11 for one silent provider, and asks an Ollama twice


class Site:
    """A session with an Open WebUI; ``token`` is a JWT or an API key of an admin, or None."""

    def __init__(self, url: str, token: Secret | None) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self._session = wire.session(_LIMIT)
        self._session.headers["Connection"] = "close"  # after an error of its own, uvicorn hangs up
        # a proxy of this machine's has no business between us and a private host
        self._session.trust_env = not is_private(urlsplit(self.url).hostname or "")

    def ask(self, path: str, form: dict[str, Any] | None = None, patience: float = PATIENCE) -> Reply:
        """GET a path, or POST a form to one that only looks; never raises for what comes back."""
        headers = {"Authorization": f"Bearer {self.token.reveal()}"} if self.token else {}
        start = time.monotonic()
        try:
            method = "GET" if form is None else "POST"
            answer = self._session.request(
                method, self.url + path, json=form, headers=headers, timeout=patience, allow_redirects=False
            )
        except (requests.RequestException, ValueError) as error:  # ValueError: a token that no header can hold
            return Reply(0, type(error).__name__, time.monotonic() - start)
        seconds = time.monotonic() - start
        try:
            body = strict_json.plain(answer.content)
        except ValueError:
            body = answer.content[:4000].decode("utf-8", "replace")
        return Reply(answer.status_code, body, seconds)

    def stream(self, path: str, form: dict[str, Any], patience: float) -> tuple[int, list[tuple[float, str]], float]:
        """POST a form whose answer is a stream.

        Args:
            path: of the API. form: the request. patience: seconds for each wait.

        Returns:
            The status (0 where none came), each line with the seconds at which it came, and the seconds in all.
        """
        headers = {"Authorization": f"Bearer {self.token.reveal()}"} if self.token else {}
        start, lines, status = time.monotonic(), list[tuple[float, str]](), 0
        try:
            with self._session.post(
                self.url + path, json=form, headers=headers, timeout=patience, stream=True, allow_redirects=False
            ) as answer:
                status = answer.status_code
                with wire.deadline(answer, wire.PATIENCE * patience):
                    for line in wire.lines(answer, _LIMIT):
                        lines.append((time.monotonic() - start, line.decode("utf-8", "replace")))
        except (requests.RequestException, ValueError) as error:
            lines.append((time.monotonic() - start, type(error).__name__))
        return status, lines, time.monotonic() - start

    def sign_in_without_password(self) -> bool:
        """Sign in where WEBUI_AUTH is off; tell whether that worked."""
        answer = self.ask("/api/v1/auths/signin", {"email": "", "password": ""})
        token = answer.body.get("token") if answer.status == 200 and isinstance(answer.body, dict) else None
        if isinstance(token, str):
            self.token = Secret(token)
        return self.token is not None

    def role(self) -> str:
        """Return the role of whose token it is, or "" if the token is not good."""
        answer = self.ask("/api/v1/auths/")
        if answer.status == 200 and isinstance(answer.body, dict):
            return str(answer.body.get("role", ""))
        # that page is for sessions; what an API key may see tells its owner's role
        if self.ask("/openai/config").status == 200:
            return "admin"
        return "user" if self.ask("/api/models").status == 200 else ""

    def close(self) -> None:
        """End the session."""
        self._session.close()
