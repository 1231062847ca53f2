"""`reproduce --upstream`: the same, or which files; a statement either way. Node.js is a script here."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import pytest

from front_ends import NODE, requested
from helpers import Talk
from webui_fork.cli import reproduce
from webui_fork.config import image_toml
from webui_fork.core.errors import ImageError, ReproduceError, UsageError
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.image import refresh_locks
from webui_fork.sources import programs, release


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    reproduce.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def spec() -> image_toml.ImageSpec:
    return image_toml.read(CHECKOUT / "images/open-webui")


def run(
    settings: Settings, spec: image_toml.ImageSpec, monkeypatch: pytest.MonkeyPatch, node: bytes, *words: str
) -> None:
    settings.cache.mkdir()
    repo, one = requested(settings, settings.cache, node)
    assert repo.folder == settings.cache / "source.git"
    monkeypatch.setattr(image_toml, "read", lambda _folder: replace(spec, frontend=one.spec))
    monkeypatch.setattr(refresh_locks, "pin", lambda _settings, version: None if version else one.lock)
    monkeypatch.setattr(release, "obtain", lambda *_: one.source)
    reproduce.run(settings, Talk(), arguments("--upstream", *words))


def statement(settings: Settings) -> str:
    document = json.loads((settings.out / "upstream-front-end.json").read_text())
    return str(document["predicate"]["result"])


def test_the_same(
    private_settings: Settings,
    spec: image_toml.ImageSpec,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(private_settings, spec, monkeypatch, NODE)
    assert "\nIdentical but for pyodide/," in capsys.readouterr().out
    assert statement(private_settings) == "PASSED"


def test_as_json(
    private_settings: Settings,
    spec: image_toml.ImageSpec,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(private_settings, spec, monkeypatch, NODE, "--json")
    assert json.loads(capsys.readouterr().out) == {
        "release": "1.2.3",
        "identical": True,
        "same": 2,
        "differences": [],
    }


def test_another_one(private_settings: Settings, spec: image_toml.ImageSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = NODE.replace(b"build/index.html\n", b"build/index.html; echo evil > build/evil.js\n", 1)
    with pytest.raises(ReproduceError, match=r"of 1\.2\.3 differs from its sources in 1 files") as raised:
        run(private_settings, spec, monkeypatch, evil)
    assert raised.value.why == "evil.js (added)"
    assert raised.value.exit_code == 21
    assert statement(private_settings) == "FAILED"


@pytest.fixture
def cosign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that signs what it is given, and finds it good."""
    program = tmp_path / "cosign"
    script = """#!/bin/sh
case "$1" in
generate-key-pair) touch cosign.key cosign.pub ;;
attest-blob) while [ "$1" != --predicate ]; do last=$1; [ "$last" = --bundle ] && bundle=$2; shift; done
  cat "$2" > "$bundle" ;;
esac
"""
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setattr(programs, "find", lambda *_: program)
    return program


@pytest.mark.usefixtures("cosign")
def test_what_was_stated_is_signed(
    private_settings: Settings, spec: image_toml.ImageSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(private_settings, spec, monkeypatch, NODE)
    reproduce.run(private_settings, Talk(), arguments("--upstream", "--sign"))
    bundle = private_settings.out / "upstream-front-end.bundle.json"
    assert json.loads(bundle.read_text())["result"] == "PASSED"
    reproduce.run(private_settings, Talk(), arguments("--upstream"))
    assert not bundle.exists()  # what it signs may be another statement now


@pytest.mark.usefixtures("cosign")
@pytest.mark.parametrize(
    ("stated", "words"),
    [
        (None, "is no statement of this tool"),
        (b"[]", "is no statement of this tool"),
        (b'"x"', "is no statement of this tool"),
        (b"[" * 100_000, "is no statement of this tool"),
        (b'{"predicate": {"passedTests": [], "failedTests": []}}', "is not what this tool states about open_webui"),
    ],
    ids=range(5),
)
def test_nothing_else_is_signed(
    private_settings: Settings,
    spec: image_toml.ImageSpec,
    monkeypatch: pytest.MonkeyPatch,
    stated: bytes | None,
    words: str,
) -> None:
    run(private_settings, spec, monkeypatch, NODE)
    file = private_settings.out / "upstream-front-end.json"
    file.write_bytes(stated) if stated else file.unlink()
    with pytest.raises(ReproduceError, match=words) as raised:
        reproduce.run(private_settings, Talk(), arguments("--upstream", "--sign"))
    assert "reproduce -- --upstream" in raised.value.remedy
    assert not (private_settings.out / "upstream-front-end.bundle.json").exists()


def test_a_description_that_does_not_say_how(
    private_settings: Settings, spec: image_toml.ImageSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_toml, "read", lambda _folder: replace(spec, frontend=None))
    with pytest.raises(ImageError, match=r"no \[frontend\]"):
        reproduce.run(private_settings, Talk(), arguments("--upstream"))


@pytest.mark.parametrize(
    "words",
    [(), ("oci:x", "--upstream"), ("oci:x", "--release", "1.2.3"), ("--release", "1.2.3"), ("oci:x", "--sign")],
)
def test_an_image_or_upstream(private_settings: Settings, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="either an image, or --upstream"):
        reproduce.run(private_settings, Talk(), arguments(*words))
