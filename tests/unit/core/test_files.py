from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from helpers import Talk
from webui_fork.core import errors, files
from webui_fork.core.errors import CacheError, DiskFullError


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "f"
    files.write_atomic(target, "old")

    def full(self: Path, other: Path) -> Path:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DiskFullError, match="disk is full"):
        files.write_atomic(target, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    assert target.read_text() == "old"


def test_an_unwritable_folder_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "file/below", Path("/proc/webui-fork")):
        with pytest.raises(CacheError) as caught:
            files.ensure_folder(bad)
        assert "WEBUI_FORK_CACHE" in caught.value.remedy


def test_a_quota_counts_as_a_full_disk() -> None:
    assert isinstance(errors.from_os_error(OSError(122, "Quota exceeded"), "x"), DiskFullError)


def test_linking_falls_back_to_copying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("data")

    def no_link(*args: object) -> None:
        raise OSError(18, "Cross-device link")

    monkeypatch.setattr(os, "link", no_link)
    files.link_or_copy(tmp_path / "a", tmp_path / "sub/b")
    assert (tmp_path / "sub/b").read_text() == "data"


def test_a_second_run_waits_and_says_so(tmp_path: Path, talk: Talk) -> None:
    code = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from webui_fork.core import files
        with files.exclusive(Path(sys.argv[1]), "this checkout", print):
            print("held", flush=True)
            time.sleep(1)
        """
    )
    env = {**os.environ, "PYTHONPATH": str(files.__file__).rsplit("/", 3)[0]}
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", code, str(path)], env=env, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdout.readline() == b"held\n"
        with files.exclusive(path, "this checkout", talk.say):
            assert child.wait() == 0
    assert f"process {child.pid}" in talk.text
    assert "waiting" in talk.text


def test_folders_of_killed_runs_are_swept(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    dead, alive = tmp_path / f".webui-fork-base-{gone.pid}-abc", tmp_path / f".webui-fork-base-{os.getpid()}-abc"
    stranger = tmp_path / ".config-2024-old"
    for folder in (dead, alive, stranger):
        folder.mkdir()
    with files.temp_folder(tmp_path, "x") as own:
        assert own.exists()
        assert not dead.exists()
    assert alive.exists()
    assert stranger.exists()
    assert not own.exists()
