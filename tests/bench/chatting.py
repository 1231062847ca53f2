"""Measure streamed chats through stock and this build, in turns, on loopback; writes out/chatting.md.

Both run as processes, from the files of their images, in front of the same provider, which streams tokens at an even
pace; two connections list the model, so that the fail-over has places to choose from. Ratios are what counts: patched
over stock. `--short` is one round of everything, for a test.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import processes
from measuring import Sites, machine, trees
from processes import Site
from webui_fork.core import settings
from webui_fork.core.files import temp_folder
from webui_fork.core.settings import CHECKOUT

TOKENS, PAUSE = 40, 0.02  # of a stream; seconds between two
HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: "


@dataclass(frozen=True)
class Size:
    """How much is measured: rounds, and the streams at once."""

    rounds: int = 5
    streams: tuple[int, ...] = (1, 32, 128)


SHORT = Size(1, (1, 2))


@dataclass(frozen=True)
class Stream:
    """What a client saw: seconds to the first token, and tokens a second after it."""

    first: float
    speed: float


async def _provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a list of one model, or stream tokens."""
    head = await reader.readuntil(b"\r\n\r\n")
    if head.startswith(b"GET"):
        writer.write(HEAD + b'application/json\r\n\r\n{"data": [{"id": "streams"}]}')
    else:
        writer.write(HEAD + b"text/event-stream\r\n\r\n")
        for number in range(TOKENS):
            chunk = {"choices": [{"index": 0, "delta": {"content": f"token {number} "}, "finish_reason": None}]}
            writer.write(f"data: {json.dumps(chunk)}\n\n".encode())
            await writer.drain()
            await asyncio.sleep(PAUSE)
        writer.write(b"data: [DONE]\n\n")
    await writer.drain()
    writer.close()


@contextmanager
def provider() -> Iterator[str]:
    """Run the provider on an event loop of its own; yields its base URL."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(_provide, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.close()


async def _stream(site: Site) -> Stream:
    form = {"model": "streams", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    body = json.dumps(form).encode()
    head = f"POST /api/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.token}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    url, start, times = urlsplit(site.url), time.perf_counter(), []
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(head.encode() + body)
    while line := await reader.readline():
        times += [time.perf_counter()] if b'"token ' in line else []
    writer.close()
    assert len(times) == TOKENS, f"{len(times)} tokens of {TOKENS}"
    return Stream(times[0] - start, (TOKENS - 1) / (times[-1] - times[0]))


async def _at_once(site: Site, streams: int) -> list[Stream]:
    return await asyncio.gather(*(_stream(site) for _ in range(streams)))


def measured(sites: Sites, size: Size) -> Iterator[str]:
    """Yield two rows for each number of streams: stock, patched, ratio."""
    for streams in size.streams:
        seen: dict[str, list[Stream]] = {name: [] for name in sites}
        for site in sites.values():
            asyncio.run(_at_once(site, streams))  # what is slow once
        for _ in range(size.rounds):
            for name, site in sites.items():
                seen[name] += asyncio.run(_at_once(site, streams))
        stock, ours = (statistics.median(one.first for one in seen[name]) for name in ("stock", "patched"))
        row = f"| {streams} at once, first token | {stock * 1000:.0f} ms | {ours * 1000:.0f} ms"
        yield f"{row} | {ours / stock:.2f} |"
        stock, ours = (statistics.median(one.speed for one in seen[name]) for name in ("stock", "patched"))
        yield f"| {streams} at once, tokens a second of one | {stock:.1f} | {ours:.1f} | {ours / stock:.2f} |"


def main() -> None:
    """Measure, print each row as it comes, and write them all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true", help="one short round of everything")
    size = SHORT if parser.parse_args().short else Size()
    real = settings.load()
    rows = [machine(), "", "| streams | stock | patched | ratio |", "|---|---|---|---|"]
    with ExitStack() as stack:
        laid = trees(real, stack.enter_context(temp_folder(real.cache / "trees", "bench-")))
        urls = [stack.enter_context(provider()) for _ in range(2)]
        sites = {name: stack.enter_context(processes.webui(tree)) for name, tree in laid.items()}
        for site in sites.values():
            site.connect(urls)
            assert "streams" in site.models().ids
        for row in measured(sites, size):
            rows.append(row)
            print(row, flush=True)
    (CHECKOUT / "out").mkdir(exist_ok=True)
    (CHECKOUT / ("out/chatting-short.md" if size is SHORT else "out/chatting.md")).write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
