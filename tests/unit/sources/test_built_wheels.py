from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import msgspec
import pytest

from helpers import Talk
from webui_fork.config.image_tables import Sdist
from webui_fork.core.errors import SourceError
from webui_fork.core.files import sha256_file
from webui_fork.core.settings import Settings
from webui_fork.sources import built_wheels, download, wheels

INFO = b"Metadata-Version: 2.1\nName: Some-Thing\nVersion: 1.2\nLicense: MIT\nDescription: words\n        more words\n"
FILES = {
    "PKG-INFO": INFO,
    "LICENSE": b"MIT\n",
    "setup.py": b"raise SystemExit('nobody runs this')\n",
    "some_thing/__init__.py": b"WORD = 1\n",
    "some_thing/data/words.txt": b"one\n",
    "some_thing.egg-info/requires.txt": b"six\nattrs>=1\n\n[test]\npytest\n",
    "tests/test_it.py": b"",
}
SOURCE = Sdist(name="some-thing", version="1.2", sha256="0" * 64, package="some_thing")


def contents(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as wheel:
        return {name: wheel.read(name) for name in wheel.namelist()}


def test_a_wheel_has_the_package_and_its_metadata_and_no_more() -> None:
    inside = contents(built_wheels.build(SOURCE, FILES))
    assert sorted(inside) == [
        "some_thing-1.2.dist-info/LICENSE",
        "some_thing-1.2.dist-info/METADATA",
        "some_thing-1.2.dist-info/RECORD",
        "some_thing-1.2.dist-info/WHEEL",
        "some_thing/__init__.py",
        "some_thing/data/words.txt",
    ]
    metadata = inside["some_thing-1.2.dist-info/METADATA"].decode()
    assert metadata.index("Requires-Dist: six\nRequires-Dist: attrs>=1\nDescription: words\n        more") > 0
    assert "pytest" not in metadata
    record = inside["some_thing-1.2.dist-info/RECORD"].decode()
    assert "some_thing/__init__.py,sha256=" in record
    assert record.endswith("some_thing-1.2.dist-info/RECORD,,\n")


def test_metadata_with_the_description_at_its_end_keeps_it_there() -> None:
    info = b"Metadata-Version: 2.4\nName: some_thing\nVersion: 1.2\n\nVersion: 9\nDescription: no field\n"
    inside = contents(built_wheels.build(SOURCE, {**FILES, "PKG-INFO": info}))
    assert inside["some_thing-1.2.dist-info/METADATA"].decode() == (
        "Metadata-Version: 2.4\nName: some_thing\nVersion: 1.2\nRequires-Dist: six\nRequires-Dist: attrs>=1\n"
        "\nVersion: 9\nDescription: no field\n"
    )
    own = info.replace(b"1.2\n\n", b"1.2\nRequires-Dist: six\n\n")
    metadata = contents(built_wheels.build(SOURCE, {**FILES, "PKG-INFO": own}))["some_thing-1.2.dist-info/METADATA"]
    assert metadata == own


def test_requirements_of_extras_alone_are_none() -> None:
    inside = contents(built_wheels.build(SOURCE, {**FILES, "some_thing.egg-info/requires.txt": b"[test]\npytest\n"}))
    assert b"Requires-Dist" not in inside["some_thing-1.2.dist-info/METADATA"]


def test_other_bytes_need_new_locks() -> None:
    """Who changes what a wheel holds runs `nox -s lock`, and then changes this."""
    digest = hashlib.sha256(built_wheels.build(SOURCE, FILES)).hexdigest()
    assert digest == "4ee83d946ad6e0ec00dc8a3ef2b6d048c6bf567071f9772a1102d1ea58b365b7"


def test_the_same_source_gives_the_same_bytes() -> None:
    shuffled = dict(reversed(FILES.items()))
    assert built_wheels.build(SOURCE, FILES) == built_wheels.build(SOURCE, shuffled)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({**FILES, "some_thing/fast.pyx": b""}, "not a pure Python package"),
        ({key: FILES[key] for key in FILES if "__init__" not in key}, "not a pure Python package"),
        ({**FILES, "PKG-INFO": INFO.replace(b"1.2", b"1.3")}, "contains another package than that"),
        ({**FILES, "PKG-INFO": INFO.replace(b"Some-Thing", b"other")}, "contains another package than that"),
        ({key: FILES[key] for key in FILES if key != "PKG-INFO"}, "contains another package than that"),
    ],
)
def test_what_cannot_be_one_is_refused(files: dict[str, bytes], why: str) -> None:
    with pytest.raises(SourceError, match=why):
        built_wheels.build(SOURCE, files)


def test_it_is_made_from_the_pinned_file_without_a_network(private_settings: Settings, tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path, data in FILES.items():
            info = tarfile.TarInfo(f"some-thing-1.2/{path}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    source = msgspec.structs.replace(SOURCE, sha256=hashlib.sha256(out.getvalue()).hexdigest())
    place = download.cached(private_settings.cache, source.digest)
    place.parent.mkdir(parents=True)
    place.write_bytes(out.getvalue())
    built_wheels.obtain(private_settings, [source], tmp_path, Talk())
    wheel = tmp_path / "some_thing-1.2-py3-none-any.whl"
    assert wheels.filename(wheel) == wheel.name
    kept = download.cached(private_settings.cache, sha256_file(wheel))
    assert kept.read_bytes() == wheel.read_bytes()
