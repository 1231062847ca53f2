from __future__ import annotations

import pytest

from webui_fork.core.text import counted, fenced, human_size, inert, table


def test_sizes_read_well() -> None:
    assert [human_size(size) for size in (0, 999, 1500, 260_000_000, 3 * 10**9)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "260.0 MB",
        "3.0 GB",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Fixes #12, and o/r#3, GH-4", "Fixes #\u200b12, and o/r#\u200b3, GH-\u200b4"),
        ("thanks @maintainer", "thanks @\u200bmaintainer"),
        ("<script>x</script> <!-- x", "<\u200bscript>x<\u200b/script> <\u200b!-- x"),
        ("&#64;x &lt;b&gt; R&D", "&\u200b#\u200b64;x &\u200blt;b&\u200bgt; R&\u200bD"),
        ("closes https://host/o/r/issues/1", "closes https:\u200b//host/o/r/issues/1"),
        ("![a](b) [c][d]", "![a]\u200b(b) [c]\u200b[d]"),
        ("one | two\n# three", "one \\| two # three"),
        ("red \x1b[31m \x9b1m \u202e", "red [31m 1m"),
        ("**set** `WEBUI_URL` to *this*", "**set** `WEBUI_URL` to *this*"),
    ],
)
def test_somebody_else_s_words_do_nothing_in_a_pull_request(text: str, line: str) -> None:
    assert inert(text) == line


def test_nothing_ends_a_block_of_code() -> None:
    assert fenced("x", "diff") == ["```diff", "x", "```"]
    assert fenced("x\n ````\n```", "") == ["`````", "x\n ````\n```", "`````"]


def test_a_table_shows_what_a_terminal_would_obey() -> None:
    assert table([("name\x1b[2J", "x"), ("\u202eabc\x9b", "y")]) == "name [2J  x\n abc      y"


@pytest.mark.parametrize(
    ("number", "noun", "words"),
    [
        (1, "file", "1 file"),
        (0, "file", "0 files"),
        (2, "patch", "2 patches"),
        (3, "vulnerability", "3 vulnerabilities"),
    ],
)
def test_a_number_agrees_with_its_noun(number: int, noun: str, words: str) -> None:
    assert counted(number, noun) == words
