from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from webui_fork.core import settings
from webui_fork.core.errors import UsageError
from webui_fork.core.settings import CHECKOUT


def test_folders_follow_the_xdg_base_directories() -> None:
    found = settings.load({"HOME": "/home/me", "XDG_CACHE_HOME": "/c", "XDG_CONFIG_HOME": "relative"})
    assert found.cache == Path("/c/webui-fork")
    assert found.config == Path("/home/me/.config/webui-fork")
    assert settings.load({"HOME": "/h", "WEBUI_FORK_CACHE": "/x"}).cache == Path("/x")


@pytest.mark.parametrize("bad", [{"WEBUI_FORK_CACHE": "relative"}, {"WEBUI_FORK_SIGN": "magic"}])
def test_a_setting_that_makes_no_sense_is_an_error(bad: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=next(iter(bad))):
        settings.load({"HOME": "/h", **bad})


def test_the_passphrase_never_prints_and_is_not_passed_on_by_accident() -> None:
    loaded = settings.load({"HOME": "/h", "COSIGN_PASSWORD": "hunter2"})
    assert loaded.cosign_password
    assert loaded.cosign_password.reveal() == "hunter2"
    assert "hunter2" not in repr(loaded) + str(loaded.cosign_password)
    assert "COSIGN_PASSWORD" not in loaded.environ


def test_what_a_git_hook_sets_does_not_reach_our_git(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_DEFAULT_HASH", "COSIGN_PASSWORD"):
        monkeypatch.setenv(name, "x")
    found = settings.load()
    assert not {"GIT_DIR", "GIT_INDEX_FILE", "GIT_DEFAULT_HASH", "COSIGN_PASSWORD"} & {*found.environ, *os.environ}


def test_only_settings_reads_the_environment() -> None:
    readers = {
        path.name
        for path in (CHECKOUT / "build/webui_fork").rglob("*.py")
        if re.search(r"os\.environ|os\.getenv|getenv\(", path.read_text())
    }
    assert readers == {"settings.py"}
