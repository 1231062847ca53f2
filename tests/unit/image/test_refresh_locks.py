from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from helpers import Talk
from webui_fork.config import image_toml
from webui_fork.core import git
from webui_fork.core.errors import LockError
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.image import python, refresh_locks, revision
from webui_fork.sources import debian, release

ENDED = """[[override]]
package = "starlette"
version = "0.49.1"
advisory = "GHSA-1"
reason = "Bad."
expires = {day}
"""


class Released:
    """A repository whose release has one requirements file."""

    def read_file(self, _commit: str, _path: str) -> bytes:
        return b"starlette==0.48.0\n"


REPO: Any = Released()


@pytest.fixture
def folder(private_settings: Settings) -> Path:
    """An image of a checkout."""
    place = private_settings.root / "images/open-webui"
    place.mkdir(parents=True)
    shutil.copy(CHECKOUT / "images/open-webui/image.toml", place)
    return place


def test_an_override_stays_as_long_as_one_flavour_needs_it(
    private_settings: Settings, folder: Path, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    unneeded = {"slim": ("a: not needed", "b: not needed"), "full": ("b: not needed",)}
    monkeypatch.setattr(python, "lock_requirements", lambda _, spec, *rest: ("text", unneeded[spec.flavour]))
    monkeypatch.setattr(debian, "plan", lambda *_: "debs")
    planned, rows = refresh_locks._plan_all(private_settings, talk, REPO, "commit", {})
    assert rows == ["b: not needed"]
    texts = {"debian": "debs", "requirements": "text"}
    begins = ("", "full.", "arm64.", "full.arm64.")
    assert planned == {folder / f"{begin}{kind}.lock": text for begin in begins for kind, text in texts.items()}


def test_an_architecture_follows_the_versions_of_the_first(
    private_settings: Settings, folder: Path, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    alike = {}

    def lock(_settings: Settings, spec: image_toml.ImageSpec, *rest: object) -> tuple[str, tuple[str, ...]]:
        alike[spec.flavour, spec.architecture] = rest[-1]
        return f"{spec.flavour} {spec.architecture}", ()

    monkeypatch.setattr(python, "lock_requirements", lock)
    monkeypatch.setattr(debian, "plan", lambda *_: "debs")
    refresh_locks._plan_all(private_settings, talk, REPO, "commit", {})
    assert alike == {
        ("slim", "amd64"): "",
        ("slim", "arm64"): "slim amd64",
        ("full", "amd64"): "",
        ("full", "arm64"): "full amd64",
    }


def test_an_override_that_is_not_needed_stops_a_person_and_not_a_workflow(
    private_settings: Settings, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = "starlette==0.49.1 (GHSA-1): not needed"
    monkeypatch.setattr(refresh_locks, "pin", lambda *_: None)
    monkeypatch.setattr(refresh_locks, "_plan_all", lambda *_: ({}, [row]))
    monkeypatch.setattr(release, "release_commit", lambda *_: "commit")
    monkeypatch.setattr(git, "repository", lambda _: REPO)
    monkeypatch.setattr(revision, "record", lambda *_: False)
    with pytest.raises(LockError, match="1 overrides that should go") as caught:
        refresh_locks.refresh(private_settings, talk, None)
    assert caught.value.why == row
    assert refresh_locks.refresh(private_settings, talk, None, strict=False) == ()
    assert f"WARNING: overrides.toml: {row}. It was left out." in talk.lines


def test_the_overrides_of_every_image_are_held_against_its_release(private_settings: Settings, folder: Path) -> None:
    refresh_locks.check_overrides(private_settings, REPO, "commit")
    file = folder / "overrides.toml"
    file.write_text(ENDED.format(day=date.max))
    refresh_locks.check_overrides(private_settings, REPO, "commit")
    file.write_text(ENDED.format(day="2026-01-01"))
    other = shutil.copytree(folder, folder.with_name("another"))
    file.unlink()
    with pytest.raises(LockError, match="should go"):
        refresh_locks.check_overrides(private_settings, REPO, "commit")
    (other / "overrides.toml").unlink()
    refresh_locks.check_overrides(private_settings, REPO, "commit")
