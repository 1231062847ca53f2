from __future__ import annotations

import os
from pathlib import Path

import pytest

from helpers import RELEASE, make_patch, release_repo
from webui_fork.core.errors import SeriesError
from webui_fork.core.settings import CHECKOUT
from webui_fork.rebase import backtest
from webui_fork.rebase.backtest import Expect
from webui_fork.rebase.cherry_pick import Outcome
from webui_fork.rebase.releases import Release
from webui_fork.series import apply
from webui_fork.series import patch as series_patch
from webui_fork.sources import archive, release

CODE = "backend/open_webui/utils/code.py"
BASE = "def f(items):\n    for item in items:\n        use(item)\n    return items\n"
OURS = BASE.replace("        use", "        if not item:\n            continue\n        use")
EXPECT = Expect(CODE, "f", "if not item:", before="use(item)")


def test_what_is_expected() -> None:
    assert EXPECT.problem(OURS) == ""
    assert EXPECT.problem(BASE) == "'if not item:' is there 0 times"
    assert EXPECT.problem(OURS.replace("def f", "def g")) == "'if not item:' is in g"
    assert EXPECT.problem(OURS + OURS.replace("def f", "def g")) == "'if not item:' is there 2 times"
    assert EXPECT.problem(OURS.replace("use(item)", "drop(item)")) == "'use(item)' is not behind it"
    assert EXPECT.problem(None) == "it is not Python"
    assert Expect(CODE, "f", "return items", gone="use(item)").problem(OURS) == "'use(item)' is still there"
    assert Expect(CODE, "f", "return items", after="pass").problem(OURS) == "'pass' is not before it"


STYLE = """.a {
	color: red;

	margin: 0;
}
"""


def test_what_is_expected_of_a_file_that_is_not_python() -> None:
    expect = Expect("src/app.css", ".a {", "margin: 0", after="color: red", before="}", gone="padding")
    assert expect.problem(STYLE) == ""
    assert expect.problem(None) == "'margin: 0' is there 0 times"
    assert expect.problem(STYLE * 2) == "'margin: 0' is there 2 times"
    assert expect.problem(STYLE.replace(".a", ".b")) == "'margin: 0' is not in '.a {'"
    assert expect.problem(STYLE.replace("red;", "red;\n\ttop: 0;")) == "'color: red' is not before it"
    assert expect.problem(STYLE.replace("0;", "0;\n\ttop: 0;")) == "'}' is not behind it"
    assert expect.problem(STYLE + ".b { padding: 0; }\n") == "'padding' is still there"
    assert Expect("x.json", "", "x", after="y").problem("x") == "'y' is not before it"
    assert Expect("x.json", "", "x", before="y").problem("x") == "'y' is not behind it"


def test_expectations_of_another_form(tmp_path: Path) -> None:
    (tmp_path / "expect.toml").write_text("[[x]]\nwhere = 'y'\n")
    with pytest.raises(SeriesError, match=r"expect\.toml"):
        backtest.read_expectations(tmp_path / "expect.toml")


@pytest.mark.parametrize(("name", "count"), [("series", 7), ("front-end-series", 1)])
def test_every_series_of_a_data_set_is_read_and_has_expectations(name: str, count: int) -> None:
    data = CHECKOUT / "tests/assets" / name
    expected = backtest.read_expectations(data / "expect.toml")
    folders = [path.parent for path in data.glob("*/series")]
    assert len(folders) >= count
    for folder in folders:
        _, patches = apply.read_series(folder)
        assert {patch.name.removesuffix(".patch") for patch in patches} <= set(expected)


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
