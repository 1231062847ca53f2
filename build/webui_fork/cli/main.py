"""Parse arguments, call one verb, map errors to exit codes."""

from __future__ import annotations

import argparse
import difflib
import gc
import importlib
import logging
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import webui_fork
from webui_fork.core import process
from webui_fork.core import settings as core_settings
from webui_fork.core.errors import ForkError, SourceError, UsageError, from_os_error
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.core.text import printable, without_credentials

# Each verb is a module here, with `add_arguments` for its parser and `run`, which returns an exit code or None for 0.
# What it is for stands here, so that the help of all imports none.
VERBS = {
    "build": "build, push, sign and verify the image",
    "lock": "pin a release and refresh the locks",
    "refresh": "move the locks on to packages with security fixes, and say which",
    "serve": "serve the embedded registry until Ctrl-C",
    "rebase": "carry the series to the newest release",
    "adopt": "turn a fork into a series: patches by topic, with headers and proofs to fill in",
    "backport": "carry a fix of a newer release back to an older one, and prove it there",
    "backtest": "replay upstream's history with series of older releases",
    "matrix": "draw which patches carry to which releases",
    "mutants": "make small faults in the lines of patches, and see whether their proofs notice",
    "verify": "check a published image: signature, attestations, layers, tag, labels, patches",
    "reproduce": "build a published image again from its provenance, and compare",
    "pin": "verify an image, and have deploy/ name it by digest",
    "publish": "promote the image that passed the tests to a registry",
    "bundle": "write a published image and all that belongs to it to one file, for a machine without a network",
    "load": "verify an image in a folder, such as a bundle's, and load it into the Docker engine",
    "audit": "list known vulnerabilities of the image's packages",
    "doctor": "say why the model list is empty, slow or a 503, on stock images too",
    "patches": "check, list, apply, add and export the patches of the series",
    "completion": "print a completion script for a shell, or a man page",
}
_ANYWHERE = ("completion", "load", "serve", "verify")  # they need no checkout
# Those that work in a line (`lines/0.11`), too: what they do is of one release, and touches no other place.
IN_LINES = ("build", "lock", "verify", "reproduce", "publish", "audit", "patches")


class _Parser(argparse.ArgumentParser):
    """A parser that says which word was probably meant."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and what is wrong, and exit with 2."""
        if match := re.fullmatch(r"argument \w+: invalid choice: '(.*)' \(choose from (.*)\)", message, re.DOTALL):
            close = difflib.get_close_matches(match.group(1), re.findall(r"[^', ]+", match.group(2)), 1)
            meant = f"Did you mean {close[0]!r}?" if close else f"`{self.prog} --help` lists what there is."
            message = f"{match.group(1)!r} is unknown. {meant}"
        super().error(message)


def parser(verb: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of a command line.

    Args:
        verb: the only one whose arguments are added, and whose module is imported; None: all.
    """
    whole = _Parser(prog="webui-fork", description="Keep a patched, signed build of Open WebUI alive.")
    whole.add_argument("--version", action="version", version=f"webui-fork {webui_fork.__version__}")
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, purpose in VERBS.items():
        one = verbs.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        if verb in (name, None):
            _module(name).add_arguments(one)
            _add_common(one, in_lines=name in IN_LINES)
    return whole


def _module(verb: str) -> Any:
    return importlib.import_module(f"webui_fork.cli.{verb}")


def _add_common(one: argparse.ArgumentParser, *, in_lines: bool) -> None:
    """Add what all verbs have, to a verb and its actions; where an action is without it, it does not take it back."""
    much = "print each program that is run, each request to a registry or index, and each cache miss"
    little = "no progress"
    loudness = one.add_mutually_exclusive_group()
    loudness.add_argument("-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help=much)
    loudness.add_argument("-q", "--quiet", action="store_true", default=argparse.SUPPRESS, help=little)
    if in_lines:
        one.add_argument("--line", metavar="NAME", default=argparse.SUPPRESS, help="an older line in lines/, as 0.11")
    for action in one._actions:
        if isinstance(action, argparse._SubParsersAction):
            purposes = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, nested in action.choices.items():
                nested.description = f"{purposes[name][0].upper()}{purposes[name][1:]}."
                _add_common(nested, in_lines=in_lines)


class _DebugLines(logging.Handler):
    """Says what is logged, without what a URL may hold of a secret: a redirect's query is a signature, say."""

    def __init__(self, ui: Terminal) -> None:
        super().__init__()
        self._ui = ui

    def emit(self, record: logging.LogRecord) -> None:
        """Say a line."""
        self._ui.say(f"debug: {printable(without_credentials(record.getMessage()))}")


@contextmanager
def _debug_lines(ui: Terminal, *, on: bool) -> Iterator[None]:
    """Say what is logged for debugging, if that is asked for."""
    handler = _DebugLines(ui)
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


def _on_line(settings: Settings, name: str | None) -> Settings:
    """Return the settings of a line, those of the checkout for None.

    Raises:
        UsageError: there is no such line.
    """
    if name is None:
        return settings
    present = settings.lines
    if name not in present:
        why = f"The checkout has {', '.join(present)}." if present else "The checkout has none."
        raise UsageError(f"There is no line {name!r}.", why=why, remedy="`nox -s backport -- FIX --onto VERSION`")
    return settings.on_line(name)


def _check_checkout(settings: Settings, verb: str) -> None:
    """Refuse to work in a folder that is none of ours, as a command that was installed may be.

    Raises:
        UsageError: it is none.
    """
    if verb not in _ANYWHERE and not settings.lock_file.exists() and not settings.patches.exists():
        raise UsageError(
            f"{settings.root} is not a checkout of webui_fork.",
            remedy="Run this in your clone, or set WEBUI_FORK_ROOT to it.",
        )


def _interrupt(_number: int, _frame: object) -> None:
    process.end_those_of_threads()
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; return the exit code (docs/exit-codes.md)."""
    words = sys.argv[1:] if argv is None else argv
    terminal = False
    gc.set_threshold(200_000, 20)  # syntax trees are many objects: looking for rings took a third of a rebase
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as of a shell's background job
            signal.signal(number, _interrupt)  # children are ended and folders removed
    try:
        if not words:
            parser("").print_help()
            return 0
        if odd := [word for word in words if word != word.encode(errors="replace").decode()]:
            raise UsageError(f"{odd[0]!r} is not UTF-8.", remedy="Type it again.")
        if any(re.search(r"[0-9]{1000}", word) for word in words):  # more than Python reads as a number
            raise UsageError("That is a number of a thousand digits.", remedy="Type it again.")
        arguments = parser(words[0]).parse_args(words)
        settings = _on_line(core_settings.load(), getattr(arguments, "line", None))
        _check_checkout(settings, arguments.verb)
        terminal = settings.terminal
        ui = Terminal(rich=terminal, quiet=getattr(arguments, "quiet", False))
        with _debug_lines(ui, on=getattr(arguments, "verbose", False)):
            code: int | None = _module(arguments.verb).run(settings, ui, arguments)
        sys.stdout.flush()
        return code or 0
    except ForkError as error:
        return _report(error, terminal)
    except BrokenPipeError:  # whoever reads our output, as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        if error.errno is None:  # a library's, about the network
            return _report(SourceError("The network failed.", why=str(error), remedy="Run this again."), terminal)
        return _report(from_os_error(error, "use a file"), terminal)
    except KeyboardInterrupt:
        print("Interrupted; what was finished is kept, and the next run goes on from there.", file=sys.stderr)
        return 130
