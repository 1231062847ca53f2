"""Measure the model list of stock and of this build, in turns, on loopback; writes out/listing.md.

Both run as processes, from the files of their images, in front of the same provider. Load comes from wrk, for a number
of clients at once. Ratios are what counts: patched over stock. `--short` is one round of everything, for a test.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import processes
import tools
from measuring import Sites, machine, trees
from processes import Provider, Site
from sites import Connection, Listing
from webui_fork.core import settings
from webui_fork.core.files import temp_folder
from webui_fork.core.settings import CHECKOUT
from webui_fork.core.terminal import Terminal


@dataclass(frozen=True)
class Size:
    """How much is measured: rounds, seconds of load, clients, models, users and lists for the memory."""

    rounds: int = 3
    seconds: int = 6
    clients: tuple[int, ...] = (1, 32, 200)
    models: tuple[int, ...] = (1, 50, 500)
    users: int = 60
    lists: int = 10_000


LONGEST = 60  # seconds of load in one round
SHORT = Size(1, 1, (1,), (1,), 2, 20)


def load(program: Path, site: Site, clients: int, seconds: int) -> dict[str, float]:
    """Ask for the list with so many clients at once; return the percentiles in ms."""
    argv = [str(program), "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s", "--latency"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:  # a command line can be seen by others
        script.write(f'wrk.headers["Authorization"] = "Bearer {site.token}"\n')
        script.flush()
        argv += ["-s", script.name, f"{site.url}/api/models"]
        output = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in output, output
    assert " 0 requests in " not in output, output  # its percentiles would be 0
    units = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    return {
        name: float(value) * units[unit]
        for name, value, unit in re.findall(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)\s*$", output, re.MULTILINE)
    }


def healthy(program: Path, sites: Sites, provider: Provider, size: Size) -> Iterator[str]:
    """Yield a row for each number of models and clients: stock, patched, ratio."""
    for models in size.models:
        body = {"data": [{"id": f"model-{number}", "object": "model", "owned_by": "vllm"} for number in range(models)]}
        url = provider.script(f"of{models}", body=body)
        for site in sites.values():
            site.connect([url])
            assert len(site.models().ids) >= models
        alone = max(load(program, site, 1, 1)["50"] for site in sites.values())
        for clients in size.clients:
            # each of the clients is to be answered at least twice, as fast as one alone is
            seconds = max(size.seconds, round(3 * clients * alone / 1000))
            if seconds > LONGEST:
                yield f"| {models} models, {clients} clients | not measured: it would take {seconds} s a round | | |"
                continue
            times: dict[str, dict[str, list[float]]] = {name: {"50": [], "99": []} for name in sites}
            for _ in range(size.rounds):
                for name, site in sites.items():
                    for percentile, value in load(program, site, clients, seconds).items():
                        times[name][percentile].append(value)
            for percentile in ("50", "99"):
                stock, ours = (statistics.median(times[name][percentile]) for name in ("stock", "patched"))
                what = f"{models} models, {clients} clients, p{percentile}"
                yield f"| {what} | {stock:.1f} ms | {ours:.1f} ms | {ours / stock:.2f} |"


def memory(trees: dict[str, Path], provider: Provider, size: Size) -> str:
    """Return a row: resident memory after many lists by many users, whose names are forwarded."""
    body = {"data": [{"id": f"model-{number}", "description": "x" * 200} for number in range(350)]}
    url, used = provider.script("rich", body=body), {}
    for name, tree in trees.items():
        with processes.webui(tree, env={"ENABLE_FORWARD_USER_INFO_HEADERS": "True"}, auth=True) as admin:
            admin.connect([url])
            users = [admin.signed_up(f"user{number}", "admin") for number in range(size.users)]
            with ThreadPoolExecutor(8) as pool:
                asked = pool.map(lambda n, users=users: users[n % len(users)].models("/api/models"), range(size.lists))
                assert all(listing.status == 200 for listing in asked)
            used[name] = admin.memory()
    stock, ours = used["stock"], used["patched"]
    what = f"memory after {size.lists} lists by {size.users} users, 350 models"
    return f"| {what} | {stock:.0f} MiB | {ours:.0f} MiB | {ours / stock:.2f} |"


def cell(listings: list[Listing]) -> tuple[str, float]:
    """Return what some listings were, in words, and their median seconds."""
    seconds = statistics.median(listing.seconds for listing in listings)
    statuses = "/".join(sorted({str(listing.status) for listing in listings}))
    has = sum("good.beside" in listing.ids for listing in listings)
    return f"{statuses}, {seconds:.2f} s, the healthy model {has} of {len(listings)}", seconds


def faulty(sites: Sites, provider: Provider, size: Size) -> Iterator[str]:
    """Yield a row for each case: stock, patched, ratio."""
    cases: dict[str, tuple[str, str]] = {
        "nothing else": ("", ""),
        "an Ollama that answers nonsense": ("ollama", "list-of-numbers"),
        "an Ollama that never answers": ("ollama", "silent"),
        "a second OpenAI connection that never answers": ("openai", "silent"),
        "a second OpenAI connection that takes 3 s": ("openai", "slow"),
    }
    for case, (slot, name) in cases.items():
        cells = []
        for label, site in sites.items():
            listings = []
            for number in range(size.rounds):  # a connection of its own each time, so that nothing is remembered
                other = [(provider.fault(name, slot), {"headers": {"X-Round": f"{label}{number}"}})] if name else []
                good: Connection = (provider.good, {"prefix_id": "good"})
                openai: list[Any] = [good, *(other if slot == "openai" else [])]
                site.connect(openai, other if slot == "ollama" else [])
                listings.append(site.models())
            cells.append(cell(listings))
        (stock, before), (ours, after) = cells
        yield f"| {case} | {stock} | {ours} | {after / before:.2f} |"


def main() -> None:
    """Measure, print each row as it comes, and write them all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true", help="one short round of everything")
    size = SHORT if parser.parse_args().short else Size()
    real = settings.load()
    rows = [machine(), "", "| | stock | patched | ratio |", "|---|---|---|---|"]

    def say(row: str) -> None:
        rows.append(row)
        print(row, flush=True)

    with ExitStack() as stack:
        program = tools.find(real, "wrk", Terminal())
        laid = trees(real, stack.enter_context(temp_folder(real.cache / "trees", "bench-")))
        provider = stack.enter_context(processes.provider())
        with ExitStack() as running:
            sites = {name: running.enter_context(processes.webui(tree)) for name, tree in laid.items()}
            for row in healthy(program, sites, provider, size):
                say(row)
            for row in faulty(sites, provider, size):
                say(row)
        say(memory(laid, provider, size))
    (CHECKOUT / "out").mkdir(exist_ok=True)
    (CHECKOUT / ("out/listing-short.md" if size is SHORT else "out/listing.md")).write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
