"""Writing a digest into deploy/: all files or none, and nothing else in them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from webui_fork.config import reference
from webui_fork.core.errors import UsageError
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.publish import deploy

DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def own(private_settings: Settings, tmp_path: Path) -> Settings:
    shutil.copytree(CHECKOUT / "deploy", tmp_path / "own/deploy", ignore=shutil.ignore_patterns(".env", "secrets"))
    return replace(private_settings, root=tmp_path / "own")


def test_it_writes_name_digest_and_tag_and_nothing_else(own: Settings) -> None:
    (own.root / "deploy/.env").write_text("MINE=1\nWEBUI_IMAGE=old:tag\nPORT=2\n")
    done = deploy.write(own, reference.parse("ghcr.io/me/open-webui:v1"), DIGEST, "v1")
    assert (
        own.root / "deploy/.env"
    ).read_text() == f"MINE=1\nWEBUI_IMAGE=ghcr.io/me/open-webui@{DIGEST} # v1\nPORT=2\n"
    assert len(done.changed) == 4
    for file in done.changed:
        assert file.read_text().count(DIGEST) == 1
        old = CHECKOUT / file.relative_to(own.root)
        if old.name != ".env":
            assert len(file.read_text().splitlines()) == len(old.read_text().splitlines())
    assert deploy.write(own, reference.parse("ghcr.io/me/open-webui"), DIGEST, "v1").changed == ()


def test_a_file_without_the_line_stops_it_before_anything_is_written(own: Settings) -> None:
    (own.root / "deploy/.env").write_text("MINE=1\n")
    before = (own.root / "deploy/.env.example").read_text()
    with pytest.raises(UsageError, match="no lines that name the image"):
        deploy.write(own, reference.parse("ghcr.io/me/open-webui"), DIGEST, "v1")
    assert (own.root / "deploy/.env.example").read_text() == before


def test_the_name_of_a_mirror() -> None:
    assert deploy.name_of("127.0.0.1:5000/open-webui:v1", "ghcr.io/me/open-webui").name == "ghcr.io/me/open-webui"
    with pytest.raises(UsageError, match="tag or digest"):
        deploy.name_of("ghcr.io/me/open-webui:v1", "mirror.example/open-webui:v1")
