from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from debs import DATA, SPEC, deb, lock_of
from helpers import Server, Talk, file_server
from webui_fork.core.errors import DriftError
from webui_fork.core.settings import Settings
from webui_fork.sources import debian


def with_mirror(settings: Settings, server: Server, snapshot: bool = False) -> Settings:
    return replace(
        settings,
        debian_mirror=f"{server.url}/debian",
        snapshot_mirror=f"{server.url}/snapshot/{{archive}}/{{timestamp}}" if snapshot else None,
    )


def test_the_mirror_s_copy_is_taken_and_kept(private_settings: Settings, server: Server, talk: Talk) -> None:
    package = deb("alpha")
    server.answer = file_server({f"/debian/{package.path}": DATA["alpha"]})
    settings = with_mirror(private_settings, server)
    for _ in range(2):
        fetched = debian.obtain(settings, SPEC, lock_of(package), talk, locked=True)
        assert fetched.files[0].read_bytes() == DATA["alpha"]
        assert fetched.drift == ()
    assert len(server.requests) == 1


def test_the_snapshot_mirror_has_what_the_mirror_dropped(
    private_settings: Settings, server: Server, talk: Talk
) -> None:
    package = deb("alpha")
    server.answer = file_server({f"/snapshot/debian/20260101T000000Z/{package.path}": DATA["alpha"]})
    fetched = debian.obtain(with_mirror(private_settings, server, True), SPEC, lock_of(package), talk, locked=True)
    assert fetched.debs == (package,)


def test_drift_is_an_error_when_locked(private_settings: Settings, server: Server, talk: Talk) -> None:
    with pytest.raises(DriftError) as caught:
        debian.obtain(with_mirror(private_settings, server), SPEC, lock_of(deb("alpha")), talk, locked=True)
    assert "alpha 1.0-1" in caught.value.why
    assert "WEBUI_FORK_SNAPSHOT_MIRROR" in caught.value.remedy
    assert "nox -s lock" in caught.value.remedy


def test_drift_goes_on_aloud_when_not_locked(
    private_settings: Settings, server: Server, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = deb("beta", "2.0-1")
    server.answer = file_server({f"/debian/{now.path}": DATA["beta"]})
    monkeypatch.setattr(debian, "resolve", lambda settings, spec: (now,))
    fetched = debian.obtain(with_mirror(private_settings, server), SPEC, lock_of(deb("alpha")), talk, locked=False)
    assert fetched.debs == (now,)
    assert fetched.drift == ("alpha: 1.0-1 -> absent", "beta: absent -> 2.0-1")
    assert "digest WILL differ" in talk.text
    assert "beta: absent -> 2.0-1" in talk.text


def test_locking_again_without_news_touches_nothing(
    private_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "resolve", lambda settings, spec: (deb("alpha"),))
    file = tmp_path / "debian.lock"
    first = debian.plan(private_settings, SPEC, file, datetime(2026, 1, 1, tzinfo=UTC))
    file.write_text(first)
    assert debian.plan(private_settings, SPEC, file, datetime(2026, 2, 2, tzinfo=UTC)) == first
    shutil.rmtree(tmp_path)
