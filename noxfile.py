"""Sessions. Each runs `python -m webui_fork` or a checker in an environment of hash-locked packages.

All sessions of one lock share its environment, such as `.nox/tool`: nox by itself makes one for each session.
Nothing of the project is imported here.
"""

import fcntl
import hashlib
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["lint", "typecheck", "unit"]
nox.options.default_venv_backend = "none"

ROOT = Path(__file__).parent
RUNNING: dict[Path, IO[str]] = {}  # environments that this process keeps from being removed


def _environment(session: nox.Session, lock: str) -> Path:
    """Have the environment of a lock, and return the folder of its programs.

    Its name has the lock's digest: a session that runs keeps its own when the lock changes. Those of older locks are
    removed when nobody runs in them.
    """
    file, home = ROOT / "requirements" / f"{lock}.lock", ROOT / ".nox"
    folder = home / f"{lock}-{hashlib.sha256(file.read_bytes() + sys.version.encode()).hexdigest()[:12]}"
    if folder in RUNNING:  # a lock of our own would keep us out
        return folder / "bin"
    ready = folder / "ready"
    home.mkdir(exist_ok=True)
    with _held(folder, fcntl.LOCK_EX):
        if not ready.exists():
            session.run(sys.executable, "-m", "venv", "--clear", str(folder), external=True, silent=True)
            pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
            pip += ["--no-compile"]  # byte code is written to another place, as modules are imported: see _run
            session.run(*pip, "--only-binary", ":all:", "-r", str(file), external=True, silent=True)
            ready.touch()
    RUNNING[folder] = _held(folder, fcntl.LOCK_SH)
    for old in home.glob(f"{lock}-*[0-9a-f]"):
        if old != folder:
            with suppress(BlockingIOError), _held(old, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(old)
    return folder / "bin"


def _held(folder: Path, how: int) -> IO[str]:
    """Lock an environment, for as long as the file is open."""
    busy = folder.with_name(f"{folder.name}.busy").open("w")
    fcntl.flock(busy, how)
    return busy


def _run(
    session: nox.Session, lock: str, program: str, *arguments: str, patience: float = 0.3, quiet: bool = False
) -> None:
    """Run a program of a lock's environment; ``patience``: seconds that it has after Ctrl-C, to end children."""
    programs = _environment(session, lock)
    env = {
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "VIRTUAL_ENV": str(programs.parent),
        "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("build", "tests", "tests/support")),
        # byte code goes to the environment's own folder: the checkout stays clean, and starting stays quick
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(programs.parent / "pycache"),
        "WEBUI_FORK_ROOT": str(ROOT),
        # the theme's notice about its successor is no warning of ours
        "NO_MKDOCS_2_WARNING": "1",
    }
    argv = [str(programs / program), *arguments]
    session.run(*argv, env=env, external=True, silent=quiet, interrupt_timeout=patience, terminate_timeout=10)


def _fork(session: nox.Session, *arguments: str, lock: str = "tool", patience: float = 30) -> None:
    _run(session, lock, "python", "-m", "webui_fork", *arguments, patience=patience)


@nox.session
def build(session: nox.Session) -> None:
    """Build, push, sign and verify the image (-- --locked, --load)."""
    _fork(session, "build", *session.posargs)


@nox.session
def lock(session: nox.Session) -> None:
    """Pin a release and refresh the Debian and Python locks (-- --release VERSION)."""
    _fork(session, "lock", *session.posargs)


@nox.session
def refresh(session: nox.Session) -> None:
    """Move the locks on to packages with security fixes, name the advisories, and commit it."""
    _fork(session, "refresh", *session.posargs)


@nox.session
def patches(session: nox.Session) -> None:
    """Work on the series (-- lint, list, apply, new SUBJECT, export)."""
    _fork(session, "patches", *(session.posargs or ["list"]))


@nox.session
def rebase(session: nox.Session) -> None:
    """Carry the series to the newest release (-- --to VERSION, --no-gate, --continue, --skip, --abort)."""
    _fork(session, "rebase", *session.posargs, lock="dev", patience=60)  # the gate runs the tests


@nox.session
def backport(session: nox.Session) -> None:
    """Carry a fix of a newer release back to an older one (-- FIX --onto VERSION --part FILE:FUNCTION --subject …)."""
    _fork(session, "backport", *session.posargs, lock="dev")  # it runs the proof


@nox.session
def adopt(session: nox.Session) -> None:
    """Make a series of a fork: patches by topic, in out/adopt (-- REMOTE#BRANCH)."""
    _fork(session, "adopt", *session.posargs)


@nox.session
def backtest(session: nox.Session) -> None:
    """Replay upstream's history with series of older releases; writes out/backtest.*."""
    _fork(session, "backtest", *session.posargs)


@nox.session
def matrix(session: nox.Session) -> None:
    """Draw which patches carry to which releases (-- --from 0.9.0); writes out/matrix.svg."""
    _fork(session, "matrix", *session.posargs)


@nox.session
def mutants(session: nox.Session) -> None:
    """Make small faults in the patches, and see whether their proofs notice (-- PATCH, --sample N); takes hours."""
    _fork(session, "mutants", *session.posargs, lock="dev")  # it runs the proofs


@nox.session
def serve(session: nox.Session) -> None:
    """Serve the embedded registry on loopback until Ctrl-C (-- --port N)."""
    _fork(session, "serve", *session.posargs)


@nox.session
def verify(session: nox.Session) -> None:
    """Check a published image: signature, attestations, layers, tag, labels, patches (-- REF)."""
    _fork(session, "verify", *session.posargs)


@nox.session
def reproduce(session: nox.Session) -> None:
    """Build a published image again from its provenance, and compare (-- REF)."""
    _fork(session, "reproduce", *session.posargs)


@nox.session
def publish(session: nox.Session) -> None:
    """Promote the image that passed the tests to a registry (-- REGISTRY/NAME)."""
    _fork(session, "publish", *session.posargs)


@nox.session
def bundle(session: nox.Session) -> None:
    """Write a published image and all that belongs to it to one file (-- REF FILE)."""
    _fork(session, "bundle", *session.posargs)


@nox.session
def load(session: nox.Session) -> None:
    """Verify an image in a folder, and load it into the Docker engine (-- FOLDER)."""
    _fork(session, "load", *session.posargs)


@nox.session
def pin(session: nox.Session) -> None:
    """Verify an image, and have deploy/ name it by digest (-- REF)."""
    _fork(session, "pin", *session.posargs)


@nox.session
def audit(session: nox.Session) -> None:
    """List known vulnerabilities of the image's packages; what we judge of them is in vex.openvex.json."""
    _fork(session, "audit", *session.posargs)


@nox.session
def doctor(session: nox.Session) -> None:
    """Say why a model list is empty, slow or a 503 (-- --webui URL --vllm URL); works on stock, too."""
    _fork(session, "doctor", *session.posargs)  # its exit code is its answer; nox ends with 1 for each but 0


@nox.session
def completion(session: nox.Session) -> None:
    """Print shell completion of the command `webui-fork` (-- bash, zsh or fish), or its man page (-- man)."""
    _fork(session, "completion", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, imports and layers of this project, and the rules of the series."""
    _run(session, "dev", "ruff", "check", ".")
    _run(session, "dev", "ruff", "format", "--check", ".")
    _run(session, "dev", "lint-imports", "--no-cache", quiet=True)
    _run(session, "dev", "actionlint", quiet=True)
    _run(session, "dev", "zizmor", "--offline", "--quiet", ".github", quiet=True)
    scripts = (
        path for pattern in (".github/scripts/*.sh", "deploy/*.sh", "images/*/*.sh") for path in ROOT.glob(pattern)
    )
    _run(session, "dev", "shellcheck", ".ci/run", *sorted(map(str, scripts)), quiet=True)
    _fork(session, "patches", "lint", lock="dev")
    for lock in sorted(ROOT.glob("lines/*/upstream.lock")):
        _fork(session, "patches", "lint", "--line", lock.parent.name, lock="dev")


@nox.session
def typecheck(session: nox.Session) -> None:
    """Check the types strictly."""
    _run(session, "dev", "mypy")


@nox.session
def unit(session: nox.Session) -> None:
    """Run the unit tests: offline, seconds."""
    _run(session, "dev", "pytest", "tests/unit", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the unit tests, and show which lines of the tool they do not reach; writes out/coverage."""
    data = f"--data-file={ROOT / 'out/coverage.data'}"
    (ROOT / "out").mkdir(exist_ok=True)
    _run(session, "dev", "coverage", "run", data, "-m", "pytest", "-q", "tests/unit", *session.posargs)
    _run(session, "dev", "coverage", "html", data, "--quiet", "--directory", str(ROOT / "out/coverage"))
    _run(session, "dev", "coverage", "report", data)


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test: unit, integration with real servers, the patches' proofs (-- -m "not vllm", -n 0)."""
    argv = ["-n", "auto", "--durations=30", "--durations-min=20", *session.posargs]
    _run(session, "dev", "pytest", *argv, patience=60)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Give the parsers of foreign bytes many mutated ones (-- EXAMPLES of each, 1000: 5 minutes on 2 cores)."""
    session.env["FUZZ_EXAMPLES"] = "".join(session.posargs[:1]) or "1000"
    _run(session, "dev", "pytest", "-q", "-n", "auto", "tests/unit/test_fuzz.py")


@nox.session
def check(session: nox.Session) -> None:
    """Run the unit tests of a room in seconds (-- merge)."""
    rooms = session.posargs[:1] or session.error("Which room? As in: nox -s check -- merge")
    _run(session, "dev", "pytest", "-q", f"tests/unit/{rooms[0]}", *session.posargs[1:])


@nox.session
def docs(session: nox.Session) -> None:
    """Check the prose, and build the documentation to out/site; warnings are errors (-- serve: while you write)."""
    serving = session.posargs[:1] == ["serve"]
    if not serving:
        pages = [page for place in ("*", "docs/**/*", "deploy/*", "patches/*") for page in ROOT.glob(f"{place}.md")]
        _run(session, "docs", "proselint", "check", *map(str, pages))
    argv = ["serve", *session.posargs[1:]] if serving else ["build", "--quiet", *session.posargs]
    _run(session, "docs", "mkdocs", *argv)


@nox.session
def links(session: nox.Session) -> None:
    """Build the documentation, and ask for every page that it links to (-- --here: none of other sites)."""
    _run(session, "docs", "mkdocs", "build", "--quiet")
    places = [] if session.posargs == ["--here"] else ["--check-extern", *session.posargs]
    not_asked = [
        f"--ignore-url={part}" for part in ("//localhost", "//127.0.0.1", "/OWNER/", "fork.invalid", "404.html")
    ]
    _run(session, "docs", "linkchecker", "--no-status", "--no-warnings", *places, *not_asked, "out/site/index.html")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the build and trust beside docker's way, list and chats beside stock's; writes out/*.md."""
    _fork(session, "build")  # what it measures
    _run(session, "dev", "python", "tests/bench/bench.py", *session.posargs)
    for name in ("trust", "listing", "chatting", "pages"):
        _run(session, "dev", "python", f"tests/bench/{name}.py")
