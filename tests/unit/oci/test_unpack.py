from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from webui_fork.oci import layout, model, unpack
from webui_fork.oci.model import Image, NamedLayer
from webui_fork.rootfs import layers
from webui_fork.rootfs.layers import Entry

TIMES = "2026-01-01T00:00:00Z"


def layer(cache: Path, name: str, entries: list[Entry]) -> NamedLayer:
    """Write a layer where a cache has its blobs."""
    work = cache / "layer"
    written = layers.write(entries, work, 0)
    blob = layout.blob_path(cache, written.digest)
    blob.parent.mkdir(parents=True, exist_ok=True)
    work.rename(blob)
    return NamedLayer(name, written)


def image(cache: Path, **changed: bytes | None) -> Image:
    """Make an image of a base, an application and what patches change in it, or remove (None)."""
    base = [layers.file_entry("usr/bin/python3", b"#!", executable=True)]
    base += [layers.folder_entry("etc"), replace(layers.file_entry("x", b""), path="lib", kind=b"2", link="usr/lib")]
    app = [layers.file_entry("app/backend/a.py", b"a = 1\n"), layers.file_entry("app/backend/b.py", b"b = 1\n")]
    app += [layers.file_entry("app/CHANGELOG.md", b"changes\n"), layers.file_entry("app/LICENSE", b"terms\n")]
    app += [layers.file_entry("app/build/index.html", b"page\n"), layers.file_entry("app/build/a.js", b"a\n")]
    places = {name if "/" in name else f"app/backend/{name}": data for name, data in changed.items()}
    top = [layers.whiteout(place) if data is None else layers.file_entry(place, data) for place, data in places.items()]
    front = [entry for entry in top if entry.path.startswith("app/build/")]
    rest = [entry for entry in top if entry not in front]
    named = {"base": base, "application": app, **({"frontend": front} if front else {}), "patches": rest}
    stack = [layer(cache, name, entries) for name, entries in named.items()]
    return model.image(stack, platform=("linux", "amd64"), created=TIMES, run={}, annotations={})


def test_a_tree_has_the_patches_and_leads_to_the_rest(tmp_path: Path) -> None:
    made = image(tmp_path, **{"a.py": b"a = 2\n", "b.py": None})
    tree = unpack.tree(made, tmp_path, tmp_path / "tree")
    assert (tree / "backend/a.py").read_text() == "a = 2\n"
    assert not (tree / "backend/b.py").exists()
    assert (tree / "LICENSE").read_text() == "terms\n"
    assert (tree / "CHANGELOG.md").read_text() == "# Changelog\n"
    assert (tree / "root/app/backend/a.py").read_text() == "a = 1\n"
    assert os.access(tree / "root/usr/bin/python3", os.X_OK)
    assert (tree / "root/lib").readlink() == Path("usr/lib")


def test_a_tree_has_the_front_end_of_the_patches(tmp_path: Path) -> None:
    made = image(tmp_path, **{"app/build/index.html": b"ours\n", "app/build/a.js": None})
    tree = unpack.tree(made, tmp_path, tmp_path / "tree")
    assert (tree / "build/index.html").read_text() == "ours\n"
    assert not (tree / "build/a.js").exists()
    assert (tree / "root/app/build/index.html").read_text() == "page\n"  # the cache's is another file
    assert (unpack.tree(image(tmp_path), tmp_path, tmp_path / "plain") / "build").is_symlink()


def test_the_lower_layers_are_laid_out_once(tmp_path: Path) -> None:
    one = unpack.tree(image(tmp_path), tmp_path, tmp_path / "one")
    changed = image(tmp_path, **{"a.py": b"a = 3\n", "app/build/a.js": b"b\n"})
    two = unpack.tree(changed, tmp_path, tmp_path / "two")
    assert (one / "root").resolve() == (two / "root").resolve()
    assert (one / "backend/a.py").read_text() == "a = 1\n"


def test_a_variant_differs_in_one_file(tmp_path: Path) -> None:
    tree = unpack.tree(image(tmp_path), tmp_path, tmp_path / "tree")
    other = unpack.variant(tree, tmp_path / "other", "backend/a.py", "a = 9\n")
    assert (other / "backend/a.py").read_text() == "a = 9\n"
    assert (tree / "backend/a.py").read_text() == "a = 1\n"
    assert (other / "backend/b.py").read_text() == "b = 1\n"
    assert (other / "root").resolve() == (tree / "root").resolve()
    assert (other / "CHANGELOG.md").read_text() == "# Changelog\n"


def test_a_folder_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    with pytest.raises(FileExistsError):
        unpack.tree(image(tmp_path), tmp_path, tmp_path / "tree")
