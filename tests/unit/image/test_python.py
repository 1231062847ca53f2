from __future__ import annotations

from pathlib import Path

import pytest

from webui_fork.core.errors import ImageError, LockError
from webui_fork.core.settings import CHECKOUT
from webui_fork.image import python


def test_a_requirement_without_a_hash_or_for_another_release_is_refused() -> None:
    from webui_fork.config import image_toml

    spec = image_toml.read(CHECKOUT / "images/open-webui")
    head = f"# input={python.requirements_input(b'x==1', spec)}\n"
    python.check_requirements(head + "x==1 \\\n    --hash=sha256:00\n", b"x==1", spec, Path("r"))
    with pytest.raises(LockError, match="r:2: x has no hash"):
        python.check_requirements(head + "x==1\n", b"x==1", spec, Path("r"))
    with pytest.raises(LockError, match="was not made from"):
        python.check_requirements(head, b"x==2", spec, Path("r"))


def test_scripts_start_the_image_s_interpreter_and_record_follows(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "x.dist-info").mkdir()
    script = tmp_path / "bin/tool"
    script.write_text("#!/some/machine/bin/python\nrun()\n")
    record = tmp_path / "x.dist-info/RECORD"
    record.write_text("bin/tool,sha256=old,3\nx.py,sha256=keep,1\n")
    python._fix_scripts(tmp_path, record, "3.11")
    assert script.read_text() == "#!/usr/bin/python3.11\nrun()\n"
    rows = record.read_text().splitlines()
    assert rows[0].startswith("bin/tool,sha256=")
    assert rows[0].endswith(f",{script.stat().st_size}")
    assert rows[1] == "x.py,sha256=keep,1"
    python._check_scripts(tmp_path, "3.11")


def test_nothing_says_that_a_wheel_was_a_file(tmp_path: Path) -> None:
    """Else wheels from a folder would give another digest than the same ones from an index."""
    (tmp_path / "x.dist-info").mkdir()
    record, note = tmp_path / "x.dist-info/RECORD", tmp_path / "x.dist-info/uv_cache.json"
    record.write_text("x.py,sha256=keep,1\nx.dist-info/uv_cache.json,sha256=z,2\nx.dist-info/RECORD,,\n")
    record.chmod(0o755)
    python._forget_the_wheel(record)
    assert "uv_cache" in record.read_text()  # it is not there: the row is the wheel's own
    note.write_text("{}")
    python._forget_the_wheel(record)
    assert not note.exists()
    assert record.read_text() == "x.py,sha256=keep,1\nx.dist-info/RECORD,,\n"
    assert record.stat().st_mode & 0o777 == 0o755


def test_uv_s_form_for_a_long_path_is_rewritten_and_what_is_left_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "x.dist-info").mkdir()
    script = tmp_path / "bin/tool"
    script.write_text("#!/bin/sh\n'''exec' '/My Projects/bin/python' \"$0\" \"$@\"\n' '''\nrun()\n")
    record = tmp_path / "x.dist-info/RECORD"
    record.write_text("bin/tool,sha256=old,3\n")
    python._fix_scripts(tmp_path, record, "3.11")
    assert script.read_text() == "#!/usr/bin/python3.11\nrun()\n"
    script.write_text("#!/opt/other/perl\n")
    with pytest.raises(ImageError, match="not in the image"):
        python._check_scripts(tmp_path, "3.11")
