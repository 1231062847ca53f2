from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from helpers import Talk
from remote_fix import World
from webui_fork.backport import lines
from webui_fork.config import upstream_lock
from webui_fork.core.errors import LockError, UsageError
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.image import inputs, refresh_locks
from webui_fork.series import apply


def test_a_line_is_a_release_without_its_last_number() -> None:
    assert lines.name_of("0.11.4") == "0.11"
    assert lines.name_of("1.0") == "1.0"


@pytest.mark.parametrize("version", ["", "0", "latest", "0.11.x", "../x.1", "0.11.4.5.6", "0.1²"])
def test_what_is_no_release_has_no_line(version: str) -> None:
    with pytest.raises(UsageError, match="not a release"):
        lines.name_of(version)


def test_a_line_is_a_folder_of_the_checkout(world: World) -> None:
    line = lines.at(world.settings, "1.2.3")
    assert line.root == world.settings.root / "lines/1.2"
    assert (line.checkout, line.line) == (world.settings.root, "1.2")
    assert line.on_line("1.3").root == world.settings.root / "lines/1.3"
    assert not lines.at(world.settings, "1.3.0").lock_file.exists()


def test_a_line_at_another_release_says_so(world: World) -> None:
    with pytest.raises(UsageError, match=r"is at 1\.2\.3, not 1\.2\.4"):
        lines.at(world.settings, "1.2.4")


LINES = sorted(file.parent for file in (CHECKOUT / "lines").glob("*/upstream.lock"))


@pytest.mark.parametrize("folder", LINES, ids=lambda folder: folder.name)
def test_a_line_of_this_checkout_belongs_together(folder: Path, private_settings: Settings) -> None:
    line = replace(private_settings, root=CHECKOUT).on_line(folder.name)
    pinned = upstream_lock.read(line.lock_file)
    assert lines.name_of(pinned.version) == folder.name
    inputs.check_inputs(pinned, inputs.lock_inputs(line), Talk(), locked=True)
    _, patches = apply.read_series(line.patches)
    for patch in patches:
        assert patch.field("Origin").startswith("backport, ")
        assert (CHECKOUT / patch.field("Proof")).is_file()


def _refreshes(monkeypatch: pytest.MonkeyPatch, settings: Settings, error: Exception | None = None) -> None:
    (settings.root / "images" / inputs.IMAGE).mkdir(parents=True)
    for name in ("image.toml", "entrypoint.sh", "debian.lock", "overrides.toml"):
        (settings.root / "images" / inputs.IMAGE / name).write_text(name)
    pinned = upstream_lock.read(CHECKOUT / "upstream.lock")

    def refresh(line: Settings, _ui: object, version: str) -> None:
        if error:
            raise error
        upstream_lock.write(line.lock_file, replace(pinned, version=pinned.version, revision=7))
        assert version == "0.12.4"

    monkeypatch.setattr(refresh_locks, "refresh", refresh)


def test_a_line_begins_with_the_checkouts_images(private_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    _refreshes(monkeypatch, private_settings)
    line = private_settings.on_line("0.12")
    lines.begin(private_settings, line, Talk(), "0.12.4")
    assert upstream_lock.read(line.lock_file).revision == 1
    folder = line.root / "images" / inputs.IMAGE
    assert sorted(file.name for file in folder.iterdir()) == ["debian.lock", "entrypoint.sh", "image.toml"]
    assert apply.read_series(line.patches)[1] == ()


def test_a_line_that_can_not_be_locked_does_not_begin(
    private_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refreshes(monkeypatch, private_settings, LockError("no such release"))
    with pytest.raises(LockError):
        lines.begin(private_settings, private_settings.on_line("0.12"), Talk(), "0.12.4")
    assert not (private_settings.root / "lines").exists()
    assert not list((private_settings.out / "tmp").iterdir())
