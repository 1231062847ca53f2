from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from helpers import Talk
from webui_fork.config import upstream_lock
from webui_fork.config.upstream_lock import PinnedFile
from webui_fork.core import settings
from webui_fork.core.errors import LockError
from webui_fork.core.settings import CHECKOUT
from webui_fork.rebase import target
from webui_fork.sources import package_index
from webui_fork.sources.package_index import Release


def pyproject(asked_for: str) -> bytes:
    return f'[project]\nname = "open-webui"\nrequires-python = "{asked_for}"\n'.encode()


@pytest.mark.parametrize(
    ("asked_for", "python", "fits"),
    [
        (">= 3.11, < 3.13.0a1", "3.11.2", True),
        (">= 3.11, < 3.13.0a1", "3.12.9", True),
        (">= 3.11, < 3.13.0a1", "3.13.0", False),
        (">= 3.12", "3.11.2", False),
        (">= 3.11.4", "3.11.2", False),
        ("", "3.11.2", True),
    ],
)
def test_a_release_says_which_pythons_it_runs_on(asked_for: str, python: str, fits: bool) -> None:
    words = target.left_behind(pyproject(asked_for), "9.0.0", python)
    assert words == ("" if fits else f"Open WebUI 9.0.0 needs Python {asked_for}; the image's base has {python}.")


@pytest.mark.parametrize("text", [b"", b"[project", b"\xff", b"project = 1", pyproject("the newest"), b"[project]\n"])
def test_what_can_t_be_read_decides_nothing(text: bytes) -> None:
    assert target.left_behind(text, "9.0.0", "3.11.2") == ""


def test_the_interpreter_is_the_one_that_is_locked() -> None:
    here = replace(settings.load({"PATH": ""}), root=CHECKOUT)
    assert re.fullmatch(r"3\.11\.\d+", target.interpreter(here))


FILE = PinnedFile(name="open_webui-1.tar.gz", size=1, sha256="0" * 64)
PICKS = [
    ("", "2.0.0"),
    ('only = "minor"', "1.3.0"),
    ('only = "patch"', "1.2.9"),
    ('[[skip]]\nversion = "2.0"\nreason = "no"', "1.3.0"),
    ("days = 3", "1.3.0"),
    ("days = 30", ""),
]


@pytest.mark.parametrize(("policy", "picked"), PICKS)
def test_the_newest_that_the_policy_admits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str, picked: str
) -> None:
    """1.2.3 is pinned; the others are 10, 8, 6 and 2 days old."""
    (tmp_path / "policy.toml").write_text(policy)
    ages = {"1.2.3": 40, "1.2.8": 10, "1.2.9": 8, "1.3.0": 6, "2.0.0": 2}
    now = datetime.now(UTC)
    releases = [Release(name, now - timedelta(days=age), FILE, FILE) for name, age in ages.items()]
    monkeypatch.setattr(target, "_is_urgent", lambda *_: False)
    talk, root = Talk(), replace(settings.load({"PATH": ""}), root=tmp_path)
    newest = target._newest(root, releases, "1.2.3", talk)
    assert (newest.version if newest else "") == picked
    if picked not in ("", "2.0.0"):
        assert talk.lines[0].startswith("Open WebUI 2.0.0 is left out: ")
    monkeypatch.setattr(target, "_is_urgent", lambda *_: True)
    urgent = target._newest(root, releases, "1.2.3", talk)
    assert urgent
    assert urgent.version == ("2.0.0" if policy.startswith("days") else picked)


def test_an_index_without_a_release_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_index, "configured", lambda _: None)
    monkeypatch.setattr(package_index, "session", lambda _: None)
    monkeypatch.setattr(package_index, "listing", lambda *_: ([], ()))
    old = upstream_lock.read(CHECKOUT / "upstream.lock")
    with pytest.raises(LockError, match="no stable release"):
        target.target(replace(settings.load({"PATH": ""}), root=tmp_path), old, None, Talk())


def test_an_older_release_is_never_picked(tmp_path: Path) -> None:
    releases = [Release("1.0.0", datetime(2020, 1, 1, tzinfo=UTC), FILE, FILE)]
    assert target._newest(replace(settings.load({"PATH": ""}), root=tmp_path), releases, "1.2.3", Talk()) is None
