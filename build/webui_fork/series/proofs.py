"""Run a patch's proof against an Open WebUI: the one way, for the rebase, the tests and the mutants."""

from __future__ import annotations

import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from webui_fork.core import process
from webui_fork.core.errors import ToolError

_LIMIT = 900.0  # seconds


@dataclass(frozen=True, slots=True)
class ProofRun:
    """How many tests of a proof ran, failed and broke (could not run), the seconds it took, and what it said."""

    ran: int
    failed: int
    errors: int
    seconds: float
    output: str

    @property
    def green(self) -> bool:
        """All of it passed."""
        return bool(self.ran) and not self.failed and not self.errors

    @property
    def red(self) -> bool:
        """It fails: a test of it, or all of them; but none of it broke, which would say nothing."""
        return bool(self.failed) and not self.errors


def environment(root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which a checkout's own tests run: they run upstream's code, and get no token."""
    paths = ":".join(str(root / name) for name in ("build", "tests", "tests/support"))
    return {**process.plain(environ), "PYTHONPATH": paths, "WEBUI_FORK_ROOT": str(root)}


def run(root: Path, proof: str, tree: Path, environ: Mapping[str, str], *options: str) -> ProofRun:
    """Run a proof in a process of its own; one that does not end within 15 minutes counts as broken.

    Args:
        root: the checkout.
        proof: its path there.
        tree: the Open WebUI, a folder of :func:`webui_fork.oci.unpack.tree`.
        environ: the environment.
        options: more of pytest's.
    """
    env = environment(root, environ)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="webui-fork-") as folder:
        report = Path(folder) / "proof.xml"
        argv = [sys.executable, "-m", "pytest", proof, "--tree", str(tree), f"--junitxml={report}", "-q", "--no-header"]
        argv += ["-p", "no:hypothesispytest", *options]  # no proof needs it, and it takes a second to load
        try:
            done = process.run(argv, env=env, cwd=root, check=False, timeout=_LIMIT, doing=f"run {proof}", group=True)
        except ToolError as error:  # it hangs: that is no proof of anything
            return ProofRun(0, 0, 1, time.monotonic() - start, str(error))
        try:
            suite = next(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314  # pytest wrote it just now
        except (OSError, ET.ParseError, StopIteration):
            return ProofRun(0, 0, 1, time.monotonic() - start, done.tail(30))
    ran, failed, errors = (int(suite.get(key, 0)) for key in ("tests", "failures", "errors"))
    return ProofRun(ran, failed, errors, time.monotonic() - start, done.stdout)
