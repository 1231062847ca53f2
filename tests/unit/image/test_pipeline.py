"""The layers of a series."""

from __future__ import annotations

from pathlib import Path

from helpers import Talk, release_repo
from webui_fork.config import image_toml
from webui_fork.core.files import sha256_bytes
from webui_fork.core.settings import CHECKOUT
from webui_fork.frontend.changes import BuiltFile
from webui_fork.image import pipeline
from webui_fork.image.layer_cache import LayerCache
from webui_fork.series.apply import PatchedTree

PLACE = "backend/open_webui/a.py"


def test_an_edited_patch_leaves_the_layer_of_the_front_end_alone(tmp_path: Path, talk: Talk) -> None:
    spec, cache = image_toml.read(CHECKOUT / "images/open-webui"), LayerCache(tmp_path / "cache", 1, talk)
    repo, commit = release_repo(tmp_path, {PLACE: b"a = 1\n"})
    one, other = (PatchedTree(commit, (release_repo(tmp_path, {PLACE: text})[1],)) for text in (b"a = 2\n", b"a = 3\n"))

    def layers(tree: PatchedTree, page: bytes = b"") -> dict[str, tuple[str, bool]]:
        built = (BuiltFile("index.html", sha256_bytes(b"old"), page),) if page else ()
        made = pipeline.series_layers(spec, (), cache, repo, tree, built)
        return {item.layer.name: (item.layer.layer.digest, item.fresh) for item in made}

    first, edited, rebuilt = layers(one, b"new"), layers(other, b"new"), layers(other, b"newer")
    assert list(first) == list(edited) == ["frontend", "patches"]
    assert edited["frontend"] == (first["frontend"][0], False)
    assert edited["patches"][0] != first["patches"][0]
    assert rebuilt["patches"] == (edited["patches"][0], False)
    assert rebuilt["frontend"][0] != edited["frontend"][0]
    assert layers(one) == {"patches": (first["patches"][0], False)}  # and no empty layer below it
