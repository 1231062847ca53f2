from __future__ import annotations

from pathlib import Path

import pytest

from webui_fork.core.errors import SeriesError
from webui_fork.core.settings import CHECKOUT
from webui_fork.series import apply, expectations
from webui_fork.series.expectations import Expect

CODE = "backend/open_webui/utils/code.py"
BASE = "def f(items):\n    for item in items:\n        use(item)\n    return items\n"
OURS = BASE.replace("        use", "        if not item:\n            continue\n        use")
EXPECT = Expect(CODE, "f", "if not item:", before="use(item)")
SCRIPT = """\
export const getModels = async (
	token = ''
) => {
	if (token) {
		other();
	} else {

		const res = await fetch(
			url,
			{
				method: 'GET'
			}
		);
	}
};
""".splitlines()
PAGE = """\
<div
	class="a"
>
	{#if x}
		<b />
	{:else}
		<i>text</i>
	{/if}
	<u></u>
</div>
<p>
	last
</p>
""".splitlines()


@pytest.mark.parametrize(
    ("lines", "has", "expected"),
    [
        (SCRIPT, "export", ()),
        (SCRIPT, "token = ''", ("export const getModels = async (",)),
        (SCRIPT, "other()", ("if (token) {", ") => {", "export const getModels = async (")),
        (
            SCRIPT,
            "method",
            ("{", "const res = await fetch(", "} else {", "if (token) {", ") => {", "export const getModels = async ("),
        ),
        (PAGE, "text", ("{:else}", "{#if x}", ">", "<div")),
        (PAGE, "<u>", (">", "<div")),
        (PAGE, "last", ("<p>",)),
    ],
)
def test_the_blocks_around_a_line(lines: list[str], has: str, expected: tuple[str, ...]) -> None:
    (number,) = (number for number, line in enumerate(lines) if has in line)
    assert expectations.around(lines, number) == expected


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
        expectations.read(tmp_path / "expect.toml")


@pytest.mark.parametrize(("name", "count"), [("series", 7), ("front-end-series", 1)])
def test_every_series_of_a_data_set_is_read_and_has_expectations(name: str, count: int) -> None:
    data = CHECKOUT / "tests/assets" / name
    expected = expectations.read(data / "expect.toml")
    folders = [path.parent for path in data.glob("*/series")]
    assert len(folders) >= count
    for folder in folders:
        _, patches = apply.read_series(folder)
        assert {patch.name.removesuffix(".patch") for patch in patches} <= set(expected)
