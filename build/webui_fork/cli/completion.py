"""The verb `completion`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys

from webui_fork.core.settings import Settings


def script(parser: argparse.ArgumentParser, shell: str, settings: Settings) -> str:
    """Return a script for a shell's start-up: the command `webui_fork`, and the completion of its words.

    Args:
        parser: of the whole command line. shell: bash or zsh.
    """
    import shtab

    source = shlex.quote(str(settings.root / "build"))
    run = f"PYTHONPATH={source} {shlex.quote(os.path.abspath(sys.executable))} -m webui_fork"  # noqa: PTH100 - not its target
    completion: str = shtab.complete(parser, shell=shell)
    if shell == "zsh":  # shtab writes a file for fpath; sourced, it has to be registered
        completion = f"{completion}\ncompdef _shtab_webui_fork webui_fork"
    return f'webui_fork() {{ {run} "$@"; }}\n{completion}'
