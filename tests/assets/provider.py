"""A model server that misbehaves in every way we know: one table, a fault a line.

Runs inside a container: `http://provider:8000/f/FAULT/v1` is an OpenAI base URL with that fault,
`http://provider:8000/f/FAULT` an Ollama one. Tests import it for the names in the table.

An answer of a fault holds the well-formed model `beside` wherever its shape allows for one.
"""

import asyncio
import base64
import gzip
import itertools
import json
import re
import socket
import struct
import sys
from collections import defaultdict

K = "\0K"  # the key of the list: "data" or "models"
I = "\0I"  # noqa: E741 - the key of the id: "id" or "model"
BESIDE = {I: "beside", "name": "beside", "object": "model"}


def model(**fields):
    """An otherwise well-formed entry with some fields of its own."""
    return {I: "odd", "name": "odd", "object": "model", **fields}


def entries(*odd):
    """A list with odd entries and a well-formed one."""
    return {"object": "list", K: [*odd, BESIDE]}


def body(value, ollama):
    """Encode an answer for one of the two slots."""
    names = ("models", "model") if ollama else ("data", "id")
    text = value if isinstance(value, str) else json.dumps(value)
    for mark, name in zip((K, I), names, strict=True):
        text = text.replace(json.dumps(mark)[1:-1], name).replace(mark, name)
    return text.encode()


def head(status="200 OK", length=None, kind="application/json", **more):
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close"]
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in more.items()]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()


def json_(value):
    """Answer 200 with a value."""

    async def answer(writer, ollama, path):
        data = body(value, ollama)
        writer.write(head(length=len(data)) + data)

    return answer


def status(code, value=None, kind="application/json", **more):
    """Answer with another status."""

    async def answer(writer, ollama, path):
        data = body(entries() if value is None else value, ollama)
        writer.write(head(code, len(data), kind, **more) + data)

    return answer


def raw(data, pause=0.0):
    """Send bytes as they are, and hang up (after a pause)."""

    async def answer(writer, ollama, path):
        writer.write(data(ollama) if callable(data) else data)
        await writer.drain()
        await asyncio.sleep(pause)

    return answer


def later(seconds, value):
    """Answer well, later."""

    async def answer(writer, ollama, path):
        await asyncio.sleep(seconds)
        await json_(value)(writer, ollama, path)

    return answer


async def drip(writer, ollama, path):
    data = body(entries(), ollama)
    for byte in head(length=len(data)) + data:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.3)


async def endless(writer, ollama, path):
    writer.write(head() + b"[")
    while True:
        writer.write(b'{"id": "x", "model": "x"},' * 1000)
        await writer.drain()
        await asyncio.sleep(0)


async def reset(writer, ollama, path):
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def flapping(writer, ollama, path):
    """Answer every second time, counted for each client and path: stock and ours ask at the same time."""
    calls = flapping.calls[writer.get_extra_info("peername")[0], path]
    await (reset if next(calls) % 2 else json_(entries()))(writer, ollama, path)


flapping.calls = defaultdict(itertools.count)


async def only_v1(writer, ollama, path):
    """A server that has its API below /v1, and nothing else."""
    found = path in ("/f/only-v1/v1/models", "/f/only-v1/v1/chat/completions")
    chat = {
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}],
    }
    answer = json_(chat if path.endswith("/chat/completions") else entries()) if found else FAULTS["status-404"]
    await answer(writer, ollama, path)


async def ollama_like(writer, ollama, path):
    """An Ollama: its version and its models, and nothing else."""
    answers = {"version": json_({"version": "0.9.0"}), "tags": json_(entries()), "ps": json_({K: []})}
    await answers.get(path.rpartition("/api/")[2], FAULTS["status-404"])(writer, ollama, path)


async def first_caller_only(writer, ollama, path):
    """Answers only the user who came first, as a header names them."""
    user = re.search(r"x-user: (\S*)", requests[-1].lower()).group(1)
    first_caller_only.user = getattr(first_caller_only, "user", user)
    await (json_(entries()) if user == first_caller_only.user else FAULTS["status-500"])(writer, ollama, path)


async def full_then_empty(writer, ollama, path):
    full_then_empty.calls = getattr(full_then_empty, "calls", 0) + 1
    await json_(entries() if full_then_empty.calls == 1 else {K: []})(writer, ollama, path)


async def full_then_error(writer, ollama, path):
    full_then_error.calls = getattr(full_then_error, "calls", 0) + 1
    await json_(entries() if full_then_error.calls == 1 else {K: [], "error": "busy"})(writer, ollama, path)


async def strict_path(writer, ollama, path):
    """A server that does not take two slashes for one."""
    await (FAULTS["status-404"] if "//" in path else json_(entries()))(writer, ollama, path)


def packed(ollama):
    return gzip.compress(body(entries(), ollama))


BOMB = gzip.compress(b" " * (1 << 20)) * 1024  # 1 GiB, in a thousand gzip members


def nested(depth):
    return '{"\0K": [{"\0I": "odd", "name": "odd", "x": ' + "[" * depth + "]" * depth + '}, {"\0I": "beside"}]}'


HANG = 30.0
HTML = "<html><body>Log in</body></html>"
# the id of a lone surrogate, and other things that only exist as text
FAULTS = {
    "only-v1": only_v1,
    "strict-path": strict_path,
    # well-behaved, for comparison
    "fine": json_(entries()),
    "fine-empty": json_({"object": "list", K: []}),
    "ollama-like": ollama_like,
    # statuses
    "status-204": status("204 No Content", ""),
    "status-301-loop": status("301 Moved", "", Location="models"),
    "status-302-login": status("302 Found", "", Location="/f/html/login"),
    "status-400": status("400 Bad Request"),
    "status-401": status("401 Unauthorized", {"error": {"message": "no"}}),
    "status-403": status("403 Forbidden", HTML, "text/html"),
    "status-404": status("404 Not Found", {"detail": "Not Found"}),
    "status-407": status("407 Proxy Authentication Required", HTML, "text/html"),
    "status-429": status("429 Too Many Requests", {"error": "slow down"}, Retry_After="3600"),
    "status-500": status("500 Internal Server Error", "null"),
    "status-500-list": status("500 Internal Server Error", [1, 2]),
    "status-502": status("502 Bad Gateway", HTML, "text/html"),
    "status-503": status("503 Service Unavailable", "null"),
    "status-503-string": status("503 Service Unavailable", '"loading"'),
    "status-504": status("504 Gateway Timeout", HTML, "text/html"),
    "status-999": raw(b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\n[]"),
    "status-none": raw(b"HTTP/1.1\r\n\r\n[]"),
    # the shape of the whole answer
    "html": status("200 OK", HTML, "text/html"),
    "nothing": json_(""),
    "null": json_("null"),
    "number": json_("7"),
    "true": json_("true"),
    "string": json_('"data"'),
    "object-empty": json_("{}"),
    "list-empty": json_("[]"),
    "list-of-numbers": json_([1, 2, 3]),
    "list-of-null": json_([None, None]),
    "error-object": json_({"error": {"message": "no", "code": 1}}),
    "error-string": json_({"error": "no", K: None}),
    "key-null": json_({K: None}),
    "key-number": json_({K: 5}),
    "key-string": json_({K: "models"}),
    "key-object": json_({K: {"a": 1}}),
    "key-true": json_({K: True}),
    "other-slot": json_({"data": "x", "models": {"a": "b"}}),
    # entries that are none
    "entry-null": json_(entries(None)),
    "entry-number": json_(entries(1, 2.5)),
    "entry-string": json_(entries("gpt")),
    "entry-list": json_(entries([], [1])),
    "entry-true": json_(entries(True)),
    "entry-empty": json_(entries({})),
    # ids and names
    "id-missing": json_(entries({"name": "odd"}, {"object": "model"})),
    "id-null": json_(entries(model(**{I: None}))),
    "id-number": json_(entries(model(**{I: 7}))),
    "id-true": json_(entries(model(**{I: True}))),
    "id-list": json_(entries(model(**{I: ["a"]}))),
    "id-object": json_(entries(model(**{I: {"a": 1}}))),
    "id-empty": json_(entries(model(**{I: ""}))),
    "id-blank": json_(entries(model(**{I: "  "}))),
    "id-surrogate": json_('{"\0K": [{"\0I": "\\ud800", "name": "odd"}, {"\0I": "beside", "name": "beside"}]}'),
    "id-huge": json_(entries(model(**{I: "x" * 100_000}))),
    "id-twice": json_(entries(model(), model())),
    "name-missing": json_(entries({I: "odd"})),
    "name-null": json_(entries(model(name=None))),
    "name-number": json_(entries(model(name=7))),
    "name-list": json_(entries(model(name=["a"]))),
    "name-object": json_(entries(model(name={"a": 1}))),
    "name-empty": json_(entries(model(name=""))),
    "name-surrogate": json_('{"\0K": [{"\0I": "odd", "name": "\\udfff"}, {"\0I": "beside", "name": "beside"}]}'),
    # fields that are used later
    "info-null": json_(entries(model(info=None))),
    "info-string": json_(entries(model(info="x"))),
    "info-list": json_(entries(model(info=[1]))),
    "info-meta-string": json_(entries(model(info={"meta": "x", "params": 3}))),
    "info-tags-null": json_(entries(model(info={"meta": {"tags": None, "capabilities": "x"}}))),
    "tags-null": json_(entries(model(tags=None))),
    "tags-string": json_(entries(model(tags="x"))),
    "tags-mixed": json_(entries(model(tags=[None, 1, {"name": None}, {"name": "a"}, "b"]))),
    "pipeline-null": json_(entries(model(pipeline=None))),
    "pipeline-string": json_(entries(model(pipeline="filter"))),
    "pipeline-list": json_(entries(model(pipeline=[]))),
    "ollama-string": json_(entries(model(ollama="x"))),
    "ollama-list": json_(entries(model(ollama=[1]))),
    "actions-null": json_(entries(model(action_ids=None, filter_ids=None))),
    "actions-objects": json_(entries(model(action_ids=[{"a": 1}], filter_ids=[[1]]))),
    "actions-number": json_(entries(model(action_ids=1, filter_ids=2))),
    "status-list": json_(entries(model(status={"value": []}))),
    "owner-null": json_(entries(model(owned_by=None, created="now", connection_type=[], provider={}))),
    "arena": json_(entries(model(arena=True))),
    "preset": json_(entries(model(preset=True, pipe="x"))),
    "urls": json_(entries(model(urls=["x"], urlIdx="x", expires_at={}, details=[]))),
    "surrogate-elsewhere": json_('{"\0K": [{"\0I": "odd", "x": "\\ud800", "\\ud801": 1}, {"\0I": "beside"}]}'),
    "nan": json_('{"\0K": [{"\0I": "odd", "x": NaN, "y": Infinity, "z": 1e999}, {"\0I": "beside"}]}'),
    "integer-huge": json_('{"\0K": [{"\0I": "odd", "x": ' + "9" * 400 + '}, {"\0I": "beside"}]}'),
    "integer-too-huge": json_('{"\0K": [{"\0I": "odd", "x": ' + "9" * 5000 + '}, {"\0I": "beside"}]}'),
    "nested-200": json_(nested(200)),
    "nested-900": json_(nested(900)),
    "nested-100000": json_(nested(100_000)),
    # sizes
    "many": json_(entries(*(model(**{I: f"m{number}", "name": f"m{number}"}) for number in range(30_000)))),
    "large": json_(entries(model(x="x" * (30 << 20)))),
    "bomb": raw(head(Content_Encoding="gzip") + BOMB),
    "endless": endless,
    "header-huge": raw(head(X_Long="x" * 100_000) + b"[]"),
    "headers-many": raw(head(**{f"X_{number}": "x" for number in range(5000)}) + b"[]"),
    # encodings
    "not-json": json_("{'data': []}"),
    "half-json": json_('{"\0K": [{"\0I": "bes'),
    "latin-1": raw(head() + '{"data": [{"id": "café"}]}'.encode("latin-1")),
    "utf-16": raw(lambda ollama: head() + body(entries(), ollama).decode().encode("utf-16")),
    "bom": raw(lambda ollama: head() + b"\xef\xbb\xbf" + body(entries(), ollama)),
    "charset-odd": raw(lambda ollama: head(kind="application/json; charset=klingon") + body(entries(), ollama)),
    "gzip": raw(lambda ollama: head(Content_Encoding="gzip") + packed(ollama)),
    "gzip-not": raw(lambda ollama: head(Content_Encoding="gzip") + body(entries(), ollama)),
    "gzip-half": raw(lambda ollama: head(Content_Encoding="gzip") + packed(ollama)[:20]),
    "brotli-not": raw(lambda ollama: head(Content_Encoding="br") + body(entries(), ollama)),
    "encoding-odd": raw(lambda ollama: head(Content_Encoding="rot13") + body(entries(), ollama)),
    "chunks-bad": raw(head(Transfer_Encoding="chunked") + b"zz\r\nnonsense\r\n"),
    "chunks-cut": raw(head(Transfer_Encoding="chunked") + b"400\r\n{\r\n"),
    # speeds
    "silent": raw(b"", HANG),
    "slow": later(3.0, entries()),
    "slow-1s": later(1.0, entries()),
    "hang-after-head": raw(head(length=100), HANG),
    "hang-in-head": raw(b"HTTP/1.1 200 OK\r\nContent-Ty", HANG),
    "hang-in-body": raw(head(length=100) + b'{"data": [', HANG),
    "drip": drip,
    "continue-for-ever": raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 50, HANG),
    # connections
    "hang-up": raw(b""),
    "reset": reset,
    "flapping": flapping,
    "length-too-long": raw(head(length=5000) + b"[]"),
    "length-too-short": raw(head(length=3) + b'{"data": []}'),
    "length-negative": raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n[]"),
    "not-http": raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "garbage": raw(bytes(range(256)) * 20),
    "http-0.9": raw(b'{"data": []}'),
}

requests: list[str] = []
scripts: dict[str, dict] = {}


def scripted(name):
    """Answer as a test said at /set/NAME/SPEC: status, headers, body, seconds to wait, or a hang-up."""

    async def answer(writer, ollama, path):
        script = scripts[name]
        await asyncio.sleep(script.get("wait", 0))
        if script.get("hang_up"):
            await reset(writer, ollama, path)
            return
        if script.get("only", path) not in path:
            await FAULTS["status-404"](writer, ollama, path)
            return
        if path.endswith(("/chat/completions", "/api/chat")):
            message = {"role": "assistant", "content": f"hello from {name}"}
            value = {"object": "chat.completion", "choices": [{"index": 0, "message": message}], "message": message}
            value["done"] = True
        elif path.endswith("/api/ps"):
            value = script.get("ps", {K: []})
        elif path.endswith("/api/version"):
            value = {"version": "0.9.0"}
        else:
            value = script.get("body", entries())
        if pad := script.get("pad"):  # what is too much to be told
            value = json.dumps(value).replace("@pad@", "y" * pad)
        headers = {key.replace("-", "_"): text for key, text in script.get("headers", {}).items()}
        await status(script.get("status", "200 OK"), value, **headers)(writer, ollama, path)

    return answer


async def serve(reader, writer):
    try:
        start = await asyncio.wait_for(reader.readexactly(1), 30)
        if start == b"\x16":  # a TLS client, on a port that speaks none
            writer.write(head("400 Bad Request", 0))
            return
        request = (start + await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)).decode("latin-1")
        path = request.split(" ", 2)[1]
        requests.append(request)
        answer = FAULTS["status-404"]
        special = {"first-caller-only": first_caller_only, "full-then-empty": full_then_empty}
        special["full-then-error"] = full_then_error
        if path == "/requests":  # what was asked, for tests that count
            answer = json_(requests.copy())
        elif path.startswith("/set/"):
            _, _, name, script = path.split("/")
            scripts[name] = json.loads(base64.urlsafe_b64decode(script))
            answer = json_({})
        elif path.startswith("http://"):  # we are taken for a proxy, which passes on what a test has scripted
            name = path.split("/")[4] if "/f/" in path else ""
            answer = scripted(name) if name in scripts else status("503 Service Unavailable", HTML, "text/html")
        elif path.startswith("/f/"):
            name = path.split("/")[2]
            answer = scripted(name) if name in scripts else (FAULTS | special).get(name, answer)
        await answer(writer, "/api/" in path, path)
        await writer.drain()
    except (ConnectionError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, IndexError):
        pass
    finally:
        writer.close()


async def main(port):
    if "names" in sys.argv:  # be a name server that swallows queries, too
        silent_names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        silent_names.bind(("0.0.0.0", 53))
    async with await asyncio.start_server(serve, "0.0.0.0", port, limit=1 << 20) as server:
        print("ready", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8000))
