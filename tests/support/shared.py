"""What a run needs, once for all its workers: found or started before the first test, removed after the last.

The process that a person started holds it: the controller of pytest-xdist, or the only process there is. Workers, and
what they start, learn of it by files in a folder of the run's, which the environment names.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from docker import DockerClient
from docker.errors import DockerException

import drift
import tools
from webui_fork.core.files import exclusive
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.oci import engine
from webui_fork.sources import programs

# what fixtures tell the end of the run, which records it. Here, for pytest knows a conftest.py by another name than
# `import conftest` does: keys that stood there were two, and no run was ever recorded
BUILT = pytest.StashKey[tuple[str, str]]()  # the image's digest, and the patched tree's commit
OTHERS = pytest.StashKey[list[tuple[str, str]]]()  # digests of other images, and the file of tests they passed
RUN = "WEBUI_FORK_TEST_RUN"  # of ours by its name: what runs a proof passes those on, and hardly any other
IMAGES = "webui-fork-test"  # the name of every image that tests load
LABEL = "webui-fork-test-run"
PACKAGES = "inputs"  # the fixture of what is built of Debian packages
# a fixture of tests/integration/conftest.py, and what it needs of the machine
NEEDS = {
    "cosign": "registry",
    "program": "registry",
    "docker_engine": "engine",
    "vllm_image": "vllm",
    "page": "browser",
}


def needs(fixtures: Iterable[str]) -> set[str]:
    """Return what a test with these fixtures needs beside the host itself."""
    return {NEEDS[name] for name in fixtures if name in NEEDS}


class Shared:
    """The folder of a run, and what stands as long as it lasts."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = Path(tempfile.mkdtemp(prefix="webui-fork-run-"))
        os.environ[RUN] = str(self.folder)
        self._stack = ExitStack()
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._prepared = False

    def prepare(self, needed: Iterable[str]) -> None:
        """Find or start what the chosen tests need.

        Args:
            needed: their markers, and `PACKAGES`.

        Raises:
            ForkError: it is not here, with what to do.
        """
        if self._prepared:
            return
        self._prepared, marks, ui = True, set(needed), Terminal()
        if PACKAGES in marks:
            drift.settle(self.settings, self.folder, ui)
        if "registry" in marks:
            for name in ("cosign", "registry"):
                programs.find(self.settings, name, ui)
        if "browser" in marks:
            tools.find(self.settings, "chromium", ui)
        if marks & {"engine", "vllm"}:
            running = self._stack.enter_context(engine.connect(self.settings, ui))
            self._stack.callback(_clean, running.client, self.folder.name)
            (self.folder / "engine").write_text(running.host)

    def close(self) -> None:
        """Remove what the run made in the engine, and end the engine if it was the run's."""
        self._stack.close()


def folder() -> Path:
    """Return the folder of this run."""
    return Path(os.environ[RUN])


def _clean(client: DockerClient, run: str) -> None:
    engine.sweep(client, label=f"{LABEL}={run}")
    for image in client.images.list(name=IMAGES):
        for tag in image.tags:
            if tag.startswith(f"{IMAGES}:{run}"):
                with suppress(DockerException):
                    client.images.remove(tag, force=True)


def seeing(settings: Settings) -> Settings:
    """Return settings whose Docker engine is the run's."""
    return replace(settings, environ={**settings.environ, "DOCKER_HOST": (folder() / "engine").read_text()})


def once(name: str, make: Callable[[], str]) -> str:
    """Return what the first worker that asked got from `make`; the others wait for it."""
    file = folder() / name
    with exclusive(folder() / f"{name}.lock", name):
        if not file.exists():
            file.write_text(make())
        return file.read_text()


def image_name(what: str) -> str:
    """Return the name in the engine of an image that goes when the run ends."""
    return f"{IMAGES}:{folder().name}-{what}"


def vllm_version(run: Path) -> str:
    """Return the version of the vLLM that a run had, "" if it had none."""
    file = run / "vllm-version"
    return file.read_text() if file.exists() else ""


def labels() -> dict[str, str]:
    """Return Docker's labels for what stays until the run ends."""
    return {LABEL: folder().name}
