"""Ask one URL step by step, as Open WebUI's server would, and say what happened at each step.

The standard library alone: the doctor runs this very file inside a container, too, through the python3 there.
Input and output are JSON, and input comes on standard input, so that a key is in no command line.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import http.client
import json
import socket
import ssl
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

BODY = 256 * 1024  # bytes of an answer that are looked at
PATIENCE = 15.0  # seconds for a whole answer


def _look_up(host: str, port: int, timeout: float, out: dict[str, Any]) -> list[Any]:
    """Resolve a name; in a thread, since nothing else bounds it."""
    addresses: list[Any] = []
    failed: list[str] = []

    def look_up() -> None:
        try:
            addresses.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            failed.append(str(error))

    start = time.monotonic()
    worker = threading.Thread(target=look_up, daemon=True)
    worker.start()
    worker.join(timeout)
    out["dns_seconds"] = round(time.monotonic() - start, 3)
    if not addresses:
        out["dns"] = failed[0] if failed else f"no answer within {timeout:g} s"
    return addresses


def _open(addresses: list[Any], timeout: float, out: dict[str, Any]) -> socket.socket | None:
    for family, kind, protocol, _, address in addresses:
        opened = socket.socket(family, kind, protocol)
        opened.settimeout(timeout)
        try:
            opened.connect(address)
        except OSError as error:
            opened.close()
            late = isinstance(error, TimeoutError)
            out["connect"] = (
                "refused" if error.errno == errno.ECONNREFUSED else "timeout" if late else error.strerror or str(error)
            )
            continue
        out["connect"] = ""
        return opened
    return None


def _secure(opened: socket.socket, host: str, out: dict[str, Any]) -> socket.socket | None:
    try:
        return ssl.create_default_context().wrap_socket(opened, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        out["tls"] = f"certificate: {error.verify_message}"
    except ssl.SSLError as error:
        out["tls"] = error.reason or str(error)
    except OSError as error:
        out["tls"] = str(error)
    opened.close()
    return None


def _read(connection: http.client.HTTPConnection, target: str, headers: dict[str, str]) -> dict[str, Any]:
    """Send a GET and return the answer's parts."""
    start = time.monotonic()
    out: dict[str, Any] = {"status": 0, "type": "", "location": "", "body": "", "http": ""}
    try:
        connection.request("GET", target, headers={"Accept": "*/*", "Connection": "close", **headers})
        answer = connection.getresponse()
        out["status"] = answer.status
        for key, header in (("type", "Content-Type"), ("location", "Location")):
            out[key] = answer.headers.get(header) or ""
        body = b""
        # a time-out of the socket is one of a single read: what drips has an end, too
        while len(body) < BODY and (piece := answer.read1(BODY - len(body))):
            body += piece
            if time.monotonic() - start > PATIENCE:
                raise TimeoutError
        out["body"] = body.decode(errors="replace")
    except ValueError:  # its words would have the header's value
        out["http"] = "the key has a character that no header can hold"
    except (OSError, http.client.HTTPException) as error:
        out["http"] = "timeout" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}".rstrip(": ")
    return out


def _proxy_of(scheme: str, host: str) -> str:
    """Return the proxy that aiohttp takes with trust_env, or "": it asks Python's own reading of the variables."""
    bypassed: Callable[[str], bool] = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
    if bypassed(host):
        return ""
    return urllib.request.getproxies_environment().get(scheme, "")


def _through(proxy: str, url: str, host: str, port: int, headers: dict[str, str], timeout: float) -> dict[str, Any]:
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    target = urlsplit(url)
    sent_headers = headers if target.scheme == "https" else {}  # a key is not shown to a proxy
    url = target._replace(netloc=target.netloc.rpartition("@")[2]).geturl()
    if parts.username:  # the proxy's own name and password, as aiohttp sends them
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        sent_headers = {**sent_headers, "Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    try:
        where = (parts.hostname or "", parts.port or 80)
        if target.scheme == "https":
            tunnel = http.client.HTTPSConnection(*where, timeout=timeout)
            tunnel.set_tunnel(
                host, port, {key: sent_headers.pop(key) for key in ("Proxy-Authorization",) if key in sent_headers}
            )
            with contextlib.closing(tunnel):
                return _read(tunnel, target.path or "/", sent_headers)
        with contextlib.closing(http.client.HTTPConnection(*where, timeout=timeout)) as plain:
            return _read(plain, url, sent_headers)
    except (OSError, ValueError) as error:
        return {
            "status": 0,
            "http": type(error).__name__,
            "body": "",
            "type": "",
            "location": "",
        }


def probe(
    url: str, headers: dict[str, str] | None = None, timeout: float = 10.0, *, connect_only: bool = False
) -> dict[str, Any]:
    """Ask a URL, directly and, where the environment names one for it, through a proxy.

    Args:
        url: http:// or https://. headers: such as Authorization. timeout: seconds of each step.
        connect_only: open a connection, and send nothing.

    Returns:
        `dns`, `connect`, `tls`, `http`: what went wrong there, or ""; `status`, `type`, `location`, `body`,
        `dns_seconds`; `proxy`: without its password; `proxied`: its answer.
    """
    out: dict[str, Any] = {
        "url": url, "dns": "", "connect": "", "tls": "", "http": "", "status": 0, "type": "",
        "location": "", "body": "", "dns_seconds": 0.0, "proxy": "", "proxied": None,
    }  # fmt: skip
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        return {**out, "dns": f"not a URL: {error}"}
    if parts.scheme not in ("http", "https") or not host:
        return {**out, "dns": "not a URL of a host with http:// or https://"}
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not connect_only and (proxy := _proxy_of(parts.scheme, host)):
        out["proxy"] = proxy.rpartition("@")[2].removeprefix("http://")
        out["proxied"] = _through(proxy, url, host, port, headers or {}, timeout)
    if not (addresses := _look_up(host, port, timeout, out)) or (opened := _open(addresses, timeout, out)) is None:
        return out
    if connect_only:
        opened.close()
        return out
    if parts.scheme == "https" and (opened := _secure(opened, host, out)) is None:
        return out
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    connection.sock = opened
    with contextlib.closing(connection):
        out.update(_read(connection, target, {"Host": parts.netloc.rpartition("@")[2], **(headers or {})}))
    return out


def main() -> None:
    """Probe each request of a JSON list on standard input; print the answers as a JSON list."""
    questions = json.load(sys.stdin)
    answers: list[Any] = [None] * len(questions)

    def one(index: int, request: dict[str, Any]) -> None:
        answers[index] = probe(**request)

    workers = [threading.Thread(target=one, args=item, daemon=True) for item in enumerate(questions)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    json.dump(answers, sys.stdout)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
