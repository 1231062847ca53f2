"""What the documentation says to type can be typed: every command is one that there is, with options that it takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from webui_fork.cli import main
from webui_fork.core.settings import CHECKOUT
from webui_fork.series import apply
from webui_fork.series import patch as series_patch

PAGES = [
    *CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md"), *CHECKOUT.glob("patches/*.md"),
    *CHECKOUT.glob("deploy/*.md"),
]  # fmt: skip
SESSIONS = set(re.findall(r"^def (\w+)\(session", (CHECKOUT / "noxfile.py").read_text(), re.MULTILINE))
# sessions whose arguments are another program's
OTHERS = SESSIONS - main.VERBS.keys()


def code(text: str) -> Iterator[str]:
    """Yield the lines of a page's blocks of shell, with lines that go on joined, and its inline code."""
    for block in re.findall(r"^ *```sh\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL))


def commands(line: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the verbs that a line of shell runs, each with its arguments."""
    for part in re.split(r"&&|;|\|(?!\|)| > | < |\) ", line):
        words = shlex.split(part, comments=True, posix=True) if part.count('"') % 2 == part.count("'") % 2 == 0 else []
        for number, word in enumerate(words):
            if word.endswith("nox") and words[number + 1 : number + 2] == ["-s"] and len(words) > number + 2:
                rest = words[number + 2 :]
                yield rest[0].strip(","), rest[2:] if rest[1:2] == ["--"] else []
            elif word == "webui-fork" and len(words) > number + 1 and words[number + 1] in main.VERBS:
                yield words[number + 1], words[number + 2 :]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(CHECKOUT).as_posix())
def test_every_command_is_one_that_there_is(page: Path) -> None:
    for line in code(page.read_text()):
        for verb, arguments in commands(line):
            if verb in OTHERS or verb == "VERB":
                continue
            assert verb in main.VERBS, line
            shown = [word for word in arguments if word not in ("…", "...")]
            if shown == arguments and arguments:  # what is cut short can't be parsed
                main.parser(verb).parse_args([verb, *arguments])


def prose(text: str) -> Iterator[str]:
    """Yield the lines of a page that can be wrapped: no code, no row of a table, and more than a word on it."""
    for line in re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL).splitlines():
        whole = re.sub(r"`[^`]+`|!?\[[^\]]*\]\([^)]*\)", "word", line)
        if not line.lstrip().startswith("|") and whole.strip(" .,;:") != "word":
            yield line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(CHECKOUT).as_posix())
def test_prose_wraps_at_a_hundred_characters(page: Path) -> None:
    """With some to spare: a bump puts the next release's name and tag where this one's were."""
    assert not [line for line in prose(page.read_text()) if len(line) > 110]


# what a reader has to read twice; proselint knows what is common
RIDDLES = r"\bthat there (?:is|are)\b|\bthe very \w+|\bis none\b|\bthe ways? on\b"
RELATIVE_SUBJECT = r"(?:^|[.:;|] )Who(?:ever)? (?!.*\?)"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(CHECKOUT).as_posix())
def test_a_sentence_is_read_once(page: Path) -> None:
    """Plain English: the subject first, and a noun for what is meant."""
    text = page.read_text()
    assert [line for line in text.splitlines() if re.search(RELATIVE_SUBJECT, line)] == []
    assert re.findall(RIDDLES, re.sub(r"\s+", " ", text)) == []


def test_the_chinese_readme_says_what_readme_says() -> None:
    """Its commands, headings, links, pictures and rows; the sentences are a person's to compare."""

    def shape(name: str) -> dict[str, list[str]]:
        text = (CHECKOUT / name).read_text()
        typed = re.sub(r" *#.*", "", "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)))
        return {
            "commands": typed.splitlines(),
            "headings": re.findall(r"^#+", text, re.MULTILINE),
            "links": sorted(set(re.findall(r"\]\(([^)]+)\)", text)) - {"README.md", "README.zh.md"}),
            "rows": re.findall(r"^\|", text, re.MULTILINE),
            "seconds": re.findall(r"\d+\.\d+(?= s| 秒)", text),
        }

    english, chinese = shape("README.md"), shape("README.zh.md")
    chinese["links"].remove("docs/zh/troubleshooting.md")
    assert chinese == english


def test_the_test_reads_commands() -> None:
    """Else a page without one that is understood would pass."""
    read = {
        (verb, *arguments) for page in PAGES for line in code(page.read_text()) for verb, arguments in commands(line)
    }
    assert len(read) > 60
    assert ("build", "--locked", "--arch", "all") in read
    assert ("tests",) in read


@pytest.mark.parametrize(
    ("line", "verb"),
    [
        ("nox -s biuld", "biuld"),
        (".venv/bin/nox -s lock -- --nonsense", "lock"),
        ("webui-fork pin --nonsense x", "pin"),
    ],
)
def test_a_command_that_there_is_not_would_be_noticed(line: str, verb: str) -> None:
    ((read, arguments),) = commands(line)
    assert read == verb
    if verb in main.VERBS:
        with pytest.raises(SystemExit):
            main.parser(verb).parse_args([verb, *arguments])


def test_the_drawing_of_the_matrix_is_of_today_s_series() -> None:
    drawing = (CHECKOUT / "docs/matrix.svg").read_text()
    names = [line for line in (CHECKOUT / "patches/series").read_text().splitlines() if line.endswith(".patch")]
    assert not [name for name in names if f">{name.removesuffix('.patch')}<" not in drawing]


def test_the_series_leaves_a_fork_lines_of_upstream_s_to_change() -> None:
    """docs/add-a-patch.md changes one, which counts twice."""
    _, patches = apply.read_series(CHECKOUT / "patches")
    for part, limit in series_patch.HOOK_LINES.items():
        assert sum(series_patch.hook_lines(patches, part).values()) <= limit - 10, part
