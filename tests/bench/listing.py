"""Measure the model list of stock and of this build beside providers that misbehave; writes out/listing.md."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from docker import DockerClient

from containers import Listing, site
from webui_fork import engine, pipeline, settings
from webui_fork.settings import CHECKOUT, Settings
from webui_fork.terminal import Terminal

RUNS = 5
CASES = {
    "nothing else": ([8000], []),
    "an Ollama that answers nonsense": ([8000], [8002]),
    "an Ollama that never answers": ([8000], [8001]),
    "a second OpenAI connection that never answers": ([8000, 8001], []),
    "a second OpenAI connection that takes 3 s": ([8000, 8003], []),
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


def cell(found: list[Listing]) -> str:
    seconds = statistics.median(listing.seconds for listing in found)
    statuses = "/".join(sorted({str(listing.status) for listing in found}))
    healthy = sum("good-model" in listing.ids for listing in found)
    return f"{statuses}, {seconds:.2f} s, healthy model listed {healthy} of {len(found)}"


def main() -> None:
    real = settings.load()
    rows = []
    with (
        engine.connect(real, Terminal()) as docker,
        loaded(real, docker.client, 0) as stock,
        loaded(real, docker.client, None) as ours,
    ):
        for name, (openai, ollama) in CASES.items():
            cells = []
            for image in (stock, ours):
                with site(docker.client, image, openai=openai, ollama=ollama) as webui:
                    cells.append(cell([webui.models() for _ in range(RUNS)]))
            rows.append(f"| {name} | {' | '.join(cells)} |")
            print(rows[-1], flush=True)
    (CHECKOUT / "out").mkdir(exist_ok=True)
    (CHECKOUT / "out/listing.md").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
