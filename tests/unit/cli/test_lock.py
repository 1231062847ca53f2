from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from webui_fork.cli import main
from webui_fork.config import upstream_lock
from webui_fork.core.settings import CHECKOUT


def test_a_dry_run_says_what_would_change_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "checkout"
    root.mkdir()
    for name in ("images", "patches", "requirements"):
        shutil.copytree(CHECKOUT / name, root / name)
    shutil.copy2(CHECKOUT / "upstream.lock", root)
    monkeypatch.setenv("WEBUI_FORK_ROOT", str(root))
    monkeypatch.setenv("WEBUI_FORK_CACHE", str(tmp_path / "cache"))
    before = (root / "upstream.lock").read_bytes()
    pinned = upstream_lock.read(root / "upstream.lock")
    next_tag = f"v{pinned.version}-p{pinned.revision + 1}"
    assert main.main(["lock", "--revise", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"changed": [f"upstream.lock: {next_tag}"], "dry_run": True}
    assert (root / "upstream.lock").read_bytes() == before
    assert main.main(["lock", "--revise"]) == 0
    assert next_tag in capsys.readouterr().out
    assert (root / "upstream.lock").read_bytes() != before
