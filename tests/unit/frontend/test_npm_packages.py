from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from webui_fork.core.errors import ArchiveError
from webui_fork.frontend import npm_packages
from webui_fork.rootfs.package import Package

SHA512 = "ab" * 64
INTEGRITY = f"sha1-AAAA sha512-{base64.b64encode(bytes.fromhex(SHA512)).decode()}"
UP = "../../../../../.."


def source_map(*sources: object) -> tuple[str, bytes]:
    return "a.js.map", json.dumps({"version": 3, "sources": sources, "mappings": ""}).encode()


def lock(**rows: Any) -> bytes:
    return json.dumps({"lockfileVersion": 3, "packages": {"": {"name": "open-webui"}, **rows}}).encode()


def test_what_the_maps_name_has_the_locks_version_licence_and_digest() -> None:
    maps = [
        source_map(f"{UP}/src/lib/x.svelte", f"{UP}/node_modules/marked/lib/a.js", None),
        source_map(f"{UP}/node_modules/marked/lib/b.js?commonjs", f"{UP}/node_modules/@s/p/index.js"),
    ]
    rows = {
        "node_modules/marked": {"version": "9.1", "license": "MIT", "integrity": INTEGRITY},
        "node_modules/@s/p": {"version": "1.0", "integrity": "sha1-AAAA"},
        "node_modules/vite": {"version": "5.4", "dev": True},
    }
    assert npm_packages.bundled(maps, lock(**rows), "/app/build") == (
        Package("npm", "@s/p", "1.0", paths=("app/build",)),
        Package("npm", "marked", "9.1", ("MIT",), paths=("app/build",), sha512=SHA512),
    )


def test_a_package_inside_another_is_its_own_version() -> None:
    maps = [source_map("node_modules/a/node_modules/@s/b/x.js", "node_modules/@s/b/x.js", "node_modules/a/x.js")]
    rows = {
        "node_modules/a": {"version": "1"},
        "node_modules/@s/b": {"version": "2"},
        "node_modules/a/node_modules/@s/b": {"version": "3"},
    }
    packages = npm_packages.bundled(maps, lock(**rows), "/x")
    assert [(one.name, one.version) for one in packages] == [("@s/b", "2"), ("a", "1"), ("@s/b", "3")]


def test_an_alias_has_the_name_of_what_it_is() -> None:
    rows = {"node_modules/short": {"name": "the-real-one", "version": "2"}}
    (package,) = npm_packages.bundled([source_map("node_modules/short/x.js")], lock(**rows), "/x")
    assert (package.name, package.version) == ("the-real-one", "2")


@pytest.mark.parametrize("data", [None, lock()])
def test_without_a_row_in_a_lock_the_version_is_unknown(data: bytes | None) -> None:
    (package,) = npm_packages.bundled([source_map("node_modules/marked/x.js")], data, "/x")
    assert (package.name, package.version) == ("marked", "")


@pytest.mark.parametrize(
    ("data", "row", "words"),
    [
        (b"\xff", lock(), "a.js.map of the release is not JSON"),
        (b"[" * 100_000, lock(), "is not JSON"),
        (b"[]", lock(), "is not a JSON object"),
        (b'{"sources": "node_modules/a/x"}', lock(), "is not a source map"),
        (b'{"sources": ["node_modules/a/x"]}', b"{", "package-lock.json of the release is not JSON"),
        (b'{"sources": ["node_modules/a/x"]}', b"{}", "has no `packages`"),
        (b'{"sources": ["node_modules/a/x"]}', lock(**{"node_modules/a": {"version": 1}}), "malformed at"),
        (b'{"sources": ["node_modules/a/x"]}', lock(**{"node_modules/a": {"name": "../b"}}), "malformed at"),
    ],
)
def test_a_malformed_release_is_an_error_in_words(data: bytes, row: bytes, words: str) -> None:
    with pytest.raises(ArchiveError, match=words) as caught:
        npm_packages.bundled([("a.js.map", data)], row, "/x")
    assert "\x1b" not in str(caught.value)


def test_what_is_no_package_is_passed_over() -> None:
    """A map is written by whatever bundler; one odd path is no reason to stop a build."""
    odd = [
        "node_modules/.vite/deps/x.js",
        "node_modules/a b/x.js",
        "node_modules/a\x1b[31m/x.js",
        "node_modules/a/x.js",
    ]
    assert [one.name for one in npm_packages.bundled([source_map(*odd)], lock(), "/x")] == ["a"]
