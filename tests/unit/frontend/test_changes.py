"""What differs between a built front end and the wheel's, and what of that may not."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from webui_fork.core.errors import ArchiveError, ImageError
from webui_fork.core.files import sha256_bytes
from webui_fork.frontend import changes
from webui_fork.frontend.changes import BuiltFile, Changes

NAME = "release.whl"
WHEEL = {
    "index.html": b"<title>Open WebUI</title>",
    "_app/immutable/a.js": b"let a = 'Open WebUI'",
    "_app/immutable/b.js": b"let b",
    "static/favicon.png": b"image",
    "pyodide/pyodide.js": b"taken",
}


def between(folder: Path, **built: bytes | None) -> Changes:
    """Compare the wheel with it after some changes; a name has `__` for a slash and `_0` for a dot."""
    wheel = folder / NAME
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in WHEEL.items():
            archive.writestr(f"open_webui/frontend/{path}", data)
    files: dict[str, bytes | None] = {path: data for path, data in WHEEL.items() if not path.startswith("pyodide/")}
    for name, content in built.items():
        files[name.replace("__", "/").replace("_0", ".")] = content
    for path, content in files.items():
        place = folder / "built" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            place.write_bytes(content)
    return changes.between(wheel, NAME, folder / "built")


def test_the_same_but_for_what_is_taken(tmp_path: Path) -> None:
    assert between(tmp_path) == Changes(4, (), (0, 0))


def test_changed_added_and_gone(tmp_path: Path) -> None:
    result = between(tmp_path, index_0html=b"<title>Open WebUI</title>!", new_0js=b"new", static__favicon_0png=None)
    assert result.same == 2
    assert result.files == (
        BuiltFile("index.html", sha256_bytes(WHEEL["index.html"]), b"<title>Open WebUI</title>!"),
        BuiltFile("new.js", None, b"new"),
        BuiltFile("static/favicon.png", sha256_bytes(b"image"), None),
    )
    assert list(map(str, result.files)) == ["index.html (changed)", "new.js (added)", "static/favicon.png (gone)"]
    assert changes.load(result.dump()) == result


def test_a_name_that_moves_to_another_chunk_is_still_there(tmp_path: Path) -> None:
    moved = {"_app__immutable__a_0js": None, "_app__immutable__c_0js": b"let c = 'Open WebUI', more"}
    assert between(tmp_path, **moved).brand_problems() == []


def test_a_brand_that_is_touched(tmp_path: Path) -> None:
    result = between(tmp_path, index_0html=b"<title>Mine</title>", static__favicon_0png=b"mine")
    assert result.brand_problems() == [
        "static/favicon.png (changed) is a licence text or a brand asset",
        "the product's name occurs 1 times in the wheel, and 0 now",
    ]


def test_maps_do_not_count(tmp_path: Path) -> None:
    result = between(tmp_path, _app__immutable__a_0js=None, a_0js_0map=b"Open WebUI")
    assert result.names == (1, 0)


def test_a_link_in_what_was_built(tmp_path: Path) -> None:
    (tmp_path / "built").mkdir()
    (tmp_path / "built/passwd").symlink_to("/etc/passwd")
    with pytest.raises(ImageError, match="passwd, which is no plain file"):
        between(tmp_path)


def test_a_folder_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "built").mkdir()
    (tmp_path / "built/etc").symlink_to("/etc")
    with pytest.raises(ImageError, match="etc, which is no plain file"):
        between(tmp_path)


def test_a_name_that_no_image_may_have(tmp_path: Path) -> None:
    (tmp_path / "built").mkdir()
    (tmp_path / "built" / "a\nb").touch()
    with pytest.raises(ArchiveError):
        between(tmp_path)
