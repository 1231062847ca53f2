from __future__ import annotations

import pytest

from webui_fork.merge import outline

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
    assert outline.around(lines, number) == expected
