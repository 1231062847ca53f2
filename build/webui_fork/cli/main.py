"""Parse arguments, call one verb, map errors to exit codes."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from collections.abc import Sequence

from webui_fork.core import settings as core_settings
from webui_fork.core.errors import ForkError, from_os_error
from webui_fork.core.terminal import Terminal
from webui_fork.core.text import printable

# each is a module here, with `add` for its parser and `run`, which returns an exit code or None for 0
VERBS = (
    *("build", "lock", "serve", "rebase", "backtest", "matrix", "mutants", "verify", "reproduce", "pin", "publish"),
    *("audit", "doctor", "patches", "completion"),
)


def parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser of a command line. Where its first word is a verb, only that verb is imported.

    Args:
        words: the command line without the program; none: every verb.
    """
    whole = argparse.ArgumentParser(prog="webui_fork", description="Keep a patched, signed build of Open WebUI alive.")
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in words[:1] if set(words[:1]) & set(VERBS) else VERBS:
        importlib.import_module(f"webui_fork.cli.{verb}").add(verbs)
    return whole


def _report(error: ForkError, terminal: bool) -> int:
    red, plain = ("\033[31m", "\033[0m") if terminal else ("", "")
    print(f"{red}error: {printable(error.what)}{plain}", file=sys.stderr)
    for text in (error.why, error.remedy):
        if text:
            print("\n".join(f"  {line}" for line in printable(text.expandtabs()).splitlines()), file=sys.stderr)
    return error.exit_code


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; return the exit code (docs/exit-codes.md)."""
    words = sys.argv[1:] if argv is None else argv
    arguments = parser(words).parse_args(words)
    terminal = False
    signal.signal(signal.SIGTERM, _interrupt)  # children are ended and folders removed, as on Ctrl-C
    try:
        settings = core_settings.load()
        terminal = settings.terminal
        code: int | None = arguments.run(settings, Terminal(rich=settings.terminal), arguments)
        return code or 0
    except ForkError as error:
        return _report(error, terminal)
    except OSError as error:
        if error.errno is None:  # a library's, about the network
            return _report(ForkError("The network failed.", why=str(error), remedy="Run this again."), terminal)
        return _report(from_os_error(error, "use a file"), terminal)
    except KeyboardInterrupt:
        print("Interrupted; what was finished is kept, and the next run goes on from there.", file=sys.stderr)
        return 130
