from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
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
    dead, stranger = tmp_path / ".webui-fork-base-abc", tmp_path / ".config-2024-old"
    link = tmp_path / ".webui-fork-link"
    for folder in (dead, stranger):
        folder.mkdir()
    link.symlink_to(stranger)
    with files.temp_folder(tmp_path, "x") as own, files.temp_folder(tmp_path, "x") as other:
        assert own.exists()
        assert other.exists()
        assert not dead.exists()
    assert stranger.exists()
    assert not own.exists()


def test_folders_that_are_made_and_swept_at_once(tmp_path: Path) -> None:
    def use(number: int) -> None:
        for _ in range(60):
            with files.temp_folder(tmp_path, "x") as own:
                (own / "f").write_text(str(number))
                assert (own / "f").read_text() == str(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(8)))
    assert not list(tmp_path.iterdir())


def test_the_folder_of_a_run_in_another_container_stays(tmp_path: Path) -> None:
    """It has processes of its own, whose numbers say nothing here: only a lock goes from one to the other."""
    code = (
        "import sys, pathlib\nfrom webui_fork.core import files\n"
        "with files.temp_folder(pathlib.Path(sys.argv[1]), 'x') as own:\n    print(own, flush=True); sys.stdin.read()"
    )
    argv = ["unshare", "--pid", "--fork", "--map-root-user", sys.executable, "-c", code, str(tmp_path)]
    if subprocess.run([*argv[:4], "true"], check=False, capture_output=True).returncode:
        argv = argv[4:]  # this machine allows no namespaces: another process then
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdin
        theirs = Path(child.stdout.readline().decode().strip())
        with files.temp_folder(tmp_path, "x"):
            assert theirs.is_dir()
        child.stdin.close()
        assert child.wait() == 0
    assert not theirs.exists()
