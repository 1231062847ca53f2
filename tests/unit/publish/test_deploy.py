"""Writing a digest into deploy/: all files or none, and nothing else in them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from webui_fork.config import reference, tags, upstream_lock
from webui_fork.core.digest import Digest
from webui_fork.core.errors import UsageError, VerifyError
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.publish import deploy

DIGEST = Digest.of_hex("ab" * 32)


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
    assert len(done.changed) == 5
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


def test_a_private_file_and_a_link_stay_what_they_are(own: Settings, tmp_path: Path) -> None:
    private, link = tmp_path / "private.env", own.root / "deploy/.env"
    private.write_text("WEBUI_IMAGE=old:tag\n")
    private.chmod(0o600)
    link.symlink_to(private)
    deploy.write(own, reference.parse("ghcr.io/me/open-webui"), DIGEST, "v1")
    assert link.is_symlink()
    assert DIGEST in private.read_text()
    assert private.stat().st_mode & 0o777 == 0o600


def test_a_file_in_another_code_is_named(own: Settings) -> None:
    (own.root / "deploy/.env").write_bytes(b"WEBUI_IMAGE=old:tag\nMODEL=M\xfcller\n")
    with pytest.raises(UsageError, match=r"\.env can't be read"):
        deploy.write(own, reference.parse("ghcr.io/me/open-webui"), DIGEST, "v1")
    shutil.copy(CHECKOUT / "upstream.lock", own.root)
    with pytest.raises(UsageError, match=r"\.env can't be read"):
        floor(own, "v9.0.0-p1")


def test_the_name_of_a_mirror() -> None:
    assert deploy.name_of("127.0.0.1:5000/open-webui:v1", "ghcr.io/me/open-webui").name == "ghcr.io/me/open-webui"
    with pytest.raises(UsageError, match="tag or digest"):
        deploy.name_of("ghcr.io/me/open-webui:v1", "mirror.example/open-webui:v1")


def floor(own: Settings, tag: str, digest: Digest = DIGEST) -> None:
    fixed = tags.parse(tag)
    assert fixed
    deploy.check_floor(own, fixed, digest)


def test_an_older_image_is_refused_by_checkout_and_by_deploy(own: Settings) -> None:
    shutil.copyfile(CHECKOUT / "upstream.lock", own.lock_file)
    pinned = upstream_lock.read(own.lock_file)
    upstream_lock.write(own.lock_file, replace(pinned, revision=50))
    for tag in (f"v{pinned.version}-p50", f"v{pinned.version}-p50-slim", f"v{pinned.version}-p51", "v9999.0-p1"):
        floor(own, tag)
    for tag in (f"v{pinned.version}-p49", "v0.1.0-p99"):
        with pytest.raises(VerifyError, match=f"and this checkout is at v{pinned.version}-p50"):
            floor(own, tag)
    deploy.write(own, reference.parse("ghcr.io/me/open-webui"), DIGEST, f"v{pinned.version}-p60")
    with pytest.raises(VerifyError, match=r"and \.env\.example names"):
        floor(own, f"v{pinned.version}-p59")
    (own.root / "deploy/.env").write_text(f"WEBUI_IMAGE=x.example/y@{DIGEST} # v{pinned.version}-p70\n")
    with pytest.raises(VerifyError, match=r"and \.env names"):
        floor(own, f"v{pinned.version}-p69")


def test_a_tag_that_never_moves_names_one_image(own: Settings) -> None:
    shutil.copyfile(CHECKOUT / "upstream.lock", own.lock_file)
    tag = "v9999.0-p1"
    deploy.write(own, reference.parse(f"{deploy.PLACEHOLDER}/open-webui"), DIGEST, tag)
    other = Digest(DIGEST.replace("ab", "cd"))
    floor(own, tag, other)  # nobody published the placeholder's
    deploy.write(own, reference.parse("ghcr.io/me/open-webui"), DIGEST, tag)
    floor(own, tag)
    with pytest.raises(VerifyError, match=r"another image than \.env\.example names by that tag"):
        floor(own, tag, other)
