"""Requests to a registry: with our credentials to it alone, with patience, and with bounds on what it answers."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from webui_fork.config.reference import loopback
from webui_fork.core.errors import RegistryError
from webui_fork.core.text import printable
from webui_fork.oci import auth
from webui_fork.oci.auth import Authenticator
from webui_fork.oci.model import SMALL

if TYPE_CHECKING:
    import requests

TRIES = 4
TIMEOUT = (5.0, 300.0)
SENDING = (120.0, 300.0)  # the first also bounds each piece that is sent, and a registry may flush for long
WHOLE = 120.0  # seconds for all of a small answer, which may come in drops
MAX_WAIT = 60.0  # seconds: what a Retry-After may ask of us
HEADER = 8192  # characters of a header that are read
RETRIED = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Answer:
    """A registry's answer, read whole: it is small."""

    status: int
    headers: Mapping[str, str]
    data: bytes

    def parsed(self) -> dict[str, Any]:
        """Return its JSON object; an empty one where it has none."""
        try:
            value = json.loads(self.data)
        except (ValueError, RecursionError):
            value = None
        return value if isinstance(value, dict) else {}

    @property
    def words(self) -> str:
        """What the registry says is wrong, in its own words, without what a terminal would obey."""
        errors = self.parsed().get("errors")
        rows = [row for row in errors if isinstance(row, dict)] if isinstance(errors, list) else []
        text = "; ".join(f"{row.get('code')}: {row.get('message')}" for row in rows)
        return printable(text or self.data[:400].decode(errors="replace").strip())[:300]


class RegistrySession:
    """Requests to one repository of a registry.

    Args:
        url: as http://127.0.0.1:5000. repository: as open-webui.
        credentials: whose they are. ca: a file of certificates to trust, all of them.
        pause: seconds before the first retry; doubles with each.
        registry: what people call it, where that is not the URL's host.
    """

    def __init__(
        self,
        url: str,
        repository: str,
        pause: float = 0.2,
        credentials: auth.Credentials | None = None,
        ca: str | None = None,
        registry: str = "",
    ) -> None:
        import requests

        from webui_fork.core import wire

        self.url, self.repository = url.rstrip("/"), repository
        host = urlsplit(self.url).netloc
        self._registry = registry or host
        self.base = f"{self.url}/v2/{repository}/"
        self.name = f"{self._registry}/{repository}"
        self.pause = pause
        self._http = wire.session(SMALL)
        # loopback never goes through a proxy; .netrc is not where registries' credentials are
        self._http.trust_env = False
        self._http.verify = ca or True
        # a session cookie would make some registries ask for a browser's token
        self._http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        on_loopback = loopback(host)
        if not on_loopback:
            self._http.proxies = requests.utils.get_environ_proxies(url)
        self._http.headers["User-Agent"] = "webui-fork"
        self._auth = Authenticator(self._registry, credentials, on_loopback=on_loopback)
        self._known = credentials is not None

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def own(self, url: str) -> bool:
        """Tell whether a URL is the registry's own."""
        return _origin(url) == _origin(self.url)

    def open(self, method: str, url: str, **options: Any) -> requests.Response:
        """Send one request; its body is left to read. Our credentials go to the registry itself, and nowhere else."""
        headers = options.pop("headers", {})
        body = options.pop("body", None)
        for last in (False, True):
            response = self._http.request(
                method,
                url,
                headers={**headers, **(self._auth.headers() if self.own(url) else {})},
                data=body() if callable(body) else body,
                timeout=TIMEOUT if body is None else SENDING,
                stream=True,
                **options,
            )
            # a redirect's target may ask for a password, too, and gets none
            if response.status_code != 401 or last or response.history or not self.own(url):
                return response
            scope = f"repository:{self.repository}:{'pull' if method in ('GET', 'HEAD') else 'pull,push'}"
            if not self._auth.answer(self._http, response, scope, TIMEOUT):
                return response
            response.close()
        raise AssertionError("not reached")

    def ask(self, method: str, url: str, **options: Any) -> Answer:
        """Send one request and read its answer, which must be small, and come within `WHOLE` seconds."""
        from webui_fork.core import wire

        try:
            with closing(self.open(method, url, **options)) as response:
                return Answer(response.status_code, response.headers, wire.read(response, SMALL, WHOLE))
        except wire.EndlessError as error:
            raise RegistryError(
                f"The registry {self.name} does not stop answering {method} {url[-80:]}.", why=str(error)
            ) from error

    def attempt(
        self,
        doing: str,
        once: Callable[[], Answer],
        good: frozenset[int],
        again: frozenset[int] = RETRIED,
    ) -> Answer:
        """Do one request, again on passing faults; a body must be made anew by ``once``."""
        import requests

        why, wait, unreachable = "", 0.0, True
        for attempt in range(TRIES):
            if attempt:
                time.sleep(wait)
            wait = self.pause * 2**attempt
            try:
                answer = once()
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                if "CERTIFICATE_VERIFY_FAILED" in str(error):
                    raise self._untrusted(error) from error
                why = f"the connection failed: {_cause(error)}"
                unreachable = unreachable and _never_connected(error)
                continue
            except (requests.RequestException, KeyError, ValueError) as error:
                why = (
                    f"its answer is not of the distribution API: {type(error).__name__}: {printable(str(error))[:200]}"
                )
                unreachable = False
                break
            unreachable = False
            if answer.status in good:
                return answer
            why = f"it answered HTTP {answer.status}: {answer.words}"
            if answer.status in (401, 403):
                raise auth.denied(self._registry, why, self._known)
            if answer.status not in again:
                break
            wait = _patience(answer, wait)
        if unreachable:
            raise RegistryError(
                f"The registry {self.name} can't be reached.",
                why=f"It should {doing}, but {why}.",
                remedy="Is the reference right, and the registry up? A proxy is taken from HTTPS_PROXY and NO_PROXY. "
                "The registry keeps what it already has; run this again to go on.",
            )
        raise RegistryError(
            f"The registry {self.name} failed to {doing}.",
            why=why,
            remedy="It keeps what it already has. Check its log and disk, then run this again to go on.",
        )

    def _untrusted(self, error: Exception) -> RegistryError:
        return RegistryError(
            f"The certificate of {self.name} is not trusted.",
            why=str(error)[:300],
            remedy="Name your CA's certificate in SSL_CERT_FILE (PEM), or put it where Docker has it: "
            "/etc/docker/certs.d/HOST:PORT/ca.crt.",
        )


def _never_connected(error: requests.RequestException) -> bool:
    """Tell whether nobody answered at all: no such name, a closed port, a silent host, no proxy."""
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError

    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, (NewConnectionError, ConnectTimeoutError, ProxyError))


def _cause(error: requests.RequestException) -> str:
    """Return why a connection failed, as far as urllib3 tells."""
    from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError, ProxyError

    reason = getattr(error.args[0], "reason", None) if error.args else None
    words = {
        NameResolutionError: "its name does not resolve",
        ProxyError: "the proxy does not answer",
        NewConnectionError: "nothing listens there",  # a ConnectTimeoutError, too
        ConnectTimeoutError: "it does not answer in time",
    }
    return next((text for kind, text in words.items() if isinstance(reason, kind)), type(error).__name__)


def _origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL, in one form (RFC 6454, 4)."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or {"https": 443}.get(parts.scheme, 80)


def _patience(answer: Answer, wait: float) -> float:
    """Return how many seconds to wait: what the answer's Retry-After says (RFC 9110, 10.2.3), else as planned."""
    retry_after = answer.headers.get("Retry-After", "")
    if re.fullmatch(r"[0-9]{1,6}", retry_after):
        return min(float(retry_after), MAX_WAIT)
    try:
        until = parsedate_to_datetime(retry_after).timestamp()
    except (ValueError, TypeError, OverflowError):
        return wait
    return min(max(until - time.time(), 0.0), MAX_WAIT)
