"""Sessions. Each runs `python -m webui_fork` or a checker in its own venv of hash-locked packages.

Nothing of the project is imported here.
"""

import hashlib
import os
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["lint", "typecheck", "unit"]
nox.options.reuse_existing_virtualenvs = True

ROOT = Path(__file__).parent


def _install(session: nox.Session, lock: str) -> None:
    """Install a hash-locked set of packages, once per content of the lock."""
    file = ROOT / "requirements" / f"{lock}.lock"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    stamp = Path(session.virtualenv.location) / "webui-fork.lock"
    if not (stamp.exists() and stamp.read_text() == digest):
        session.install("--quiet", "--require-hashes", "--only-binary", ":all:", "-r", str(file))
        stamp.write_text(digest)


def _env(session: nox.Session) -> dict[str, str]:
    # byte code goes to the session's own folder: the checkout stays clean, and starting stays quick
    return {
        "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("build", "tests", "tests/support")),
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(Path(session.virtualenv.location) / "pycache"),
        "WEBUI_FORK_ROOT": str(ROOT),
    }


def _fork(session: nox.Session, *arguments: str) -> None:
    _install(session, "tool")
    # on Ctrl-C: time to end children and containers, and to say so
    session.run("python", "-m", "webui_fork", *arguments, env=_env(session), interrupt_timeout=30, terminate_timeout=10)


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
    _install(session, "dev")  # the gate runs the tests
    argv = ["python", "-m", "webui_fork", "rebase", *session.posargs]
    session.run(*argv, env=_env(session), interrupt_timeout=60, terminate_timeout=10)


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
    _install(session, "dev")  # it runs the proofs
    session.run("python", "-m", "webui_fork", "mutants", *session.posargs, env=_env(session), interrupt_timeout=30)


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
    """Print shell completion of the command `webui-fork` (-- bash, or zsh)."""
    _fork(session, "completion", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, imports and layers of this project, and the rules of the series."""
    _install(session, "dev")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache", env=_env(session), silent=True)
    session.run("actionlint", silent=True)
    session.run("zizmor", "--offline", "--quiet", ".github", silent=True)
    session.run("shellcheck", ".github/scripts/pack.sh", ".github/scripts/propose.sh", silent=True)
    session.run("python", "-m", "webui_fork", "patches", "lint", env=_env(session))


@nox.session
def typecheck(session: nox.Session) -> None:
    """Check the types strictly."""
    _install(session, "dev")
    session.run("mypy", env=_env(session))


@nox.session
def unit(session: nox.Session) -> None:
    """Run the unit tests: offline, seconds."""
    _install(session, "dev")
    session.run("pytest", "tests/unit", *session.posargs, env=_env(session))


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test: unit, integration with real servers, the patches' proofs (-- -m "not vllm", -n 0)."""
    _install(session, "dev")
    argv = ["pytest", "-n", "auto", "--durations=30", "--durations-min=20", *session.posargs]
    session.run(*argv, env=_env(session), interrupt_timeout=60, terminate_timeout=10)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Give the parsers of foreign bytes many mutated ones (-- EXAMPLES of each, 1000: 5 minutes on 2 cores)."""
    _install(session, "dev")
    env = {**_env(session), "FUZZ_EXAMPLES": "".join(session.posargs[:1]) or "1000"}
    session.run("pytest", "-q", "-n", "auto", "tests/unit/test_fuzz.py", env=env)


@nox.session
def check(session: nox.Session) -> None:
    """Run the unit tests of a room in seconds (-- merge)."""
    _install(session, "dev")
    rooms = session.posargs[:1] or session.error("Which room? As in: nox -s check -- merge")
    session.run("pytest", "-q", f"tests/unit/{rooms[0]}", *session.posargs[1:], env=_env(session))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation to out/site; a warning is an error (-- serve looks at it while you write)."""
    _install(session, "docs")
    serving = session.posargs[:1] == ["serve"]
    argv = ["serve", *session.posargs[1:]] if serving else ["build", "--quiet", *session.posargs]
    # the theme's notice about its successor is no warning of ours
    session.run("mkdocs", *argv, env={**_env(session), "NO_MKDOCS_2_WARNING": "1"})


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the build and trust beside docker's way, and the model list beside stock's; writes out/*.md."""
    _install(session, "dev")
    _fork(session, "build")  # what it measures
    session.run("python", "tests/bench/bench.py", *session.posargs, env=_env(session))
    session.run("python", "tests/bench/trust.py", env=_env(session))
    session.run("python", "tests/bench/listing.py", env=_env(session))
