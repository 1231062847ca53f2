"""Measure the model list of stock and of this build in front of a real vLLM, in turns; writes out/listing.md.

Load comes from wrk, for a number of clients at once. Ratios are what counts: patched over stock.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import chain

from docker import DockerClient

from containers import Connection, Listing, Site, fault, provider, webui
from webui_fork import companion, engine, pipeline, settings, tools
from webui_fork.settings import CHECKOUT, Settings
from webui_fork.terminal import Terminal

RUNS = 5
CLIENTS = (1, 32, 200)
SECONDS = 6
VLLM = "http://vllm:8000/v1"
CASES: dict[str, tuple[list[Connection], list[Connection]]] = {
    "nothing else": ([], []),
    "an Ollama that answers nonsense": ([], [fault("list-of-numbers", "ollama")]),
    "an Ollama that never answers": ([], [fault("silent", "ollama")]),
    "a second OpenAI connection that never answers": ([fault("silent")], []),
    "a second OpenAI connection that takes 3 s": ([fault("slow")], []),
}


@contextmanager
def loaded(real: Settings, client: DockerClient, count: int | None) -> Iterator[str]:
    """Load the image with the first patches of the series (all: None) into the engine."""
    inputs = pipeline.read_inputs(real, Terminal(), locked=True)
    inputs = replace(inputs, patches=inputs.patches[:count])
    made = pipeline.build(real, inputs, Terminal(), locked=True)
    name = f"webui-fork-bench:{inputs.tag}"
    engine.load(client, made.image, real.cache, name)
    try:
        yield name
    finally:
        client.images.remove(name, force=True)


def load(real: Settings, site: Site, clients: int) -> dict[str, float]:
    """Ask for the list with so many clients at once; return the percentiles in ms."""
    program = tools.find(real, "wrk", Terminal())
    argv = [str(program), "-t1", f"-c{clients}", f"-d{SECONDS}s", "--timeout", "30s", "--latency"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:  # a command line can be seen by others
        script.write(f'wrk.headers["Authorization"] = "Bearer {site.token}"\n')
        script.flush()
        argv += ["-s", script.name, f"{site.url}/api/models"]
        said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in said, said
    units = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    return {
        name: float(value) * units[unit]
        for name, value, unit in re.findall(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)\s*$", said, re.MULTILINE)
    }


def memory(site: Site) -> float:
    """Return the server's resident memory in MiB."""
    return int(site.shell("awk '/VmRSS/{print $2}' /proc/1/status")) / 1024


def healthy(real: Settings, sites: dict[str, Site]) -> Iterator[str]:
    """Yield a row for each number of clients: stock, patched, ratio."""
    for site in sites.values():
        site.connect([VLLM])
        site.models()
    for clients in CLIENTS:
        found: dict[str, dict[str, list[float]]] = {name: {"50": [], "99": []} for name in sites}
        for _ in range(RUNS):
            for name, site in sites.items():
                for percentile, value in load(real, site, clients).items():
                    found[name][percentile].append(value)
        for percentile in ("50", "99"):
            stock, ours = (statistics.median(found[name][percentile]) for name in ("stock", "patched"))
            yield f"| p{percentile}, {clients} clients | {stock:.1f} ms | {ours:.1f} ms | {ours / stock:.2f} |"
    stock, ours = (memory(sites[name]) for name in ("stock", "patched"))
    yield f"| memory after that | {stock:.0f} MiB | {ours:.0f} MiB | {ours / stock:.2f} |"


def cell(found: list[Listing], model: str) -> tuple[str, float]:
    seconds = statistics.median(listing.seconds for listing in found)
    statuses = "/".join(sorted({str(listing.status) for listing in found}))
    has = sum(model in listing.ids for listing in found)
    return f"{statuses}, {seconds:.2f} s, vLLM's model {has} of {len(found)}", seconds


def faulty(sites: dict[str, Site], model: str) -> Iterator[str]:
    """Yield a row for each case: stock, patched, ratio."""
    for case, (openai, ollama) in CASES.items():
        cells = []
        for site in sites.values():
            found = []
            for _ in range(RUNS):  # set anew each time, so that nothing is remembered
                site.connect([VLLM, *openai], ollama)
                found.append(site.models())
            cells.append(cell(found, model))
        (stock, before), (ours, after) = cells
        yield f"| {case} | {stock} | {ours} | {after / before:.2f} |"


def main() -> None:
    real = settings.load()
    rows = ["| | stock | patched | ratio |", "|---|---|---|---|"]
    with ExitStack() as held:
        client = held.enter_context(engine.connect(real, Terminal())).client
        images = {"stock": held.enter_context(loaded(real, client, 0))}
        images["patched"] = held.enter_context(loaded(real, client, None))
        made = companion.build(real, "vllm-cpu", Terminal(), locked=True)
        engine.load(client, made.image, real.cache, "webui-fork-bench:vllm")
        held.callback(client.images.remove, "webui-fork-bench:vllm", force=True)
        network = held.enter_context(engine.network(client))
        aliases = {network: client.api.create_endpoint_config(aliases=["vllm"])}
        held.enter_context(
            engine.container(
                client, "webui-fork-bench:vllm", healthy=300, network=network, networking_config=aliases,
                shm_size="256m",
            )
        )  # fmt: skip
        held.enter_context(provider(client, images["patched"], network))
        sites = {name: held.enter_context(webui(client, image, network)) for name, image in images.items()}
        for row in chain(healthy(real, sites), faulty(sites, "tiny")):
            rows.append(row)
            print(row, flush=True)
    (CHECKOUT / "out").mkdir(exist_ok=True)
    (CHECKOUT / "out/listing.md").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
