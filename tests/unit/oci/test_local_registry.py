"""What outlasts the minutes in which the embedded registry takes changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from webui_fork.core.digest import Digest
from webui_fork.oci import local_registry

OLD, NEW, EVIL = (Digest.of_hex(letter * 64) for letter in "abc")


def link(store: Path, tag: str, name: str = "open-webui") -> Path:
    return store / "docker/registry/v2/repositories" / name / "_manifests/tags" / tag / "current/link"


def move(store: Path, tag: str, digest: str, name: str = "open-webui") -> None:
    file = link(store, tag, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(digest)


@pytest.mark.parametrize("own", [NEW, EVIL])
def test_a_neighbour_moves_no_tag(tmp_path: Path, own: str) -> None:
    for tag in ("v1", "v2"):
        move(tmp_path, tag, OLD)
    with local_registry.tags_kept(tmp_path, "open-webui", "v2", NEW):
        move(tmp_path, "v2", own)
        move(tmp_path, "v1", EVIL)
        move(tmp_path, "v3", EVIL)
        move(tmp_path, "v2", EVIL, "team/other")
        move(tmp_path, f"sha256-{NEW.hex}.sig", OLD)
    assert link(tmp_path, "v1").read_text() == OLD
    assert link(tmp_path, "v2").read_text() == NEW
    assert not link(tmp_path, "v3").exists()
    assert not link(tmp_path, "v2", "team/other").exists()
    assert link(tmp_path, f"sha256-{NEW.hex}.sig").read_text() == OLD


def test_a_push_that_failed_leaves_the_tag_where_it_was(tmp_path: Path) -> None:
    move(tmp_path, "v2", OLD)
    with local_registry.tags_kept(tmp_path, "open-webui", "v2", NEW):
        pass
    assert link(tmp_path, "v2").read_text() == OLD


def test_a_tag_that_is_gone_comes_back_and_a_push_that_failed_names_nothing(tmp_path: Path) -> None:
    move(tmp_path, "v1", OLD)
    with local_registry.tags_kept(tmp_path, "open-webui", "v2", NEW):
        link(tmp_path, "v1").unlink()
    assert link(tmp_path, "v1").read_text() == OLD
    assert not link(tmp_path, "v2").exists()
