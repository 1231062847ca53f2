"""What a git tree may hold, and an image must not."""

from __future__ import annotations

import tarfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from helpers import release_repo
from webui_fork.config import image_toml
from webui_fork.config.image_tables import Link
from webui_fork.core.errors import ArchiveError, ForkError, ImageError
from webui_fork.core.files import sha256_bytes
from webui_fork.core.git import Repo
from webui_fork.core.settings import CHECKOUT
from webui_fork.frontend.changes import BuiltFile
from webui_fork.image import application
from webui_fork.rootfs.layers import Entry
from webui_fork.series.apply import Change

PLACE = "backend/open_webui/odd"


def tree(repo: Repo, commit: str, mode: str, data: bytes, path: str = PLACE) -> str:
    """Commit a release that holds something beside its files."""
    odd = Path(repo.folder) / "odd"
    odd.write_bytes(data)
    blob = commit if mode == "160000" else repo.git.hash_object("-w", str(odd))
    repo.git.read_tree(commit)
    repo.git.update_index("--add", "--cacheinfo", f"{mode},{blob},{path}")
    who = {f"GIT_{role}_{key}": "x" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    return str(repo.git.commit_tree(repo.git.write_tree(), "-m", "x", env=who))


def entries(repo: Repo, commit: str, **changed: Any) -> dict[str, Entry]:
    spec = image_toml.read(CHECKOUT / "images/open-webui")
    copies = tuple(copy for copy in spec.copies if copy.origin == "release" and copy.path == "backend")
    assert copies
    own = replace(spec, copies=copies, folders=(), **changed)
    source = cast("Any", type("Source", (), {"commit": commit}))
    with ExitStack() as stack:
        return {entry.path: entry for entry in application.application(repo, own, source, "", stack)}


@pytest.mark.parametrize(
    ("mode", "data", "error"),
    [
        ("160000", b"", ImageError),
        ("120000", b"/etc/passwd", ArchiveError),
        ("120000", b"../../../../x", ArchiveError),
        ("120000", b"a/..", ArchiveError),
        ("120000", b"\xff", ArchiveError),
    ],
)
def test_what_a_source_distribution_could_not_have(
    tmp_path: Path, mode: str, data: bytes, error: type[ForkError]
) -> None:
    repo, commit = release_repo(tmp_path)
    with pytest.raises(error):
        entries(repo, tree(repo, commit, mode, data))


def test_a_link_inside_stays(tmp_path: Path) -> None:
    repo, commit = release_repo(tmp_path)
    links = [e for e in entries(repo, tree(repo, commit, "120000", b"../start.sh")).values() if e.link]
    assert [entry.link for entry in links] == ["../start.sh"]


def test_a_link_of_the_description_is_laid_in_and_decides_the_layer(tmp_path: Path) -> None:
    repo, commit = release_repo(tmp_path)
    link = Link(path="/app/backend/weights/mini", to="/usr/local/lib/mini/model")
    entry = entries(repo, commit, links=(link,))["app/backend/weights/mini"]
    assert (entry.kind, entry.mode, entry.link) == (tarfile.SYMTYPE, 0o777, link.to)
    spec = image_toml.read(CHECKOUT / "images/open-webui")
    source = cast("Any", type("Source", (), {"commit": commit}))
    without, linked = (application.application_inputs(replace(spec, links=one), source, "") for one in ((), (link,)))
    assert without != linked


def test_a_front_end_that_the_series_changes() -> None:
    spec = image_toml.read(CHECKOUT / "images/open-webui")
    digest = sha256_bytes(b"old")
    built = (
        BuiltFile("index.html", digest, b"new"),
        BuiltFile("_app/immutable/a.js", None, b"added"),
        BuiltFile("_app/immutable/b.js", digest, None),
        BuiltFile("_app/immutable/a.js.map", None, b"a map"),
        BuiltFile("static/gone.css", digest, None),
    )
    changes = (Change("src/lib/a.ts", 0o100644, b"source"), Change("static/gone.css", 0, None))
    assert list(application.patched(spec, changes, ())) == []
    listed = list(application.front_end(spec, built))
    assert [(entry.path, entry.removes) for entry in listed] == [
        ("app/build/index.html", False),
        ("app/build/_app/immutable/a.js", False),  # a chunk that is gone stays for pages that are open
        ("app/build/static/.wh.gone.css", True),
    ]
    with pytest.raises(ImageError, match=r"src/lib/a\.ts, which is not in the image"):
        list(application.patched(replace(spec, frontend=None), changes, ()))


def test_it_is_built_only_where_its_sources_change() -> None:
    spec = image_toml.read(CHECKOUT / "images/open-webui")
    assert spec.front_end_of(["backend/a.py", "static/a.css"]) == spec.frontend
    assert spec.front_end_of(["backend/src/a.py", "srcs/a"]) is None
    assert replace(spec, frontend=None).front_end_of(["src/a"]) is None
