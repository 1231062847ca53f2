"""Fixtures of the integration tests: the real cache, the real release, a real engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from webui_fork import engine, pipeline, settings
from webui_fork.engine import Engine
from webui_fork.settings import Settings
from webui_fork.terminal import Terminal


@pytest.fixture(scope="session")
def real() -> Settings:
    return settings.load()


@pytest.fixture(scope="session")
def inputs(real: Settings) -> pipeline.Inputs:
    return pipeline.read_inputs(real, Terminal(), locked=True)


@pytest.fixture(scope="session")
def built(real: Settings, inputs: pipeline.Inputs) -> pipeline.Built:
    return pipeline.build(real, inputs, Terminal(), locked=True)


@pytest.fixture(scope="session")
def docker_engine(real: Settings) -> Iterator[Engine]:
    with engine.connect(real, Terminal()) as running:
        yield running


@pytest.fixture(scope="session")
def image_with(real: Settings, inputs: pipeline.Inputs, docker_engine: Engine) -> Iterator[Callable[[int], str]]:
    """Load the image with the first N patches of the series into the engine; returns its name."""
    loaded: dict[int, str] = {}

    def load(count: int) -> str:
        if count not in loaded:
            some = replace(inputs, patches=inputs.patches[:count])
            made = pipeline.build(real, some, Terminal(), locked=True)
            loaded[count] = f"webui-fork-test:{some.tag}"
            engine.load(docker_engine.client, made.image, real.cache, loaded[count])
        return loaded[count]

    yield load
    for name in loaded.values():
        docker_engine.client.images.remove(name, force=True)
