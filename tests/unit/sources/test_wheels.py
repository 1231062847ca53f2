from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from helpers import Talk
from webui_fork.core.errors import SourceError, ToolError
from webui_fork.core.files import sha256_file
from webui_fork.core.settings import Settings
from webui_fork.sources import download, wheels


def wheel(file: Path, metadata: str, stem: str = "a_b-1.0+cpu") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a_b/__init__.py", "")
        archive.writestr(f"{stem}.dist-info/WHEEL", metadata)
    return file


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ("Wheel-Version: 1.0\nTag: py3-none-any\n", "a_b-1.0+cpu-py3-none-any.whl"),
        ("Tag: py2-none-any\nTag: py3-none-any\n", "a_b-1.0+cpu-py2.py3-none-any.whl"),
        ("Wheel-Version: 1.0\r\nTag: py2-none-any\r\nTag: py3-none-any\r\n", "a_b-1.0+cpu-py2.py3-none-any.whl"),
        ("Build: 7\nTag: cp311-cp311-linux_x86_64\n", "a_b-1.0+cpu-7-cp311-cp311-linux_x86_64.whl"),
        (
            "Tag: cp311-cp311-manylinux_2_17_x86_64\nTag: cp311-cp311-manylinux2014_x86_64\n",
            "a_b-1.0+cpu-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        ),
    ],
)
def test_a_wheel_says_its_own_name(tmp_path: Path, metadata: str, name: str) -> None:
    assert wheels.filename(wheel(tmp_path / "file", metadata)) == name


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no archive")
    for file in (
        tmp_path / "text",
        tmp_path / "gone",
        wheel(tmp_path / "untagged", "Wheel-Version: 1.0\n"),
        wheel(tmp_path / "climbs", "Tag: ../../x-none-any\n"),
        wheel(tmp_path / "elsewhere", "Tag: py3-none-any\n", "../up/a-1"),
    ):
        with pytest.raises(SourceError, match="is not a wheel"):
            wheels.filename(file)


def locked(*digests: str) -> str:
    return "".join(f"p{number}==1 \\\n    --hash=sha256:{digest}\n" for number, digest in enumerate(digests))


def test_what_the_cache_has_gets_its_name(private_settings: Settings, tmp_path: Path) -> None:
    file = wheel(tmp_path / "file", "Tag: py3-none-any\n")
    digest = sha256_file(file)
    place = download.cached(private_settings.cache, digest)
    place.parent.mkdir(parents=True)
    file.rename(place)
    assert wheels.at_hand(private_settings, locked(digest.hex, "0" * 64), tmp_path / "named") == 1
    assert [path.name for path in (tmp_path / "named").iterdir()] == ["a_b-1.0+cpu-py3-none-any.whl"]
    assert wheels.obtain(private_settings, locked(digest.hex), "3.11", "x86_64", None) == (place,)  # type: ignore[arg-type]


def test_a_wheel_that_nobody_has(private_settings: Settings, talk: Talk) -> None:
    with pytest.raises(ToolError, match="download the wheels"):
        wheels.obtain(private_settings, locked("0" * 64), "3.11", "x86_64", talk)
