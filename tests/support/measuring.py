"""What the benches share: timing, medians with their spread, the machine."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from docker import DockerClient

from processes import Site
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
from webui_fork.oci import unpack

Sites = dict[str, Site]


def timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} s ({min(values):.2f} to {max(values):.2f})"


def machine() -> str:
    cpu = next(
        (
            row.split(":")[1].strip()
            for row in Path("/proc/cpuinfo").read_text().splitlines()
            if row.startswith("model name")
        ),
        "?",
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{os.cpu_count()} cores ({cpu}), {memory >> 30} GiB, Python {platform.python_version()}"


def remove_images(client: DockerClient) -> None:
    client.images.prune(filters={"dangling": False})  # all that no container uses, children first


def trees(real: Settings, folder: Path) -> dict[str, Path]:
    """Lay out stock and ours.

    Raises:
        AssertionError: they are the same, and the bench would compare an image with itself.
    """
    inputs = image_inputs.read_inputs(real, Terminal(), locked=True)
    folders = {
        name: pipeline.build(real, replace(inputs, patches=patches), Terminal(), locked=True).image
        for name, patches in (("stock", ()), ("patched", inputs.patches))
    }
    assert folders["stock"].digest != folders["patched"].digest
    laid = {name: unpack.tree(image, real.cache, folder / name) for name, image in folders.items()}
    name = "backend/open_webui/utils/models.py"
    assert (laid["stock"] / name).read_bytes() != (laid["patched"] / name).read_bytes()
    return laid
