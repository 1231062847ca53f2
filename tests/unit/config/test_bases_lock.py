from __future__ import annotations

from pathlib import Path

import pytest

from webui_fork.config import bases_lock
from webui_fork.core.errors import LockError

ROW = ("slim", "ghcr.io/a/b:1", f"sha256:{'0' * 64}")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "bases.lock"
    file.write_text(bases_lock.dump([ROW]))
    assert bases_lock.read(file) == {ROW[0]: ROW[1:]}
    assert bases_lock.read(tmp_path / "absent") == {}


@pytest.mark.parametrize("row", ["slim a", f"slim a sha256:{'0' * 63}", f"SLIM a sha256:{'0' * 64}", f"s a b {ROW[2]}"])
def test_an_odd_row_names_its_line(tmp_path: Path, row: str) -> None:
    file = tmp_path / "bases.lock"
    file.write_text(f"{bases_lock.dump([ROW])}\n{row}\n")
    with pytest.raises(LockError, match=r"bases\.lock:4"):
        bases_lock.read(file)
