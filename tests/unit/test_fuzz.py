"""Parsers of bytes that somebody else wrote, given what nobody wrote: a value or an error in words, and soon.

Each case mutates something well-formed. `nox -s fuzz` runs the same for as long as it is told.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import packages
from helpers import HEADER, RELEASE, Server, make_patch, release_repo, reply
from webui_fork.config import (
    bases_lock,
    debian_lock,
    image_toml,
    overrides,
    policy,
    reference,
    requirements_lock,
    tags,
    upstream_lock,
)
from webui_fork.core import text
from webui_fork.core.digest import Digest
from webui_fork.core.errors import ForkError
from webui_fork.core.settings import CHECKOUT
from webui_fork.doctor import facts
from webui_fork.frontend import npm_packages
from webui_fork.oci import layout, model
from webui_fork.oci.registry import Registry
from webui_fork.rootfs import deb, layers
from webui_fork.series import patch as series_patch
from webui_fork.sources import archive, package_index
from webui_fork.trust import provenance, sbom, verify

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
# bytes that mean something to one of the formats
TOKENS = [
    b"\0",
    b"..",
    b"/",
    b"\n",
    b"\xff",
    b'"',
    b"[",
    b"]",
    b"{",
    b"-1",
    b"9" * 30,
    b"\x1b[",
    b"sha256:",
    b"\\",
    b" ",
]


@st.composite
def mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    """Cut, repeat, exchange and insert pieces of something well-formed."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 3)):
            case 0:
                del data[at : at + draw(st.integers(1, 40))]
            case 1:
                data[at:at] = data[at : at + draw(st.integers(1, 40))]
            case 2:
                data[at : at + 1] = draw(st.binary(max_size=3))
            case _:
                data[at:at] = draw(st.sampled_from(TOKENS))
    return bytes(data)


def json_like() -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner))


@st.composite
def exchanged(draw: st.DrawFn, value: Any) -> Any:
    """Exchange a part of a document for anything, or leave it out."""
    if isinstance(value, dict) and value and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(value)))
        rest = {name: item for name, item in value.items() if name != key}
        return {**rest, key: draw(exchanged(value[key]))} if draw(st.integers(0, 5)) else rest
    if isinstance(value, list) and value and draw(st.integers(0, 3)):
        number = draw(st.integers(0, len(value) - 1))
        return [*value[:number], draw(exchanged(value[number])), *value[number + 1 :]]
    return draw(json_like())


def fuzz(strategy: st.SearchStrategy[Any], parser: Callable[[Any], object]) -> None:
    """Give a parser many values: it returns, or raises an error of ours."""

    @settings(
        max_examples=EXAMPLES, deadline=2000, database=None, derandomize=EXAMPLES <= 100, print_blob=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def run(value: Any) -> None:
        worded(lambda: parser(value))

    run()


def worded(call: Callable[[], object]) -> None:
    """Call something: an error of ours is an answer, if it has words."""
    try:
        call()
    except ForkError as error:
        if not error.what.strip():
            raise AssertionError("an error without words") from error


def decoded(parser: Callable[[str, Path], object]) -> Callable[[bytes], object]:
    return lambda data: parser(data.decode(errors="replace"), Path("x"))


def in_file(parser: Callable[[Path], object], name: str = "x") -> Callable[[bytes], object]:
    """Give a parser the bytes as a file in a folder of its own."""

    def run(data: bytes) -> None:
        with TemporaryDirectory(prefix="webui-fork-fuzz-") as folder:
            path = Path(folder) / name
            path.write_bytes(data)
            parser(path)

    return run


BASES = f"""# The digests of the bases. Written by `nox -s lock -- --bases`.
slim ghcr.io/open-webui/open-webui:v1.2.3-slim sha256:{"a" * 64}
""".encode()
OVERRIDES = b"""[[override]]
package = "thing"
version = "1.2"
advisory = "CVE-2026-1"
reason = "it is fixed there"
expires = 2027-01-01
"""
POLICY = b"""days = 3
only = "minor"
[[skip]]
version = "0.12.5"
reason = "it loses chats"
"""
LOCKS: dict[str, tuple[bytes, Callable[[bytes], object]]] = {
    "upstream.lock": ((CHECKOUT / "upstream.lock").read_bytes(), decoded(upstream_lock.parse)),
    "debian.lock": ((CHECKOUT / "images/vllm-cpu/debian.lock").read_bytes()[:3000], decoded(debian_lock.parse)),
    "requirements.lock": (
        (CHECKOUT / "requirements/tool.lock").read_bytes()[:3000], decoded(lambda t, _: requirements_lock.pins(t)),
    ),
    "bases.lock": (BASES, in_file(bases_lock.read)),
    "policy.toml": (POLICY, in_file(lambda path: policy.read(path.parent), "policy.toml")),
    "overrides.toml": (OVERRIDES, in_file(lambda path: overrides.read(path.parent), "overrides.toml")),
    "image.toml": (
        (CHECKOUT / "images/open-webui/image.toml").read_bytes(),
        in_file(lambda path: image_toml.read(path.parent), "image.toml"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOCKS)
def test_locks(name: str) -> None:
    whole, parser = LOCKS[name]
    fuzz(mutated(whole), parser)


@pytest.mark.parametrize("parser", [reference.parse, tags.parse, text.inert, text.without_secrets, text.port_of])
def test_words(parser: Callable[[str], object]) -> None:
    whole = b"https://u:p@host:5000/me/name:v0.12.4-p17@sha256:" + b"0" * 64
    fuzz(st.text() | mutated(whole).map(lambda data: data.decode(errors="replace")), parser)


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, link in (("top/a", b"0", ""), ("top/d", b"5", ""), ("top/l", b"2", "a"), ("top/d/b", b"0", "")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, link, 4 if kind == b"0" else 0
            tar.addfile(info, io.BytesIO(b"data"))
    return out.getvalue()[:4096]


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name in ("open_webui/a.py", "open_webui/frontend/index.html", "open_webui-1.dist-info/METADATA"):
            wheel.writestr(name, "data" * 20)
    return out.getvalue()


def test_source_distributions() -> None:
    packed = mutated(_tar()).map(lambda data: gzip.compress(data, 1)) | mutated(gzip.compress(_tar()))
    fuzz(packed, in_file(lambda path: list(archive.sdist_members(path, "x.tar.gz"))))


def test_wheels() -> None:
    def read(path: Path) -> None:
        with archive.wheel_files(path, "x.whl", "open_webui") as files:
            for file in files:
                file.read()

    fuzz(mutated(_zip()), in_file(read))


def test_debian_packages() -> None:
    whole = packages.ar(packages.parts([packages.file("./usr/x", b"data"), packages.link("./usr/y", "x")]))
    fuzz(mutated(whole), in_file(lambda path: deb.read(path, packages.deb(), "amd64", path.parent)))


def test_patches(tmp_path: Path) -> None:
    repo, commit = release_repo(tmp_path)
    path = "backend/open_webui/utils/models.py"
    whole = make_patch(repo, commit, {path: RELEASE[path].replace(b"3", b"4")}, "Do a thing", HEADER)[0]
    release = series_patch.Release("1.2.3", RELEASE.__contains__, front_end=False)

    def read(data: bytes) -> None:
        patch = series_patch.parse("do-a-thing.patch", data)
        series_patch.lint([patch], release, lambda name: True)
        series_patch.hook_lines([patch])

    fuzz(mutated(whole), read)


def _image(folder: Path) -> model.Image:
    layer = layers.write([layers.file_entry("f", b"x")], folder / "l", 1)
    named = [model.NamedLayer("base", layer)]
    run, words = {"Env": ["A=b"]}, {"org.opencontainers.image.title": "x"}
    return model.image(named, platform=("linux", "amd64"), created="2026-01-01T00:00:00Z", run=run, annotations=words)


def test_indexes_manifests_and_configurations(tmp_path: Path) -> None:
    image = _image(tmp_path)
    index = model.index([image], {})
    values = [blob.parsed() for blob in (index.root, image.manifest, image.config)]

    def whole(root: model.Blob, manifest: model.Blob, config: model.Blob) -> None:
        model.whole(root, lambda _: manifest, lambda _: config)

    def read(document: Any) -> None:
        """Read it in each of the three places."""
        blob = model.Blob(model.INDEX, json.dumps(document).encode())
        model.media_type(blob.data)
        worded(lambda: whole(blob, image.manifest, image.config))
        worded(lambda: whole(index.root, blob, image.config))
        worded(lambda: whole(index.root, image.manifest, blob))
        model.image_of(image.manifest, blob)

    for value in values:
        fuzz(exchanged(value), read)


def test_layouts(tmp_path: Path) -> None:
    image = _image(tmp_path)
    place = layout.blob_path(tmp_path, image.layers[0].layer.digest)
    place.parent.mkdir(parents=True)
    (tmp_path / "l").rename(place)
    layout.write_layout(tmp_path / "layout", "v1", image, tmp_path)
    whole = (tmp_path / "layout/index.json").read_bytes()

    def read(data: bytes) -> None:
        (tmp_path / "layout/index.json").write_bytes(data)
        layout.read_layout(tmp_path / "layout")

    fuzz(mutated(whole) | exchanged(json.loads(whole)).map(lambda value: json.dumps(value).encode()), read)


def test_attestations() -> None:
    digest = "a" * 64
    claim = {
        "buildDefinition": {
            "buildType": provenance.BUILD_TYPE,
            "externalParameters": {"release": "1.2.3", "tag": "v1.2.3-p1", "image": "open-webui"},
            "internalParameters": {"uncommittedChanges": False},
            "resolvedDependencies": [
                {"uri": "pkg:pypi/open-webui@1.2.3", "name": "open_webui-1.2.3.tar.gz", "digest": {"sha256": digest}},
                {"uri": "git+https://x", "name": "repository", "digest": {"gitCommit": "b" * 40}},
                {"uri": "patches/a.patch", "name": "a.patch", "digest": {"sha256": digest}},
            ],
        },
        "runDetails": {"builder": {"id": "https://x"}, "byproducts": [{"name": "layer", "digest": {"sha256": digest}}]},
    }
    assert provenance.read(claim)
    fuzz(exchanged(claim), provenance.read)
    bom = {
        "specVersion": "1.6",
        "metadata": {"component": {"hashes": [{"alg": "SHA-256", "content": digest}]}},
        "components": [{"pedigree": {"patches": [{"resolves": [{"id": "a"}]}]}}],
    }
    fuzz(exchanged(bom), lambda value: verify._document(value, Digest.of_hex(digest), None))


def test_front_ends() -> None:
    source_map = {"version": 3, "sources": ["../node_modules/@s/a/x.js", "../node_modules/b/y.js"]}
    row = {"version": "1.0", "license": "MIT", "integrity": f"sha512-{'A' * 86}==", "name": "c"}
    lock = {"lockfileVersion": 3, "packages": {"node_modules/@s/a": row, "node_modules/b": row}}

    def read(documents: list[Any]) -> None:
        maps, rows = (json.dumps(one).encode() for one in documents)
        sbom.components(npm_packages.bundled([("x.js.map", maps)], rows, "/app/build"), "12")

    fuzz(exchanged([source_map, lock]).filter(lambda value: isinstance(value, list) and len(value) == 2), read)


def test_pages_of_an_index(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    names = ("open_webui-9.9.9.tar.gz", "open_webui-9.9.9-py3-none-any.whl")
    row = {"hashes": {"sha256": "a" * 64}, "size": 3, "upload-time": "2026-01-01T00:00:00Z", "yanked": False}
    files = [{"filename": name, "url": f"../{name}", **row} for name in names]
    page = {"meta": {"api-version": "1.1"}, "name": "open-webui", "files": files, "versions": ["9.9.9"]}
    index = package_index.Index(f"{server.url}/simple/", (), (), None)
    kinds = {"json": json.dumps(page).encode(), "html": b'<a href="x-1.tar.gz#sha256=00" data-yanked="">x-1.tar.gz</a>'}

    def read(kind: str, data: bytes) -> None:
        content = "application/vnd.pypi.simple.v1+json" if kind == "json" else "text/html"
        server.answer = lambda handler: reply(handler, 200, data, Content_Type=content)
        with requests.Session() as session:
            package_index.listing(index, session)

    read("json", kinds["json"])
    documents = exchanged(page).map(lambda value: json.dumps(value).encode())
    fuzz(mutated(kinds["json"]) | documents, lambda data: read("json", data))
    fuzz(mutated(kinds["html"]), lambda data: read("html", data))


def test_answers_of_a_registry(server: Server) -> None:
    whole = {"tags": ["v1"], "manifests": [], "errors": [{"code": "X", "message": "y"}], "token": "t"}

    def read(value: Any) -> None:
        status, document = value
        server.answer = lambda handler: reply(handler, status, json.dumps(document).encode(), Link=str(document)[:60])
        with Registry(server.url, "x", pause=0) as registry:
            worded(registry.tags)
            worded(lambda: registry.manifest("v1"))

    fuzz(st.tuples(st.sampled_from([200, 404, 400, 401]), exchanged(whole)), read)


def test_answers_of_providers() -> None:
    lists = {"data": [{"id": "a"}], "models": [{"model": "a"}]}
    fuzz(exchanged(lists), lambda value: (facts.model_ids(value), facts.tags(value)))
    fuzz(mutated(json.dumps(lists).encode()), lambda data: facts.Seen("u", "w", body=data.decode("latin-1")).json)
