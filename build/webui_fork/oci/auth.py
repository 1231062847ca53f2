"""Who we are to a registry: credentials from the user's Docker configuration, tokens from the registry's own server.

Sources: the Docker configuration and its credential helpers (read by Docker's own library for Python),
RFC 6750, RFC 7617, and the distribution project's token authentication.
"""

from __future__ import annotations

import base64
import json
import re
import warnings
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from webui_fork.config.reference import HUB, loopback
from webui_fork.core.errors import RegistryError
from webui_fork.core.settings import Secret, Settings

if TYPE_CHECKING:
    import requests

_TOKEN = 1 << 20  # bytes: more than any token has
_CHALLENGE = re.compile(r'(?<![a-zA-Z])([a-zA-Z]{1,40})=(?:"([^"]*)"|([^\s,]+))')
_HEADER = 8192  # characters of a challenge that are read


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name with its secret, or an identity token."""

    user: str
    secret: Secret
    token: Secret | None = None


def of(settings: Settings, registry: str) -> Credentials | None:
    """Return the credentials that `docker login` left for a registry, or None.

    Raises:
        RegistryError: the configuration names a helper that fails.
    """
    folder = settings.environ.get("DOCKER_CONFIG") or str(Path(settings.environ.get("HOME", "/")) / ".docker")
    file = Path(folder) / "config.json"
    if not file.exists():
        return None
    from docker import auth
    from docker.credentials.errors import StoreError
    from docker.errors import DockerException

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a helper is missing becomes an error below
            config = auth.load_config(str(file), credstore_env=dict(settings.environ))
            entry = config.resolve_authconfig(None if registry == HUB else registry)
    except (DockerException, StoreError, ValueError, TypeError, AttributeError, OSError) as error:
        raise RegistryError(
            f"The credentials for {registry} can't be read.",
            why=f"{file}: {type(error).__name__}: {error}",
            remedy=f"`docker login {registry}` writes them anew.",
        ) from error
    if not entry:
        return None
    user = entry.get("username") or entry.get("Username") or ""
    secret = entry.get("password") or entry.get("Password") or ""
    token = entry.get("identitytoken") or entry.get("IdentityToken")
    if not (user or token):
        return None
    return Credentials(user, Secret(secret), Secret(token) if token else None)


class Authenticator:
    """Answers a registry's challenges and puts the answer on later requests.

    Args:
        registry: its name, for messages. credentials: None asks as nobody.
        here: it is on this machine, and so may its token server be, without TLS.
    """

    def __init__(self, registry: str, credentials: Credentials | None, *, on_loopback: bool = False) -> None:
        self._registry, self._credentials, self._here = registry, credentials, on_loopback
        self.header: Secret | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers that go on a request."""
        return {"Authorization": self.header.reveal()} if self.header else {}

    def answer(
        self, http: requests.Session, response: requests.Response, scope: str, timeout: tuple[float, float]
    ) -> bool:
        """Take up the challenge of a 401; return whether asking again may help.

        Args:
            scope: what we are about to do, for a challenge that names none.

        Raises:
            RegistryError: the registry's token server refuses or fails.
        """
        scheme, _, rest = response.headers.get("WWW-Authenticate", "").partition(" ")
        values = {key.lower(): quoted or plain for key, quoted, plain in _CHALLENGE.findall(rest[:_HEADER])}
        before = self.header.reveal() if self.header else ""
        if scheme.lower() == "basic" and self._credentials:
            self.header = Secret(_basic(self._credentials))
        elif scheme.lower() == "bearer" and "realm" in values:
            self.header = Secret("Bearer " + self._token(http, values, scope, timeout))
        else:
            return False
        return self.header.reveal() != before

    def _token(
        self, http: requests.Session, values: Mapping[str, str], scope: str, timeout: tuple[float, float]
    ) -> str:
        import requests

        from webui_fork.core import wire

        realm = values["realm"]
        try:
            parts = urlsplit(realm)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme != "https" and not (self._here and loopback(parts.netloc)):
            raise RegistryError(f"The token server of {self._registry} does not use https: no credentials were sent.")
        query = {"service": values.get("service", ""), "scope": values.get("scope") or scope}
        each = {**query, "scope": query["scope"].split()}  # a parameter for each scope
        credentials = self._credentials
        try:
            if credentials and credentials.token:
                form = {
                    **query,
                    "grant_type": "refresh_token",
                    "refresh_token": credentials.token.reveal(),
                    "client_id": "webui-fork",
                }
                # a redirect would carry them on to whoever it names
                answer = http.post(realm, data=form, timeout=timeout, allow_redirects=False, stream=True)
            else:
                headers = {"Authorization": _basic(credentials)} if credentials else {}
                answer = http.get(
                    realm, params=each, headers=headers, timeout=timeout, allow_redirects=False, stream=True
                )
            with closing(answer):
                answered = json.loads(wire.read(answer, _TOKEN, timeout[1])) if answer.status_code == 200 else {}
        except (requests.RequestException, ValueError, RecursionError) as error:
            raise RegistryError(
                f"The token server of {self._registry} can't be reached.", why=type(error).__name__, remedy="Try again."
            ) from error
        token = (answered.get("token") or answered.get("access_token")) if isinstance(answered, dict) else None
        if not isinstance(token, str):
            raise denied(
                self._registry, f"its token server answered HTTP {answer.status_code}", credentials is not None
            )
        return token


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.user}:{credentials.secret.reveal()}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def denied(registry: str, why: str, logged_in: bool) -> RegistryError:
    """Return the error of a registry that denies access."""
    remedy = (
        f"Check that the account of `docker login {registry}` may do this."
        if logged_in
        else f"No credentials for {registry} in the Docker configuration: run `docker login {registry}` and retry."
    )
    return RegistryError(f"The registry {registry} denied access.", why=f"It says: {why}.", remedy=remedy)
