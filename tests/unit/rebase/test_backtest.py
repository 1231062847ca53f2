from __future__ import annotations

import os
from pathlib import Path

from helpers import RELEASE, make_patch, release_repo
from webui_fork.rebase import backtest
from webui_fork.rebase.cherry_pick import Outcome
from webui_fork.rebase.releases import Release
from webui_fork.series import patch as series_patch
from webui_fork.series.expectations import Expect
from webui_fork.sources import archive, release

CODE = "backend/open_webui/utils/code.py"
BASE = "def f(items):\n    for item in items:\n        use(item)\n    return items\n"
OURS = BASE.replace("        use", "        if not item:\n            continue\n        use")
EXPECT = Expect(CODE, "f", "if not item:", before="use(item)")


def test_a_replay_judges_us_and_the_others_alike(tmp_path: Path) -> None:
    repo, first = release_repo(tmp_path, {**RELEASE, CODE: BASE.encode()})
    data, _ = make_patch(repo, first, {CODE: OURS.encode()}, "Skip the empty")
    texts = ["import os\n\n\n" + BASE, "import os\n\n\n" + BASE.replace("    return", "    note(items)\n    return")]
    releases = [Release("1.2.3", first, 1_700_000_000)]
    for number, text in enumerate(texts):
        files = {**RELEASE, CODE: text.encode()}
        members = [archive.Member(path, content) for path, content in sorted(files.items())]
        commit = release._import(repo, members, f"refs/releases/1.3.{number}/x", "x\n", 1_700_000_000)
        releases.append(Release(f"1.3.{number}", commit, 1_700_000_000))
    patches = [series_patch.parse("skip-the-empty.patch", data)]
    expected = {"skip-the-empty": (EXPECT,)}
    rows = list(backtest.replay(repo, "1.2.3", patches, releases, expected, {"PATH": os.environ["PATH"]}, peers=True))
    assert [(row.old, row.new, row.outcome, row.verdict) for row in rows] == [
        ("1.2.3", "1.3.0", Outcome.MERGED, "right"),
        ("1.3.0", "1.3.1", Outcome.MERGED, "right"),
    ]
    assert dict(rows[0].peers)["git am -3"] == "right"
