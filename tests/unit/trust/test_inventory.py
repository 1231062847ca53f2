from __future__ import annotations

import json
import tarfile
from pathlib import Path

from webui_fork.rootfs import layers
from webui_fork.rootfs.layers import Entry
from webui_fork.rootfs.package import Package
from webui_fork.trust import inventory

STATUS = b"""Package: libstdc++6
Status: install ok installed
Architecture: amd64
Source: gcc-12
Version: 12.2.0-14

Package: gcc-12-base
Status: install ok installed
Architecture: amd64
Source: gcc-12 (12.2.0-13)
Version: 12.2.0-14
"""
DEP5 = b"""Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Files: *
License: GPL-3+ with GCC exception

Files: x
License: MIT
"""


def read(tmp_path: Path, *entries: Entry) -> tuple[Package, ...]:
    layers.write(entries, tmp_path / "layer", 1)
    return inventory.read(tmp_path / "layer")


def test_debian_packages_have_the_licences_of_their_copyright_file_or_of_the_package_it_points_at(
    tmp_path: Path,
) -> None:
    packages = read(
        tmp_path,
        layers.file_entry("var/lib/dpkg/status", STATUS),
        layers.file_entry("usr/share/doc/gcc-12-base/copyright", DEP5),
        Entry("usr/share/doc/libstdc++6", tarfile.SYMTYPE, 0o777, link="gcc-12-base"),
    )
    base, library = packages
    assert (base.name, base.version, base.source) == ("gcc-12-base", "12.2.0-14", "gcc-12 (12.2.0-13)")
    assert base.licenses == library.licenses == ("GPL-3+ with GCC exception", "MIT")


def test_an_old_copyright_file_names_the_common_licences_it_points_at() -> None:
    text = "The terms are in /usr/share/common-licenses/GPL-2, and /usr/share/common-licenses/LGPL-2.1."
    assert inventory.copyright_licenses(text) == ("GPL-2", "LGPL-2.1")


def test_python_distributions_are_found_at_any_depth_and_wheels_as_files(tmp_path: Path) -> None:
    wheel = b"not opened"
    packages = read(
        tmp_path,
        layers.file_entry("a/X_y-1.0.dist-info/METADATA", b"Name: X.y\nVersion: 1.0\nLicense-Expression: MIT\n\nText"),
        layers.file_entry(
            "a/b/_vendor/z-2.dist-info/METADATA",
            b"Name: z\nVersion: 2\nClassifier: License :: OSI Approved :: BSD License\n",
        ),
        layers.file_entry("a/q-3.egg-info/PKG-INFO", b"Name: q\nVersion: 3\nLicense: " + b"long " * 50 + b"\n"),
        layers.file_entry("w/v-4.0-py3-none-any.whl", wheel),
        layers.file_entry("w/broken.whl", wheel),
    )
    rows = {package.name: (package.version, package.licenses) for package in packages}
    assert rows == {"X.y": ("1.0", ("MIT",)), "z": ("2", ("BSD License",)), "q": ("3", ()), "v": ("4.0", ())}
    assert next(package for package in packages if package.name == "v").sha256


def test_npm_packages_need_a_name_and_a_version(tmp_path: Path) -> None:
    packages = read(
        tmp_path,
        layers.file_entry("a/package.json", json.dumps({"name": "@s/p", "version": "1", "license": "ISC"}).encode()),
        layers.file_entry("b/package.json", b'{"name": "only"}'),
        layers.file_entry("c/package.json", b"{broken"),
    )
    assert [(p.kind, p.name, p.version, p.licenses) for p in packages] == [("npm", "@s/p", "1", ("ISC",))]


def test_a_layer_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "blobs/sha256").mkdir(parents=True)
    layer = layers.write([layers.file_entry("a/x-1.dist-info/METADATA", b"Name: x\nVersion: 1\n")], tmp_path / "l", 1)
    blob = tmp_path / "blobs/sha256" / layer.digest.removeprefix("sha256:")
    (tmp_path / "l").rename(blob)
    first = inventory.of_layer(tmp_path, layer)
    blob.unlink()
    assert inventory.of_layer(tmp_path, layer) == first
    assert first[0].name == "x"
