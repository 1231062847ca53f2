"""Rules about one connection: why its provider's models are not in the list. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from webui_fork.core.text import counted, is_loopback, is_private, port_of, without_secrets
from webui_fork.doctor.facts import Connection, Facts, Neighbour, Seen, model_ids, tags
from webui_fork.doctor.findings import Finding, Severity

SLOW_NAME = 1.0  # seconds
SLOW_ANSWER = 3.0  # seconds
PLACE = "Admin Panel, Settings, Connections"
_CRITICAL, _WARNING, _INFO = Severity
_LOADING = re.compile(r"(?i)loading|load_model|weights|compil|graph captur|engine core|initializ")
_REASONS = ("detail", "error", "message")  # where an answer says what is wrong, outermost first
_UP = re.compile(r"Application startup complete|throughput|\"(GET|POST) /")


def findings(facts: Facts) -> Iterator[Finding]:
    """Yield the first cause of each connection that does not list, and what makes one fragile."""
    for item in facts.connections:
        if not _lists(item):
            yield from _cause(facts, item)
        elif item.slot == "OpenAI" and item.url != item.url.strip().rstrip("/"):
            yield _slash(item, _INFO)
        elif item.slot == "OpenAI" and item.base and model_ids(item.base.json) is None:  # this fork's image forgives it
            yield from (replace(missing, severity=_INFO) for missing in [_v1(facts, item)] if missing)
        if item.base and not item.base.dns and item.base.dns_seconds > SLOW_NAME:
            yield _slow_name(item, item.base)


def _cause(facts: Facts, item: Connection) -> Iterator[Finding]:
    rules = _OLLAMA if item.slot == "Ollama" else _OPENAI
    if _heard(item):  # what a probe from elsewhere, or with other settings, meets on the way is not the cause
        rules = tuple(rule for rule in rules if rule not in (_dns, _connect, _tls))
    finding = next(filter(None, (rule(facts, item) for rule in rules)), None)
    if item.slot == "OpenAI" and item.index in facts.working and (not item.manual or _answers(item)):
        if finding:
            yield replace(finding, severity=_INFO)  # this fork's image forgives it
    elif finding:
        yield finding
    elif item.slot == "OpenAI" and item.verified and item.verified.status != 200:
        yield _unexplained(facts, item)


def _answers(item: Connection) -> bool:
    """Tell whether the server gets an answer at all: one whose models are entered by hand may have no list."""
    return item.verified is not None and item.verified.status in (404, 405)


def _lists(item: Connection) -> bool:
    """Tell whether the server itself gets a list of models from a connection at the URL as it is written."""
    if item.verified is None or item.verified.status != 200:
        return False
    if item.slot == "Ollama":
        return isinstance(item.verified.body, dict) and "version" in item.verified.body
    return model_ids(item.verified.body) is not None and not _slashed(item)


def _slashed(item: Connection) -> bool:
    return (
        item.url.strip().endswith("/") and bool(item.base) and model_ids(item.base.json if item.base else None) is None
    )


def _code(item: Connection) -> str:
    """Return the cause that this fork's image names when it verifies a connection, or ""."""
    body = item.verified.body if item.verified else None
    error = body.get("error") if isinstance(body, Mapping) else None
    return str(error.get("code", "")) if isinstance(error, Mapping) else ""


def _heard(item: Connection) -> bool:
    """Tell whether the provider answered Open WebUI itself."""
    status = item.verified.status if item.verified else 0
    return status in (401, 403, 404, 405) or _code(item) in ("key", "not_found", "answer")


def _reported(item: Connection) -> tuple[str, ...]:
    """Return the server's own words about a connection."""
    if item.verified is None:
        return ()
    words = reason(item.verified.body, item.verified.status)
    return (f"Open WebUI's own check: {item.verified.status or 'no answer'} {words}".rstrip(),)


def reason(body: Any, status: int) -> str:
    """Return an error's words once, in one line: a page of HTML begins with them twice, stock's own may be empty.

    Args:
        body: of the answer, JSON or text. status: of the answer; 0 where none came.
    """
    while isinstance(body, Mapping) and (inner := [body[key] for key in _REASONS if body.get(key)]):
        body = inner[0]
    words = re.sub(r"\s+", " ", re.sub(r"<[^<>]+>", " ", str(body)[:4000])).strip()
    words = re.sub(rf"^(?:{status} )+", "", f"{words} ").strip() if status else words
    words = re.sub(r"^(.+?) \1(?= |$)", r"\1", words[:1000])
    words = re.sub(r"^Unexpected error:? ?", "", words).strip(" :")
    return words[:160] or "(it gives no reason)"


def seen_words(*probes: Seen | None) -> tuple[str, ...]:
    """Return a line of evidence for each probe that was made."""
    return tuple(f"{without_secrets(seen.url)}: {seen.words}" for seen in probes if seen)


def _url(_facts: Facts, item: Connection) -> Finding | None:
    if not item.base or not item.base.dns.startswith("not a URL"):
        return None if _code(item) != "url" else _make("url", item, "is not a URL.", "", _reported(item))
    return _make("url", item, "is not a URL.", f"{PLACE}: write it as http://HOST:PORT/v1.", (item.base.dns,))


def _proxy(facts: Facts, item: Connection) -> Finding | None:
    """Find a proxy between them, as Python (and so aiohttp) reads the variables."""
    seen, answer = item.base, str(item.verified.body if item.verified else "")
    status = item.verified.status if item.verified else 0
    # a proxy of this machine's is not the server's: only what was seen from inside counts
    passed = seen.proxied if seen and facts.room else None
    named = re.search(r"(?i)tinyproxy|squid|privoxy", answer) and status in (403, 407, 500, 502, 503, 504)
    looks = bool(named) and (facts.room is None or bool(facts.room.proxies))
    between = passed is not None and (is_private(item.host) or not (seen and seen.trouble))
    # as good or bad as without it (401: the key is not shown to it): then it is not the cause
    if passed and seen and passed.status and passed.status in (200, 401, seen.status):
        between = looks = False
    if not looks and not between and _code(item) != "proxy":
        return None
    port = port_of(item.url)
    evidence = _reported(item)
    variables = facts.room.proxies if facts.room else {}
    evidence += tuple(f"in its environment: {key}={without_secrets(value)}" for key, value in sorted(variables.items()))
    if seen and seen.proxied:
        evidence += (f"through {seen.proxy}: {seen.proxied.words}",)
    if seen and not seen.trouble:
        evidence += (f"directly: {seen.words}",)
    fix = (
        f"Start Open WebUI with NO_PROXY={item.host},localhost,127.0.0.1 (and the same as no_proxy).\n"
        f"Stock compares names and their ends: {item.host} and .{item.host} work, "
        f"{'10.0.0.0/8' if _numeric(item.host) else '*.' + item.host}"
        f"{f' and {item.host}:{port}' if port else ''} do not."
    )
    return _make("proxy", item, "is asked through a proxy that can't reach it.", fix, evidence)


def _numeric(host: str) -> bool:
    return bool(re.fullmatch(r"[\d.]+|.*:.*", host))


def _dns(facts: Facts, item: Connection) -> Finding | None:
    if not (item.base and item.base.dns) and _code(item) != "dns":
        return None
    evidence = seen_words(item.base) + _reported(item)
    container = facts.room.itself.name if facts.room else "CONTAINER"
    fix = (
        "Use a name that Open WebUI's machine resolves. In Docker, both containers need a common network, on which\n"
        f"the service's or container's name resolves: `docker network connect NETWORK {container}`. A server on the\n"
        "host itself is http://host.docker.internal:PORT/v1, with --add-host host.docker.internal:host-gateway."
    )
    return _make("dns", item, f"has a name that does not resolve: {item.host}.", fix, evidence)


def _loading(facts: Facts, item: Connection) -> Finding | None:
    behind = item.behind or (facts.server.behind if facts.server and _same(facts, item) else None)
    if item.base and item.base.status:
        return None
    line = behind and still_loading(behind)
    if not behind or not line:
        return None
    return loading_words(item.name, behind, line, seen_words(item.base))


def _same(facts: Facts, item: Connection) -> bool:
    assert facts.server
    on_host = is_loopback(urlsplit(facts.server.url).hostname or "") and item.host == "host.docker.internal"
    same = on_host or urlsplit(facts.server.url).hostname == item.host
    return same and port_of(facts.server.url) == port_of(item.url)


def still_loading(behind: Neighbour) -> str:
    """Return the last line of a model server's log that tells it is on its way up, or ""."""
    is_vllm = "vllm" in f"{behind.image} {' '.join(behind.log)}".lower()
    up = behind.health == "healthy" or any(_UP.search(line) for line in behind.log)
    if not is_vllm or up or behind.state != "running":
        return ""
    lines = [line.strip() for line in behind.log if _LOADING.search(line)]
    return lines[-1] if lines else ("its healthcheck says: starting" if behind.health == "starting" else "")


def loading_words(name: str, behind: Neighbour, line: str, evidence: tuple[str, ...]) -> Finding:
    """Return the finding of a vLLM on its way up.

    Args:
        name: what people call it.
        behind: its container.
        line: of its log, that tells.
        evidence: what else shows it.
    """
    what = f"{name} points at a vLLM that is still loading its model."
    state = behind.health or behind.state
    log = f"container {behind.name} ({state}): {line[-160:]}"
    fix = f"Wait: `docker logs -f {behind.name}` ends in `Application startup complete.`; then refresh the list."
    return Finding("vllm-loading", _CRITICAL, what, (log, *evidence), fix)


def _stopped(_facts: Facts, item: Connection) -> Finding | None:
    if not item.behind or item.behind.state == "running":
        return None
    evidence = (
        f"container {item.behind.name} is {item.behind.state}",
        *(f"its log: {x}" for x in item.behind.log[-3:]),
    )
    fix = f"`docker logs {item.behind.name}` says why; then `docker start {item.behind.name}`."
    return _make("provider-stopped", item, "points at a container that is not running.", fix, evidence)


def _connect(facts: Facts, item: Connection) -> Finding | None:
    trouble = (item.base.connect if item.base else "") or {"refused": "refused", "timeout": ""}.get(_code(item), "")
    if not trouble:
        return None
    evidence = seen_words(item.base) + _reported(item)
    if is_loopback(item.host) and facts.room:
        fix = (
            "In a container, localhost is the container itself: use the service's name (http://vllm:8000/v1), or\n"
            "http://host.docker.internal:PORT/v1 with --add-host host.docker.internal:host-gateway."
        )
        return _make("localhost", item, "points at Open WebUI's own container.", fix, evidence)
    if trouble == "refused":
        fix = (
            "Start it, check the port, and let it listen on every address (vllm serve --host 0.0.0.0), not only on\n"
            "127.0.0.1. Inside Docker the port is the container's, not the published one."
        )
        return _make("refused", item, "refuses the connection: nothing listens on that port.", fix, evidence)
    fix = "Check firewalls (or a NetworkPolicy) between Open WebUI and it, and the address."
    return _make("unreachable", item, f"can't be reached: {trouble}.", fix, evidence)


def _tls(_facts: Facts, item: Connection) -> Finding | None:
    trouble = item.base.tls if item.base else ""
    if not trouble and _code(item) not in ("tls", "certificate"):
        return None
    evidence = seen_words(item.base) + _reported(item)
    if trouble.startswith("certificate") or _code(item) == "certificate":
        fix = (
            "Give the server a certificate for that name, or make Open WebUI trust the CA: mount it and set\n"
            "SSL_CERT_FILE to a bundle that has it."
        )
        return _make("tls-certificate", item, "shows a certificate that is not trusted.", fix, evidence)
    fix = f"It may speak plain HTTP: try {without_secrets(item.url.strip()).replace('https://', 'http://', 1)}."
    return _make("tls", item, "does not speak TLS as it should.", fix, evidence)


def _v1(_facts: Facts, item: Connection) -> Finding | None:
    good = item.at_v1 is not None and model_ids(item.at_v1.json) is not None
    base = item.url.strip().rstrip("/")
    nothing_here = (item.verified is not None and item.verified.status in (404, 405)) or _code(item) == "not_found"
    unseen = nothing_here and (item.at_v1 is None or bool(item.at_v1.trouble)) and "/v1" not in base
    if not good and not unseen and _code(item) != "at_v1":
        return None
    count = len(model_ids(item.at_v1.json) or ()) if item.at_v1 else 0
    listing = () if unseen else (f"{without_secrets(base)}/v1/models: lists {counted(count, 'model')}",)
    evidence = (*seen_words(item.base), *listing, *_reported(item))
    fix = f"{PLACE}: change it to {without_secrets(base)}/v1."
    return _make("base-url-no-v1", item, "lacks /v1.", fix, evidence)


def _slash_cause(_facts: Facts, item: Connection) -> Finding | None:
    stripped = item.url.strip().rstrip("/")
    if item.url == stripped or not (item.root and model_ids(item.root.json) is not None):
        return None
    return _slash(item, _CRITICAL)


def _slash(item: Connection, severity: Severity) -> Finding:
    stripped = item.url.strip().rstrip("/")
    what = f"{item.name} ends in a slash or a blank."
    evidence = (*seen_words(item.base), f"{without_secrets(stripped)}/models: lists models") if item.base else ()
    fix = f"{PLACE}: change it to {without_secrets(stripped)}."
    return Finding("base-url-slash", severity, what, evidence, fix)


def _key(facts: Facts, item: Connection) -> Finding | None:
    status = item.base.status if item.base and facts.inside else 0  # from here it was asked without the key
    refused = status in (401, 403) or (item.verified and item.verified.status in (401, 403)) or _code(item) == "key"
    if not refused:
        return None
    evidence = seen_words(item.base) + _reported(item)
    given = "has a key that is refused" if item.keyed else "has no key, and needs one"
    fix = f"{PLACE}: enter the key that vLLM was started with (--api-key, or VLLM_API_KEY)."
    return _make("api-key", item, f"{given}.", fix, evidence)


def _service(_facts: Facts, item: Connection) -> Finding | None:
    """Something answers, and it is no OpenAI API: an Ollama, a login page, a web server."""
    seen = item.base
    code = _code(item)
    bodies = [probe.body for probe in (seen, item.root) if probe]
    evidence = seen_words(item.base, item.root) + _reported(item)
    port = port_of(item.url)
    ollama = any("Ollama is running" in body for body in bodies) or port == 11434 or code == "ollama"
    if ollama and (seen is None or seen.status):
        base = item.url.strip().rstrip("/").removesuffix("/v1")
        fix = f"{PLACE}: enter {without_secrets(base)} under Ollama API instead, or {without_secrets(base)}/v1 here."
        return _make("wrong-service-ollama", item, "is an Ollama, not a vLLM.", fix, evidence)
    moved = seen is not None and seen.status in (301, 302, 303, 307, 308)
    html = seen is not None and ("text/html" in seen.type or seen.body.lstrip()[:1] == "<")
    page = " ".join(bodies).lower()
    if moved or (html and re.search(r"log ?in|sign ?in|password|sso|oauth", page)) or code == "redirects":
        where = f" (it sends to {without_secrets(seen.location)})" if seen and seen.location else ""
        fix = "Use the address of the model server itself, behind the login, or let the login pass API keys."
        return _make("wrong-service-login", item, f"is a login page or a redirect{where}.", fix, evidence)
    if html or (seen is not None and seen.status in (400, 404, 405, 426) and not _vllm(item)) or code == "not_found":
        fix = "Check host and port: vLLM listens on 8000, and http://HOST:PORT/v1/models lists its models."
        return _make("wrong-service", item, "is not a model server.", fix, evidence)
    return None


def _vllm(item: Connection) -> bool:
    return item.root is not None and isinstance(item.root.json, dict) and item.root.json.get("detail") == "Not Found"


def _silent(_facts: Facts, item: Connection) -> Finding | None:
    late = item.verified is not None and item.verified.status in (0, 500, 400) and item.verified.seconds > SLOW_ANSWER
    stuck = item.base is not None and item.base.http == "timeout"
    if not stuck and _code(item) != "timeout" and not (late and item.base is None):
        return None
    evidence = seen_words(item.base) + _reported(item)
    fix = f"{PLACE}: switch it off until it answers; in stock everybody's list waits 10 s for it."
    return _make("silent", item, "takes connections and never answers.", fix, evidence)


def _misbehaves(_facts: Facts, item: Connection) -> Finding | None:
    seen = item.base
    if seen is None and not (item.verified and item.verified.status == 200):
        return None
    evidence = seen_words(seen) + _reported(item)
    if seen is not None and seen.status >= 500:
        fix = "Read the model server's log; this fork's image keeps the rest of the list meanwhile."
        return _make("provider-error", item, f"answers {seen.status}.", fix, evidence)
    if seen is not None and seen.http:
        fix = "Read the model server's log: it hangs up, or does not speak HTTP."
        return _make("provider-error", item, f"breaks off: {seen.http}.", fix, evidence)
    fix = f'{PLACE}: switch it off (in stock it breaks the list), or have it answer {{"data": [{{"id": "…"}}]}}.'
    return _make("provider-shape", item, "answers with something that is not a list of models.", fix, evidence)


def _absent_ollama(_facts: Facts, item: Connection) -> Finding | None:
    bad = item.base.trouble if item.base else (item.verified is not None and item.verified.status != 200)
    if not bad:
        return None
    evidence = seen_words(item.base) + _reported(item)
    fix = f"{PLACE}: switch off Ollama API (ENABLE_OLLAMA_API=false before the first start), or start Ollama there."
    where = without_secrets(item.url)
    what = f"The Ollama API is switched on, and no Ollama answers at {where}."
    if item.base is None:  # something may answer there that is none
        what = f"The Ollama API is switched on, and Open WebUI can't use what is at {where}."
    return Finding("ollama-absent", _WARNING, what, evidence, fix)


def _odd_ollama(_facts: Facts, item: Connection) -> Finding | None:
    if item.base is None or tags(item.base.json) is not None:
        return None
    evidence = seen_words(item.base) + _reported(item)
    fix = f"{PLACE}: a vLLM goes under OpenAI API, with /v1; only an Ollama under Ollama API."
    return _make("wrong-service-ollama-slot", item, "is not an Ollama server.", fix, evidence)


_Rule = Callable[[Facts, Connection], Finding | None]
_OPENAI: tuple[_Rule, ...] = (
    _url, _proxy, _stopped, _loading, _dns, _connect, _tls, _slash_cause, _v1, _key, _service, _silent, _misbehaves,
)  # fmt: skip
_OLLAMA: tuple[_Rule, ...] = (_url, _proxy, _absent_ollama, _odd_ollama)


def _make(cause: str, item: Connection, what: str, fix: str, evidence: tuple[str, ...]) -> Finding:
    return Finding(cause, _CRITICAL, f"{item.name} {what}", evidence, fix or f"{PLACE}: correct it.")


def _slow_name(item: Connection, seen: Seen) -> Finding:
    evidence = (f"looking {item.host} up took {seen.dns_seconds:.1f} s (asked {seen.where})",)
    fix = (
        "One of the container's name servers is slow or dead: set `dns:`, use an address, or add it to extra_hosts.\n"
        "In stock each list waits for it, and a few lookups block every other one."
    )
    return Finding("dns-slow", _WARNING, f"{item.name} has a name that resolves slowly.", evidence, fix)


def _unexplained(facts: Facts, item: Connection) -> Finding:
    fix = "Run this where Docker answers, or with --container NAME: the doctor then looks from inside, too."
    if facts.inside:
        fix = "Open WebUI's own log has the error, at the time of the last list."
    evidence = _reported(item) + seen_words(item.base)
    return _make("connection-fails", item, "does not answer as it should.", fix, evidence)
