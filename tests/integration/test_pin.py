"""`nox -s pin`: deploy/ names what was verified, and nothing that could be an older image."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import pytest

import small
from helpers import Server, Talk
from registries import Proxy
from small import Shop
from webui_fork.cli import pin
from webui_fork.config import upstream_lock
from webui_fork.core.errors import VerifyError
from webui_fork.core.settings import CHECKOUT

RELEASE = upstream_lock.read(CHECKOUT / "upstream.lock").version


def test_it_names_what_was_verified_and_nothing_else(shop: Shop, cosign: Path, tmp_path: Path) -> None:
    root = shop.settings.root
    with_deploy(root)
    example = root / "deploy/.env.example"
    before = example.read_text()
    small.pin(shop.settings, revision=99)  # above what deploy/ of the real checkout names
    done = shop.publish(small.candidate(shop.settings))
    other = small.shop(shop.settings, tmp_path / "other", shop.host, cosign)  # somebody with another key
    shutil.copytree(root / "deploy", other.settings.root / "deploy")
    with pytest.raises(VerifyError):
        type_pin(other, "latest")
    assert (other.settings.root / "deploy/.env.example").read_text() == before
    type_pin(shop, "latest")
    line = f"WEBUI_IMAGE=ghcr.io/me/open-webui@{done.digest} # v{RELEASE}-p99"
    assert line in example.read_text().splitlines()


def with_deploy(root: Path) -> None:
    shutil.copytree(CHECKOUT / "deploy", root / "deploy", ignore=shutil.ignore_patterns(".env", "secrets"))


def type_pin(shop: Shop, tag: str, host: str = "", **options: bool) -> None:
    """Have `deploy/` name an image by what a user types."""
    ref = f"{host or shop.host}/{shop.name}:{tag}"
    chosen = {"unknown": False, "older": False, "json": False, "dry_run": False, **options}
    signer = {"key": None, "identity": None, "issuer": None}
    pin.run(shop.settings, Talk(), argparse.Namespace(ref=ref, alias="ghcr.io/me/open-webui", **signer, **chosen))


def test_it_takes_no_image_that_a_check_could_not_be_made_of(shop: Shop, server: Server) -> None:
    """A registry that does not tell its tags may give an older image as the newest."""
    with_deploy(shop.settings.root)
    small.pin(shop.settings, revision=99)
    shop.publish(small.candidate(shop.settings))
    proxy = Proxy(server, f"http://{shop.host}")
    proxy.change = lambda path, body: b'{"tags": []}' if path.endswith("/tags/list") else body
    with pytest.raises(VerifyError, match="does not verify: tag") as caught:
        type_pin(shop, "latest", proxy.host)
    assert "--help" in caught.value.remedy
    type_pin(shop, "latest", proxy.host, unknown=True)


def test_it_does_not_go_back(shop: Shop) -> None:
    """A signed image that was published once is replayed as it is: by its own tag, or by digest."""
    with_deploy(shop.settings.root)
    small.pin(shop.settings, revision=98)
    older = shop.publish(small.candidate(shop.settings, b"older"))
    tag = upstream_lock.read(shop.settings.lock_file).tag
    type_pin(shop, tag)
    small.pin(shop.settings, revision=99)
    with pytest.raises(VerifyError, match=f"this checkout is at v{RELEASE}-p99"):
        type_pin(shop, tag, unknown=True)  # the series of that tag is not here to compare
    shop.publish(small.candidate(shop.settings, b"newer"))
    type_pin(shop, "latest")
    small.pin(shop.settings, revision=98)
    with pytest.raises(VerifyError, match=f"example names v{RELEASE}-p99"):
        type_pin(shop, tag)
    type_pin(shop, tag, older=True)
    assert older.digest in (shop.settings.root / "deploy/.env.example").read_text()


def test_a_dry_run_writes_nothing(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    with_deploy(shop.settings.root)
    small.pin(shop.settings, revision=99)
    done = shop.publish(small.candidate(shop.settings))
    before = {file: file.read_bytes() for file in (shop.settings.root / "deploy").rglob("*") if file.is_file()}
    type_pin(shop, "latest", dry_run=True, json=True)
    assert {file: file.read_bytes() for file in before} == before
    printed = json.loads(capsys.readouterr().out)
    assert printed["image"] == f"ghcr.io/me/open-webui@{done.digest}"
    assert "deploy/.env.example" in printed["written"]
    type_pin(shop, "latest")
    assert "deploy/.env.example" in capsys.readouterr().out
