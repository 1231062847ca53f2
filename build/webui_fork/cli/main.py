"""Parse arguments, call one verb, map errors to exit codes."""

from __future__ import annotations

import argparse
import importlib
import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import webui_fork
from webui_fork.core import settings as core_settings
from webui_fork.core.errors import ForkError, from_os_error
from webui_fork.core.terminal import Terminal
from webui_fork.core.text import printable, without_credentials

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
    whole.add_argument("--version", action="version", version=f"webui-fork {webui_fork.__version__}")
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in words[:1] if set(words[:1]) & set(VERBS) else VERBS:
        importlib.import_module(f"webui_fork.cli.{verb}").add(verbs)
    for one in verbs.choices.values():
        _add_verbose(one)
    return whole


def _add_verbose(one: argparse.ArgumentParser) -> None:
    """Add the option to a verb, and to its actions; where an action is without it, it does not take it back."""
    help_text = "tell every program run, request and missed cache"
    one.add_argument("-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help=help_text)
    for action in one._actions:
        if isinstance(action, argparse._SubParsersAction):
            for nested in action.choices.values():
                _add_verbose(nested)


class _Redacted(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return a line without what a URL may hold of a secret: a redirect's query is a signature, say."""
        return printable(without_credentials(super().format(record)))


@contextmanager
def _debug_lines(*, on: bool) -> Iterator[None]:
    """Write what is logged for debugging to the standard error, if it is wanted."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Redacted("debug: %(message)s"))
    loggers = [logging.getLogger(name) for name in ("webui_fork", "urllib3.connectionpool")] if on else []
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.setLevel(logging.NOTSET)
            logger.removeHandler(handler)


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
        with _debug_lines(on=getattr(arguments, "verbose", False)):
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
