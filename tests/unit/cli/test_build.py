from __future__ import annotations

import argparse
import platform
from pathlib import Path

import pytest

from helpers import Talk
from registries import image_of
from webui_fork.cli import build
from webui_fork.core.errors import UsageError
from webui_fork.core.settings import Settings
from webui_fork.oci import model


def test_the_summary_says_what_was_made_and_what_to_type_next() -> None:
    values = {
        "tag": "open-webui:v1-p1",
        "digest": "sha256:d",
        "ref": "open-webui@sha256:d",
        "layers": [("base", 40_000_000, "sha256:b")],
        "patches": ["one.patch: One"],
        "times": {"base": 18.04, "series": 0.01},
        "key": "/k.pub",
        "next_command": "nox -s build -- --load",
    }
    text = build.summary(**values, fresh=True, drift=0)  # type: ignore[arg-type]
    for part in ("Built and signed", "sha256:d", "40.0 MB", "one.patch: One", "base 18.0 s", "/k.pub", "Next: nox"):
        assert part in text
    assert "DRIFT" not in text
    assert "Nothing changed" in build.summary(**values, fresh=False, drift=0)  # type: ignore[arg-type]
    assert "3 Debian packages" in build.summary(**values, fresh=True, drift=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("machine", "chosen", "architectures"),
    [
        ("x86_64", "", ("amd64",)),
        ("aarch64", "", ("arm64",)),
        ("arm64", "", ("arm64",)),  # macOS
        ("riscv64", "", ("amd64",)),
        ("aarch64", "amd64", ("amd64",)),
        ("x86_64", "all", ("amd64", "arm64")),
    ],
)
def test_one_builds_for_the_machine_at_hand_and_publishes_all(
    machine: str, chosen: str, architectures: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert build._architectures(("amd64", "arm64"), chosen) == architectures


@pytest.mark.parametrize(
    "words",
    [["--image", "vllm-cpu", "--arch", "arm64"], ["--image", "vllm-cpu", "--all"], ["--all", "--arch", "arm64"],
     ["--all", "--flavour", "full"]],
)  # fmt: skip
def test_options_that_contradict_each_other(private_settings: Settings, talk: Talk, words: list[str]) -> None:
    parser = argparse.ArgumentParser()
    build.add_arguments(parser)
    with pytest.raises(UsageError, match="can't be combined with these"):
        build.run(private_settings, talk, parser.parse_args(words))


def test_a_layer_that_images_share_is_listed_once(tmp_path: Path) -> None:
    shared, own = image_of(tmp_path, b"shared").layers, image_of(tmp_path, b"own").layers
    values = {"created": "2026-01-01T00:00:00Z", "run": {}, "annotations": {}}
    first = model.image([*shared, *own], platform=("linux", "amd64"), **values)  # type: ignore[arg-type]
    other = model.image(shared, platform=("linux", "arm64"), **values)  # type: ignore[arg-type]
    rows = build._layers(model.index([first, other], {}))
    assert [digest for _, _, digest in rows] == [item.layer.digest for item in first.layers]
    assert [name.endswith("amd64") for name, _, _ in rows] == [False, True]
    assert [name for name, _, _ in build._layers(first)] == [item.name for item in first.layers]
