"""The one gateway to other programs."""

from __future__ import annotations

import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from webui_fork.core.errors import ToolError

log = logging.getLogger(__name__)

# what downloading and building need, a package index's credentials included; no token and no passphrase is among it
_PLAIN = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LC_.*|TZ|TERM|CI|NO_COLOR|TMPDIR|.*_proxy|.*_PROXY|SSL_CERT_(FILE|DIR)"
    r"|REQUESTS_CA_BUNDLE|NETRC|DOCKER_(CONFIG|HOST|CERT_PATH|TLS_VERIFY)|XDG_[A-Z]+_HOME|(UV|PIP)_(?!PUBLISH).*"
    r"|(npm_config|NPM_CONFIG)_.*|NODE_EXTRA_CA_CERTS"
    r"|PYTHONPYCACHEPREFIX|PYTHONDONTWRITEBYTECODE|VLLM_IMAGE|WEBUI_FORK_(?!SIGN|IDENTITY|ISSUER).*"
)

# npm's own, by the registry they are for (`npm_config_//HOST/:_authToken`) or for all
_SECRET = re.compile(r"(?i)^npm_config_.*(_auth|_?password|otp)")


@dataclass(frozen=True, slots=True)
class Completed:
    """What a program left: its exit code and output, decoded with replacement."""

    code: int
    stdout: str
    stderr: str

    def tail(self, lines: int = 12) -> str:
        """Return the last lines of what it said, for an error message."""
        return "\n".join((self.stderr.strip() or self.stdout.strip()).splitlines()[-lines:])


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    check: bool = True,
    timeout: float | None = None,
    doing: str = "",
    build: bool = False,
    stdin: bytes | None = None,
    group: bool = False,
    at_once: bool = False,
) -> Completed:
    """Run a program to its end.

    Secrets go in ``env``, never in ``argv``, which any user of the machine can read.

    Args:
        argv: program and arguments.
        env: the whole environment of the child.
        check: turn a failing exit code into an error.
        timeout: seconds until it is killed.
        build: its output goes into an image: it ends with us, and under umask 022.
        stdin: what it reads; by default nothing.
        group: it starts programs of its own, which end with it.
        at_once: they heed no signal but KILL, and nothing is lost where they end so; under umask 022.
        doing: the action, for the error ("sign the image").

    Raises:
        ToolError: it is missing, timed out or (with ``check``) failed.
    """
    command = [str(part) for part in argv]
    name = Path(command[0]).name
    doing = doing or f"run {name}"
    start = time.monotonic()
    log.debug("starts: %s", shlex.join(command))
    apart = group or at_once
    child: subprocess.Popen[bytes] | None = None
    try:
        with uninterrupted():
            child = _started(
                bound(command) if build else command, doing, name,
                env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                umask=0o022 if build or at_once else -1,
                start_new_session=apart,  # it has no terminal either: what runs there could type into it
            )  # fmt: skip
        with _of_a_thread(child):
            out, err = child.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        assert child
        _end(child, signal.SIGKILL, group=apart)
        raise ToolError(f"Could not {doing}: {name} did not end within {timeout:g} s.") from error
    except BaseException:  # Ctrl-C too: the child must not outlive us
        if child:
            _end(child, signal.SIGKILL if at_once else signal.SIGINT, group=apart)
        raise
    done = Completed(child.returncode, out.decode(errors="replace"), err.decode(errors="replace"))
    log.debug("exit code %d after %.2f s: %s", done.code, time.monotonic() - start, name)
    if check and done.code != 0:
        raise ToolError(f"Could not {doing}: {name} ended with exit code {done.code}.", why=done.tail())
    return done


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Put Ctrl-C and the like off, for moments: until a child is known, or files that belong together are written.

    Raises:
        KeyboardInterrupt: at the end, if there was one meanwhile.
    """
    pending: list[tuple[int, FrameType | None]] = []
    handlers: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():  # others are not interrupted
        for number in (signal.SIGINT, signal.SIGTERM):
            if callable(handler := signal.getsignal(number)):
                handlers[number] = handler
                signal.signal(number, lambda *event: pending.append(event))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for event in pending:
            handlers[signal.Signals(event[0])](*event)


_of_threads: set[subprocess.Popen[bytes]] = set()


def end_those_of_threads() -> None:
    """End the children that other threads wait for: an interrupt reaches the main thread, which waits for those."""
    for child in tuple(_of_threads):
        child.terminate()


@contextmanager
def _of_a_thread(child: subprocess.Popen[bytes]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        _of_threads.add(child)
    try:
        yield
    finally:
        _of_threads.discard(child)


def _started(command: Sequence[str], doing: str, name: str, **options: Any) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    except OSError as error:
        raise ToolError(f"Could not {doing}: {name} did not start.", why=str(error)) from error


def _end(child: subprocess.Popen[bytes], number: signal.Signals, *, group: bool) -> None:
    """End a child, and with a group what it started, which has not seen the terminal's Ctrl-C."""
    if group:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)
    if number is signal.SIGKILL:
        child.kill()
    stop(child, grace=30.0 if group else 3.0)


def plain(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what of an environment a program gets that runs code of other people: tests, proofs, another commit.

    Args:
        environ: the user's, which may have the tokens of a CI service in it.
    """
    return {key: value for key, value in environ.items() if _PLAIN.fullmatch(key) and not _SECRET.search(key)}


def bound(argv: Sequence[object]) -> list[str]:
    """Return a command whose process the kernel ends with ours, however ours ends (Linux; else as it is)."""
    setpriv = shutil.which("setpriv")
    return [*([setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []), *(str(part) for part in argv)]


def stop(child: subprocess.Popen[bytes], grace: float = 3.0) -> None:
    """End a child process: ask, wait ``grace`` seconds, then kill; returns when it is gone."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(grace)
        except subprocess.TimeoutExpired:
            child.kill()
    child.wait()
    for stream in (child.stdout, child.stderr):
        if stream:
            stream.close()
