from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from webui_fork.cli import lock, main
from webui_fork.config import upstream_lock
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.image import revision


def test_the_copy_has_what_a_lock_is_made_from_and_the_last_commit_s(
    tmp_path: Path, private_settings: Settings
) -> None:
    """The revision follows from what is committed, and uv takes the tools' own requirements from pyproject.toml."""
    root = private_settings.root
    for name in ("images", "patches", "requirements"):
        (root / name).mkdir()
    for name in ("upstream.lock", "pyproject.toml"):
        shutil.copy2(CHECKOUT / name, root)
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "--quiet"], ["add", "--all"], [*identity, "commit", "--quiet", "-m", "x"]):
        subprocess.run(["git", "-C", str(root), *words], check=True)
    pinned = upstream_lock.read(root / "upstream.lock")
    upstream_lock.write(root / "upstream.lock", replace(pinned, revision=pinned.revision + 1))
    with lock._copied(private_settings) as copy:
        assert copy.root != root
        assert (copy.root / "pyproject.toml").read_bytes() == (root / "pyproject.toml").read_bytes()
        assert revision.committed(copy) == revision.committed(private_settings) == pinned
    assert not copy.root.exists()
    status = subprocess.run(
        ["git", "-C", str(root), "status", "--porcelain"], check=True, capture_output=True, text=True
    )
    assert status.stdout == " M upstream.lock\n"


@pytest.mark.parametrize("line", ["", "0.11"])
def test_a_dry_run_says_what_would_change_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    checkout = tmp_path / "checkout"
    for name in ("images", "patches", "requirements", "lines"):
        shutil.copytree(CHECKOUT / name, checkout / name, ignore=shutil.ignore_patterns("out"))
    shutil.copy2(CHECKOUT / "upstream.lock", checkout)
    monkeypatch.setenv("WEBUI_FORK_ROOT", str(checkout))
    monkeypatch.setenv("WEBUI_FORK_CACHE", str(tmp_path / "cache"))
    root, words = (checkout / "lines" / line, ["--line", line]) if line else (checkout, [])
    before = (root / "upstream.lock").read_bytes()
    pinned = upstream_lock.read(root / "upstream.lock")
    next_tag = f"v{pinned.version}-p{pinned.revision + 1}"
    assert main.main(["lock", "--revise", "--dry-run", "--json", *words]) == 0
    assert json.loads(capsys.readouterr().out) == {"changed": [f"upstream.lock: {next_tag}"], "dry_run": True}
    assert (root / "upstream.lock").read_bytes() == before
    assert main.main(["lock", "--revise", *words]) == 0
    assert next_tag in capsys.readouterr().out
    assert (root / "upstream.lock").read_bytes() != before
