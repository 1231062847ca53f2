"""The verb `completion`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys

from webui_fork.cli import main
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s completion -- bash > ~/.webui-fork.bash; then source it in ~/.bashrc"
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="for which shell")


def run(settings: Settings, _ui: Terminal, arguments: argparse.Namespace) -> None:
    """Print the script."""
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
