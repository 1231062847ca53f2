from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from helpers import Server, Talk, file_server
from webui_fork.config import debian_lock, image_toml
from webui_fork.config.debian_lock import Deb
from webui_fork.core.errors import DriftError, LockError
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.sources import debian

SPEC = image_toml.read(CHECKOUT / "images/open-webui")
DATA = {name: name.encode() * 100 for name in ("alpha", "beta")}


def deb(name: str, version: str = "1.0-1") -> Deb:
    sha = hashlib.sha256(DATA[name]).hexdigest()
    return Deb(name, version, sha, len(DATA[name]), "main", f"pool/main/{name}_{version}.deb")


def lock_of(*debs: Deb) -> debian_lock.DebianLock:
    return debian_lock.DebianLock("bookworm", "amd64", debian_lock.input_digest(SPEC.base), "20260101T000000Z", debs)


def test_the_lock_of_the_checkout_round_trips() -> None:
    file = SPEC.folder / "debian.lock"
    found = debian_lock.read(file)
    assert debian_lock.dump(found) == file.read_text()
    debian_lock.check_input(found, SPEC, file)
    assert {"python3", "bash", "util-linux"} <= {item.name for item in found.debs}
    assert "apt" not in {item.name for item in found.debs}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("alpha 1", "is not `name version"),
        ("alpha 1 sha256:00 1 main pool/a.deb", "is not `name version"),
        (f"alpha 1 sha256:{'0' * 64} 1 main /etc/a.deb", "is not `name version"),
        (f"alpha 1 sha256:{'0' * 64} 1 main pool/../../a.deb", "is not `name version"),
        (f"alpha 1 sha256:{'0' * 64} 1 moon pool/a.deb", "is not `name version"),
    ],
)
def test_an_odd_row_names_its_line(row: str, words: str) -> None:
    text = debian_lock.dump(lock_of(deb("beta"))) + row + "\n"
    with pytest.raises(LockError, match=r"debian\.lock:4") as caught:
        debian_lock.parse(text, Path("debian.lock"))
    assert words in caught.value.what


def test_a_package_locked_twice_is_an_error() -> None:
    with pytest.raises(LockError, match="locked twice"):
        debian_lock.parse(debian_lock.dump(lock_of(deb("alpha"), deb("alpha"))), Path("x"))


def test_an_empty_or_headless_lock_is_an_error() -> None:
    for text in ("", debian_lock.dump(lock_of())):
        with pytest.raises(LockError):
            debian_lock.parse(text, Path("x"))


def test_a_changed_list_of_packages_makes_the_lock_stale() -> None:
    other = replace(SPEC, base=replace(SPEC.base, include=("curl",)))
    with pytest.raises(LockError, match="another list of packages"):
        debian_lock.check_input(lock_of(deb("alpha")), other, Path("x"))


def with_mirror(settings: Settings, server: Server, snapshot: bool = False) -> Settings:
    return replace(
        settings,
        debian_mirror=f"{server.url}/debian",
        snapshot_mirror=f"{server.url}/snapshot/{{archive}}/{{timestamp}}" if snapshot else None,
    )


def test_the_mirror_s_copy_is_taken_and_kept(private_settings: Settings, server: Server, talk: Talk) -> None:
    wanted = deb("alpha")
    server.answer = file_server({f"/debian/{wanted.path}": DATA["alpha"]})
    settings = with_mirror(private_settings, server)
    for _ in range(2):
        fetched = debian.obtain(settings, SPEC, lock_of(wanted), talk, locked=True)
        assert fetched.files[0].read_bytes() == DATA["alpha"]
        assert fetched.drift == ()
    assert len(server.requests) == 1


def test_the_snapshot_mirror_has_what_the_mirror_dropped(
    private_settings: Settings, server: Server, talk: Talk
) -> None:
    wanted = deb("alpha")
    server.answer = file_server({f"/snapshot/debian/20260101T000000Z/{wanted.path}": DATA["alpha"]})
    fetched = debian.obtain(with_mirror(private_settings, server, True), SPEC, lock_of(wanted), talk, locked=True)
    assert fetched.debs == (wanted,)


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
