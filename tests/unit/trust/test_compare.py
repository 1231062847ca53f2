from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

from webui_fork.oci import model
from webui_fork.rootfs import layers
from webui_fork.rootfs.layers import Entry
from webui_fork.trust import compare

FILE = layers.file_entry("etc/x", b"one")


def differences(tmp_path: Path, one: list[Entry], other: list[Entry], epoch: int = 1) -> list[str]:
    layers.write(one, tmp_path / "a", 1)
    layers.write(other, tmp_path / "b", epoch)
    return list(compare.layers("base", tmp_path / "a", tmp_path / "b"))


def test_each_field_of_a_file_is_named(tmp_path: Path) -> None:
    other = replace(FILE, mode=0o755, uid=7, content=b"more")
    lines = differences(tmp_path, [FILE], [other])
    assert lines[:2] == [
        "layer base: /etc/x: mode: published 0644, rebuilt 0755",
        "layer base: /etc/x: owner: published 0:0, rebuilt 7:0",
    ]
    assert "size: published 3, rebuilt 4" in lines[2]
    assert "content: published sha256:" in lines[3]


def test_what_only_one_has_and_what_became_a_link(tmp_path: Path) -> None:
    link = Entry("etc/x", tarfile.SYMTYPE, 0o777, link="y")
    found = differences(tmp_path, [FILE, layers.file_entry("etc/only", b"")], [link])
    assert "layer base: /etc/only is only in the published one" in found
    assert any("/etc/x: kind: published file, rebuilt link" in line for line in found)


def test_another_time_is_seen(tmp_path: Path) -> None:
    assert any("/etc/x: time: published 1, rebuilt 2" in line for line in differences(tmp_path, [FILE], [FILE], 2))


def test_the_same_entries_point_at_the_compressor(tmp_path: Path) -> None:
    (line,) = differences(tmp_path, [FILE], [FILE])
    assert "framing differs" in line


def test_fields_of_configuration_and_manifest_are_named() -> None:
    def made(word: str) -> model.Image:
        run = {"Env": ["A=1", f"B={word}"]}
        return model.image([], platform=("linux", "amd64"), created="2026", run=run, annotations={"k": word})

    assert list(compare.images(made("x"), made("y"))) == [
        "manifest: annotations.k: published 'x', rebuilt 'y'",
        "config: config.Env[1]: published 'B=x', rebuilt 'B=y'",
        "config: config.Labels.k: published 'x', rebuilt 'y'",
    ]
