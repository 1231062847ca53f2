"""The verb `completion`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys

import webui_fork
from webui_fork.cli import main
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s completion -- bash > ~/.webui-fork.bash; then source it in ~/.bashrc"
    parser.add_argument("shell", choices=("bash", "zsh", "fish", "man"), help="the shell, or `man` for a man page")


def run(settings: Settings, _ui: Terminal, arguments: argparse.Namespace) -> None:
    """Print the script, or the page."""
    if arguments.shell == "man":
        print(page(main.parser()))
    else:
        print(script(main.parser(), arguments.shell, settings))


def script(parser: argparse.ArgumentParser, shell: str, settings: Settings) -> str:
    """Return a script for a shell's start-up: the command `webui-fork`, and the completion of its words.

    Args:
        parser: of the whole command line. shell: bash, zsh or fish.
    """
    import shtab

    source = shlex.quote(str(settings.root / "build"))
    run = f"env PYTHONPATH={source} {shlex.quote(os.path.abspath(sys.executable))} -m webui_fork"  # noqa: PTH100 - not its target
    completion: str = shtab.complete(parser, shell=shell)
    if shell == "zsh":  # shtab writes a file for fpath; sourced, it has to be registered
        completion = f"{completion}\ncompdef _shtab_webui_fork webui-fork"
    if shell == "fish":
        return f"function webui-fork; {run} $argv; end\n{completion}"
    return f'webui-fork() {{ {run} "$@"; }}\n{completion}'


def page(parser: argparse.ArgumentParser) -> str:
    """Return a man page (man(7)) of the command: what each verb's own help says.

    Args:
        parser: of the whole command line.
    """
    name, what = parser.prog, (parser.description or "").rstrip(".")
    lines = [
        f'.TH {name.upper()} 1 "" "{name} {webui_fork.__version__}"',
        ".SH NAME",
        f"{_roff(name)} \\- {_roff(what)}",
    ]
    lines += [".SH SYNOPSIS", f".B {_roff(name)}", "VERB [ARGUMENTS]", ".SH VERBS"]
    lines += _sections(parser, "")
    lines += [".SH EXIT STATUS", "0, or a code that docs/exit-codes.md lists; each error says what to do next."]
    return "\n".join(lines)


def _sections(parser: argparse.ArgumentParser, before: str) -> list[str]:
    """Return a section for each verb, and for each action of a verb."""
    lines: list[str] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                words = f"{before}{name}"
                lines += [f".SS {_roff(words)}", ".nf", _roff(inner.format_help().rstrip()), ".fi"]
                lines += _sections(inner, f"{words} ")
    return lines


def _roff(text: str) -> str:
    """Return text as roff shows it: no sign of it is a command."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in escaped.splitlines())
