from __future__ import annotations

from pathlib import Path

from helpers import make_patch, release_repo
from webui_fork.backport import fork_report
from webui_fork.backport.fork import Adopted
from webui_fork.series import patch as series_patch


def test_the_newest_release_has_nothing_to_reach(tmp_path: Path) -> None:
    repo, commit = release_repo(tmp_path)
    data, _ = make_patch(repo, commit, {"backend/open_webui/env.py": b"TIMEOUT = 5\n"})
    patch = series_patch.parse("do-a-thing.patch", data)
    fork_report.write(tmp_path / "out/adopt", Adopted("1.2.3", (patch,), (), ((patch.name, ()),)))
    report = (tmp_path / "out/adopt/report.md").read_text()
    assert report.startswith("# A fork of 1.2.3 as 1 patch\n")
    assert "| do-a-thing.patch | backend/open_webui/env.py | 3 | – | – |" in report
    assert report.endswith("## Left out of the patches\n\nNothing.\n")
    assert not (tmp_path / "out/adopt/reach.svg").exists()
    assert not list((tmp_path / "out/tmp").glob("*"))
