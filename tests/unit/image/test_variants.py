"""What a base in a registry must have of the release before the series goes on top of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from helpers import release_repo
from webui_fork.config import image_toml
from webui_fork.core.errors import ImageError
from webui_fork.core.files import sha256_bytes
from webui_fork.core.settings import CHECKOUT
from webui_fork.frontend.changes import BuiltFile
from webui_fork.image import variants
from webui_fork.series.apply import PatchedTree

OLD = sha256_bytes(b"old")
BUILT = (
    BuiltFile("index.html", OLD, b"new"),
    BuiltFile("_app/immutable/new.js", None, b"new"),
    BuiltFile("_app/immutable/old.js", OLD, None),
    BuiltFile("_app/immutable/new.js.map", None, b"map"),
)
SPEC = replace(
    image_toml.read_registry(CHECKOUT / "images/upstream"),
    frontend=image_toml.read(CHECKOUT / "images/open-webui").frontend,
)


def test_a_base_has_what_the_series_replaces_as_the_release_has_it(tmp_path: Path) -> None:
    release = {"package.json": b"{}", "backend/open_webui/a.py": b"a = 1\n", "src/a.ts": b"a"}
    series = {**release, "backend/open_webui/a.py": b"a = 2\n", "backend/open_webui/b.py": b"", "src/a.ts": b"b"}
    repo, commit = release_repo(tmp_path, release)
    tree = PatchedTree(commit, (release_repo(tmp_path, series)[1],))
    back_end = {
        "app/package.json": sha256_bytes(b"{}").hex,
        "app/backend/open_webui/a.py": sha256_bytes(b"a = 1\n").hex,
        "app/backend/open_webui/b.py": None,
    }
    assert variants.replaced(SPEC, repo, tree, ()) == back_end
    assert variants.replaced(SPEC, repo, tree, BUILT) == {
        **back_end,
        "app/build/index.html": OLD.hex,
        "app/build/_app/immutable/new.js": None,
        "app/build/_app/immutable/old.js": OLD.hex,
    }


@pytest.mark.parametrize(("origin", "path"), [("wheel", "index.html"), ("release", "package.json")])
def test_a_description_that_does_not_say_where_a_file_is(tmp_path: Path, origin: str, path: str) -> None:
    repo, commit = release_repo(tmp_path, {"package.json": b"{}"})
    copies = tuple(copy for copy in SPEC.copies if copy.origin != origin)
    assert len(copies) < len(SPEC.copies)
    with pytest.raises(ImageError, match=f"no place for {path}"):
        variants.replaced(replace(SPEC, copies=copies), repo, PatchedTree(commit, ()), BUILT)
