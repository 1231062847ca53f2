from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from helpers import Talk
from webui_fork.core import files
from webui_fork.core.settings import CHECKOUT
from webui_fork.image import layer_cache
from webui_fork.image.layer_cache import LayerCache
from webui_fork.oci import layout
from webui_fork.rootfs import layers
from webui_fork.rootfs.layers import Entry


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of this package, as the code that a key is made of."""
    copy = tmp_path / "webui_fork"
    shutil.copytree(CHECKOUT / "build/webui_fork", copy)
    monkeypatch.setattr(files, "__file__", str(copy / "core/files.py"))
    files.code_digest.cache_clear()
    yield copy
    files.code_digest.cache_clear()


def digest() -> str:
    files.code_digest.cache_clear()
    return files.code_digest(*layer_cache.ROOMS)


@pytest.mark.parametrize("room", layer_cache.ROOMS)
def test_every_module_of_a_room_that_a_build_uses_is_in_the_key(package: Path, room: str) -> None:
    before = digest()
    modules = sorted((package / room).glob("*.py"))
    assert len(modules) > 5
    for module in modules:
        text = module.read_text()
        module.write_text(text + "\n")
        assert digest() != before, module
        module.write_text(text)
    assert digest() == before
    modules[-1].rename(modules[-1].with_name("another.py"))
    assert digest() != before


def test_a_room_that_no_byte_comes_from_is_in_no_key(package: Path) -> None:
    before = digest()
    (package / "doctor/rules.py").write_text("")
    assert digest() == before


def test_a_layer_is_written_once_for_the_same_inputs(tmp_path: Path, talk: Talk) -> None:
    cache = LayerCache(tmp_path, 1, talk)
    calls = 0

    def make(_work: Path, _held: ExitStack) -> list[Entry]:
        nonlocal calls
        calls += 1
        return [layers.file_entry("f", b"x")]

    first = cache.get("one", {"a": 1}, make)
    assert first.fresh
    again = cache.get("one", {"a": 1}, make)
    assert (again.layer, again.fresh, calls) == (first.layer, False, 1)
    layout.blob_path(tmp_path, first.layer.layer.digest).write_bytes(b"cut off")
    assert cache.get("one", {"a": 1}, make).fresh
    (record,) = (tmp_path / "layers").iterdir()
    record.write_text(record.read_text().replace("sha256:", "sha256:../../"))
    assert cache.get("one", {"a": 1}, make).fresh
    for name, inputs, epoch in (("two", {"a": 1}, 1), ("one", {"a": 2}, 1), ("one", {"a": 1}, 2)):
        assert LayerCache(tmp_path, epoch, talk).get(name, inputs, make).fresh
