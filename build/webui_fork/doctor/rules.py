"""Rules about the server itself: facts in, findings out, a cause before what it causes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import chain

from packaging.version import InvalidVersion, Version

from webui_fork.config import tags
from webui_fork.core.text import counted, without_secrets
from webui_fork.doctor import connections, model_server
from webui_fork.doctor.facts import Facts, model_ids
from webui_fork.doctor.facts import tags as ollama_tags
from webui_fork.doctor.findings import Finding, Severity, ordered, worst

SLOW = 2.0  # seconds: a list that takes longer is one people wait for
_SYMPTOMS = ("list-fails", "list-empty", "list-slow")
_CRITICAL, _WARNING, _INFO = Severity


def diagnose(facts: Facts) -> tuple[Finding, ...]:
    """Return what is wrong, the worst first, and each once."""
    if findings := tuple(_unreachable(facts)):  # what else was asked about is looked at all the same
        return (*findings, *model_server.findings(facts), *_image(facts))
    rules: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
        _token, _redis, _database, _disabled, _stored, connections.findings, model_server.findings, model_server.chats,
        _functions, _broken_list, _names, _hidden, _empty, _slow, _documents, _version, _image,
    )  # fmt: skip
    findings = ordered(tuple(dict.fromkeys(chain.from_iterable(rule(facts) for rule in rules))))
    causes = [item for item in findings if item.cause not in _SYMPTOMS]
    # a symptom is only worth a line where nothing explains it
    return tuple(causes) if worst(causes) is Severity.CRITICAL else findings


def _unreachable(facts: Facts) -> Iterator[Finding]:
    front = facts.front
    log = facts.room.itself.log[-3:] if facts.room else ()
    evidence = (f"{without_secrets(front.url)}: {front.words}", *(f"its log: {line}" for line in log))
    if facts.config.get("version"):
        return
    if front.json == {"status": True} and (not facts.config_status or facts.config_status >= 500):
        # it lives, and what needs the database does not answer
        told = f"/api/config: {facts.config_status or 'no answer'}"
        yield _database_away((f"{without_secrets(front.url)}: {front.words}", told))
        return
    if facts.room and (facts.room.itself.state != "running" or facts.room.itself.health == "starting"):
        state = facts.room.itself.health or facts.room.itself.state
        what = f"Open WebUI's container {facts.room.itself.name} is {state}."
        fix = f"Wait for it, or read `docker logs {facts.room.itself.name}`; a first start migrates the database."
        yield Finding("webui-not-up", _CRITICAL, what, evidence, fix)
    elif front.trouble:
        fix = "Check the URL's host, scheme and port: with `-p 3000:8080` it is http://localhost:3000."
        yield Finding("webui-unreachable", _CRITICAL, f"Open WebUI does not answer at {facts.url}.", evidence, fix)
    else:
        evidence += (f"/api/config: {facts.config_status or 'no answer'}",)
        what = f"The server at {facts.url} is not Open WebUI, or is not up yet."
        fix = "Give the address that the browser shows; behind a sub-path or a login proxy, the inner address."
        yield Finding("not-open-webui", _CRITICAL, what, evidence, fix)


def _token(facts: Facts) -> Iterator[Finding]:
    if facts.token_refused:
        fix = "Sign in and copy the browser's `token` (local storage), or an API key where ENABLE_API_KEYS is on."
        evidence = (f"{facts.url}/api/v1/auths/ does not know it",)
        yield Finding("token", _WARNING, "Open WebUI refuses the token.", evidence, fix)
    elif facts.role and facts.role != "admin":
        fix = "Give an admin's token: only admins may see connections."
        what = f"The token belongs to a user with the role {facts.role!r}, so connections can't be looked at."
        yield Finding("not-admin", _WARNING, what, (f"role: {facts.role}",), fix)


def _redis(facts: Facts) -> Iterator[Finding]:
    seen, ready = facts.redis, facts.ready
    detail = str(ready.body.get("detail", "")) if ready and isinstance(ready.body, dict) else ""
    away = seen is not None and seen.trouble and not seen.http
    if not away and not facts.redis_hangs and "Redis" not in detail:
        return
    where = without_secrets(facts.room.redis) if facts.room and facts.room.redis else "the server in REDIS_URL"
    evidence = [f"/ready answers {ready.status}: {detail}"] if ready and detail else []
    if facts.redis_hangs:
        evidence.append("/ready: no answer; /health/db: 200")
    if seen is not None and away:
        evidence.append(f"{where}: {seen.words}")
    fix = (
        "Start Redis, correct REDIS_URL, or unset it (one replica works without); stock waits for a Redis that is gone."
    )
    yield Finding("redis", _CRITICAL, f"Redis does not answer ({where}).", tuple(evidence), fix)


def _database(facts: Facts) -> Iterator[Finding]:
    ready = facts.ready
    detail = str(ready.body.get("detail", "")) if ready and isinstance(ready.body, dict) else ""
    if ready and ("Database" in detail or not (ready.status or facts.redis_hangs)):
        yield _database_away((f"/ready: {detail or 'no answer'}",))


def _database_away(evidence: tuple[str, ...]) -> Finding:
    fix = "Check DATABASE_URL, and that the database runs and has connections left (its max_connections)."
    return Finding("database", _CRITICAL, "Open WebUI's database does not answer.", evidence, fix)


def _disabled(facts: Facts) -> Iterator[Finding]:
    if facts.role == "admin" and not facts.openai_enabled:
        only = not facts.ollama_enabled and not facts.pipes
        what = "The OpenAI API is switched off, and with it every vLLM connection."
        evidence = ("/openai/config: ENABLE_OPENAI_API is false",)
        fix = f"{connections.PLACE}: switch on OpenAI API (the stored setting wins over ENABLE_OPENAI_API)."
        yield Finding("api-disabled", _CRITICAL if only or not facts.listed else _WARNING, what, evidence, fix)
    elif facts.role == "admin" and not any(item.slot == "OpenAI" for item in facts.connections):
        fix = f"{connections.PLACE}: add http://YOUR-VLLM:8000/v1, or set OPENAI_API_BASE_URL before the first start."
        evidence = ("/openai/config: no enabled connection",)
        severity = _CRITICAL if not facts.listed else _INFO
        yield Finding("no-connection", severity, "No vLLM (OpenAI) connection is set up.", evidence, fix)


def _stored(facts: Facts) -> Iterator[Finding]:
    urls = {item.url.strip().rstrip("/") for item in facts.connections if item.slot == "OpenAI"}
    unused = [without_secrets(url) for url in (facts.room.urls if facts.room else ()) if url.rstrip("/") not in urls]
    if not unused or facts.role != "admin" or not facts.openai_enabled:
        return
    what = f"The environment names {', '.join(unused)}, but no connection in use has it: stored settings win."
    dated = 0 < facts.stored < 1 << 36  # what a date can be of
    since = f" since {datetime.fromtimestamp(facts.stored, UTC):%Y-%m-%d %H:%M} UTC" if dated else ""
    evidence = (f"stored{since}: {', '.join(map(without_secrets, sorted(urls))) or 'none'}",)
    fix = f"{connections.PLACE}: set it there. With ENABLE_PERSISTENT_CONFIG=false the environment wins, at each start."
    yield Finding("stored-wins", _INFO if facts.listed else _WARNING, what, evidence, fix)


def _functions(facts: Facts) -> Iterator[Finding]:
    """Find a pipe that fails: in stock it may take the whole list, though each provider by itself answers well."""
    if facts.listing is None:
        return
    broken = facts.listing.status >= 500
    apart = all(reply is None or reply.status == 200 for reply in (facts.openai, facts.ollama))
    absent = [
        pipe
        for pipe in facts.pipes
        if pipe not in facts.switched_off
        and not any(name == pipe or name.startswith(f"{pipe}.") for name in facts.listed)
    ]
    if not absent or not (facts.listing.status == 200 or (broken and apart)):
        return
    log = facts.room.itself.log if facts.room else ()
    named = [pipe for pipe in absent if any(f"function_{pipe}" in line or pipe in line.split() for line in log)]
    shown = ", ".join(named if broken and named else absent)
    last = next((line.strip() for line in reversed(log) if "Error: " in line), "")
    evidence = [f"pipe functions that are switched on, but not in the list: {', '.join(absent)}"]
    if broken:
        evidence = [f"/api/models answers {facts.listing.status}, while the providers' own lists are good"]
        evidence += [f"its log: {last}"] if last else []
    fix = f"Admin Panel, Functions: switch off {shown}, or correct its code. This fork's image lists the rest anyway."
    what = f"A stored function fails when it lists its models: {shown}."
    yield Finding("function-fails", _CRITICAL if broken else _WARNING, what, tuple(evidence), fix)


def _broken_list(facts: Facts) -> Iterator[Finding]:
    listing = facts.listing
    if listing is None or listing.status == 200:
        return
    bad = [
        f"{path} answers {reply.status or 'nothing in time'}"
        for path, reply in (("/openai/models", facts.openai), ("/ollama/api/tags", facts.ollama))
        if reply is not None and reply.status != 200
    ]
    evidence = (f"/api/models answers {listing.status or 'nothing in time'} after {listing.seconds:.1f} s", *bad)
    fix = "Switch connections off one by one, or run this fork's image: there, a failing one costs only its models."
    yield Finding("list-fails", _CRITICAL, "The model list fails for everybody.", evidence, fix)


def _names(facts: Facts) -> Iterator[Finding]:
    for item in facts.connections:
        served = model_ids(item.base.json) if item.base else None
        if served is None and item.verified and item.verified.status == 200:
            served = model_ids(item.verified.body)
        if (
            item.slot != "OpenAI"
            or served is None
            or not (wrong := [name for name in item.manual if name not in served])
        ):
            continue
        evidence = (f"the connection's list: {', '.join(item.manual)}", f"served: {', '.join(served) or 'nothing'}")
        # others than vLLM may know names that they do not list
        severity = _CRITICAL if item.base and '"vllm"' in item.base.body else _WARNING
        fix = f"{connections.PLACE}: correct its Model IDs, or start vLLM with --served-model-name {wrong[0]}."
        what = f"{item.name} lists models that it does not serve: {', '.join(wrong)}."
        yield Finding("model-name", severity, what, evidence, fix)
    bases = set(facts.listed)
    # one that an admin switched off serves its presets, and one of an Ollama's is meant without its tag, too
    offered = set(bases)
    for reply in filter(None, (facts.openai, facts.ollama)):
        offered.update(model_ids(reply.body) or ollama_tags(reply.body) or ())
    offered |= {name.removesuffix(":latest") for name in offered}
    for record in facts.records:
        base = record.get("base_model_id")
        if base and bases and base not in offered and record.get("is_active", True):
            what = f"The workspace model {record.get('id')!r} is built on {base!r}, which nobody serves."
            fix = "Workspace, Models: choose a base model that is listed, or serve it under that name."
            yield Finding("base-model", _WARNING, what, (f"listed: {', '.join(sorted(bases)[:8])}",), fix)


def _public(record: object) -> bool:
    """Tell whether others than its owner may read a model, in the words of 0.12 (grants) or of older releases."""
    assert isinstance(record, dict)
    if "access_grants" in record:
        return bool(record["access_grants"])
    return record.get("access_control", None) != {}


def _hidden(facts: Facts) -> Iterator[Finding]:
    if facts.role != "admin" or not facts.users or not facts.listed or (facts.room and facts.room.bypass_access):
        return
    by_id = {str(record.get("id")): record for record in facts.records}
    hidden = [name for name in facts.listed if name not in by_id or not _public(by_id[name])]
    if not hidden:
        return
    every = len(hidden) == len(facts.listed)
    what = f"{len(hidden)} of {len(facts.listed)} models are for admins only: {', '.join(hidden[:5])}."
    evidence = (f"{counted(facts.users, 'account')} beside admins; no access is granted to these models",)
    fix = (
        "Admin Panel, Settings, Models: set each to Public or grant it to groups; or BYPASS_MODEL_ACCESS_CONTROL=true."
    )
    # whether BYPASS_MODEL_ACCESS_CONTROL is set is only to be seen from inside
    severity = _INFO if not every else _CRITICAL if facts.room else _WARNING
    yield Finding("access-hidden", severity, what, evidence, fix)


def _empty(facts: Facts) -> Iterator[Finding]:
    if facts.listing is not None and facts.listing.status == 200 and not facts.listed and facts.role == "admin":
        fix = "See the other findings; with --vllm URL the model server is looked at, too."
        yield Finding("list-empty", _CRITICAL, "The model list is empty.", ("/api/models: 200, no model",), fix)


def _slow(facts: Facts) -> Iterator[Finding]:
    if facts.listing is not None and facts.listing.status == 200 and facts.listing.seconds > SLOW:
        evidence = (f"/api/models?refresh=true took {facts.listing.seconds:.1f} s",)
        fix = "Remove the connection that is slow or silent (named above, if one was seen), or run this fork's image."
        yield Finding(
            "list-slow", _WARNING, "The model list is slow: everybody waits for the slowest source.", evidence, fix
        )


def _documents(facts: Facts) -> Iterator[Finding]:
    room = facts.room
    if not (room and facts.slim and facts.collections) or room.vectors.startswith("postgres"):
        return
    what = "The volume holds documents that this image can't search: uploads and knowledge answer 503."
    evidence = (f"documents: {facts.collections} collections in {room.data}/vector_db, this is slim",)
    fix = (
        "Go back to the standard image: nothing was deleted. Or give slim a PostgreSQL with pgvector\n"
        "(PGVECTOR_DB_URL), and upload them again (docs/upgrade.md)."
    )
    yield Finding("documents-slim", _WARNING, what, evidence, fix)


def _version(facts: Facts) -> Iterator[Finding]:
    running = str(facts.config.get("version", ""))
    try:
        older = Version(running) < Version(facts.pinned)
    except InvalidVersion:
        return
    if older:
        fix = "docs/upgrade.md: back the volume up, then start the newer image on it."
        what = f"It runs Open WebUI {running}; this checkout pins {facts.pinned}."
        yield Finding("version-old", _INFO, what, (f"/api/config: {running}",), fix)


def _image(facts: Facts) -> Iterator[Finding]:
    image = facts.image
    if image is None:
        return
    if image.error or image.bad:
        fix = "Do not run it before you know why; `nox -s verify` lists every check, and docs/trust.md explains them."
        what = f"{image.ref} does not verify." if image.bad else f"{image.ref} could not be verified."
        severity = _CRITICAL if image.bad else _WARNING
        yield Finding("image-signature", severity, what, image.bad or (image.error,), fix)
    running = facts.room.labels.get("org.opencontainers.image.version", "") if facts.room else ""
    tag = image.ref.rpartition(":")[2]
    fixed = tags.parse(f"v{running}")
    if facts.room and fixed and "@" not in image.ref and not tags.covers(tag, fixed):
        what = f"The running container is not from {image.ref}: its label says {running}."
        evidence = (f"image of the container: {facts.room.itself.image}",)
        yield Finding("image-other", _WARNING, what, evidence, "Pull the image, and create the container again.")


def about(facts: Facts) -> str:
    """Return version and list in a line."""
    version = facts.config.get("version")
    words = [f"Open WebUI {version}" if version else "no Open WebUI"]
    if facts.listing is not None:
        count, seconds = len(facts.listed), facts.listing.seconds
        words.append(f"/api/models: {facts.listing.status or 'no answer'}, {counted(count, 'model')}, {seconds:.2f} s")
    return " · ".join(words)
