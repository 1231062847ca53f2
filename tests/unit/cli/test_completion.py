"""The command line: help with an example for every verb, completion, one red line for an error."""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from webui_fork.cli import completion, main
from webui_fork.core.settings import Settings


def parsers(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, inner in action.choices.items():
                yield f"{name} {verb}".strip(), inner
                yield from parsers(inner, f"{name} {verb}".strip())


VERBS = dict(parsers(main.parser()))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_an_example_that_parses(verb: str) -> None:
    epilog = VERBS[verb].epilog or ""
    assert epilog.startswith("example: "), verb
    words = shlex.split(epilog.partition("nox -s ")[2].partition(" > ")[0])
    parsed = main.parser().parse_args([word for word in words if word != "--"])
    assert verb.startswith(parsed.verb)
    assert all(action.help for action in VERBS[verb]._actions), verb


def test_every_verb_is_a_session() -> None:
    sessions = (Path(__file__).parents[3] / "noxfile.py").read_text()
    for verb in {name.split()[0] for name in VERBS}:
        assert f"def {verb}(" in sessions, verb


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script(private_settings: Settings, shell: str) -> None:
    script = completion.script(main.parser(), shell, private_settings)
    assert ("function webui-fork;" if shell == "fish" else "webui-fork()") in script
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=script, text=True, check=True)


def test_bash_completes_verbs_and_options(private_settings: Settings) -> None:
    script = completion.script(main.parser(), "bash", private_settings)
    ask = """
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_shtab_webui_fork "" "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    for words, completed in (("webui-fork doc", "doctor"), ("webui-fork doctor --web", "--webui")):
        text = script + ask.format(words=words)
        done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True)
        assert completed in done.stdout.split()


def test_a_man_page_has_every_verb_and_nothing_that_roff_obeys() -> None:
    page = completion.page(main.parser())
    for verb in main.VERBS:
        assert f"\n.SS {verb}\n" in page.replace("\\-", "-")
    requests = {line.split()[0] for line in page.splitlines() if line.startswith((".", "'"))}
    assert requests == {".TH", ".SH", ".SS", ".B", ".nf", ".fi"}
    assert completion._roff(".x \\n\n'y --z") == "\\&.x \\en\n\\&'y \\-\\-z"
