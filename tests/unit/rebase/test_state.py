from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from webui_fork.config import upstream_lock
from webui_fork.config.upstream_lock import Lock, PinnedFile
from webui_fork.core import git
from webui_fork.core.errors import ConflictError, UsageError
from webui_fork.core.settings import Settings
from webui_fork.rebase import state as rebase_state
from webui_fork.rebase.state import State

PIN = Lock(
    "1.3.0",
    datetime(2026, 1, 2, tzinfo=UTC),
    PinnedFile("open_webui-1.3.0.tar.gz", 1, "0" * 64),
    PinnedFile("open_webui-1.3.0-py3-none-any.whl", 1, "1" * 64),
    None,
    (),
)
STATE = State("a" * 40, upstream_lock.dump(PIN), True)


@pytest.fixture
def checkout(private_settings: Settings) -> Settings:
    run(private_settings.root, "init", "--quiet")
    (private_settings.root / "file").write_text("x\n")
    run(private_settings.root, "add", ".")
    run(private_settings.root, "-c", "user.name=x", "-c", "user.email=x@x.invalid", "commit", "--quiet", "-m", "x")
    return private_settings


def run(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", folder, *arguments], check=True)


def test_a_state_is_read_back_as_it_was(checkout: Settings) -> None:
    assert rebase_state.read(checkout) is None
    full = replace(
        STATE,
        skipped=("a.patch",),
        resolved=(("b.patch", "text\n"),),
        conflict="c.patch",
        parent="p",
        stock=(("d.patch", ("green", "said")),),
        proved=("sha256:1",),
    )
    for state in (STATE, full):
        rebase_state.write(checkout, state)
        assert rebase_state.read(checkout) == state
        assert state.lock.version == "1.3.0"
    rebase_state.clear(checkout)
    assert rebase_state.read(checkout) is None


def test_it_is_not_in_the_way_of_the_checkout(checkout: Settings) -> None:
    rebase_state.write(checkout, STATE)
    assert len(git.require_clean(checkout)) == 40
    run(checkout.root, "clean", "-qfdx")
    assert rebase_state.read(checkout) == STATE


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"head": 1}'])
def test_a_damaged_state_names_the_way_out(checkout: Settings, text: str) -> None:
    rebase_state.file(checkout).write_text(text)
    with pytest.raises(ConflictError, match="can't be read") as error:
        rebase_state.read(checkout)
    assert "--abort" in error.value.remedy


def test_a_dirty_checkout(checkout: Settings) -> None:
    (checkout.root / "new").write_text("y\n")
    with pytest.raises(UsageError, match="not committed") as error:
        git.require_clean(checkout)
    assert "?? new" in error.value.why


def test_a_folder_that_is_no_checkout(private_settings: Settings) -> None:
    with pytest.raises(UsageError, match="not a git checkout"):
        rebase_state.read(private_settings)
