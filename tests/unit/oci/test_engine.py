from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from registries import image_of
from webui_fork.core.errors import EngineError
from webui_fork.oci import engine, model


def client(machine: str) -> Any:
    return SimpleNamespace(info=lambda: {"Architecture": machine})


def test_of_several_images_the_engine_gets_the_one_for_its_machine(tmp_path: Path) -> None:
    one = image_of(tmp_path, b"x")
    words = {"created": "2026-01-01T00:00:00Z", "run": {}, "annotations": {}}
    other = model.image(one.layers, platform=("linux", "arm64"), **words)  # type: ignore[arg-type]
    index = model.index([one, other], {})
    assert engine._for_machine(client("x86_64"), index, "x:v1") == one
    assert engine._for_machine(client("aarch64"), index, "x:v1") == other
    with pytest.raises(
        EngineError, match="x:v1 is for linux/amd64, linux/arm64, and the Docker engine runs on riscv64"
    ):
        engine._for_machine(client("riscv64"), index, "x:v1")
    assert engine._for_machine(client("riscv64"), other, "x:v1") == other
