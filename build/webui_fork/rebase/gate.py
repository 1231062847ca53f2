"""What decides that a rebase is ready: the proofs on the pristine release, and every check of the candidate."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from webui_fork.config import image_toml
from webui_fork.core import process
from webui_fork.core.errors import ToolError
from webui_fork.core.files import sha256_bytes
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
from webui_fork.oci import layout
from webui_fork.rebase.cherry_pick import Carried, Outcome
from webui_fork.rebase.report import Check
from webui_fork.series import apply, proofs
from webui_fork.series.patch import Patch
from webui_fork.series.proofs import ProofRun
from webui_fork.sources.interface import Difference

_LIMIT = 5400.0  # seconds for one step


@dataclass(frozen=True, slots=True)
class Step:
    """A check: its name, and the arguments of this Python."""

    name: str
    argv: tuple[str, ...]


FRONT_END = "upstream's front end"  # held against its sources, where the candidate is built from those
STEPS = (
    Step("lint", ("-m", "webui_fork", "patches", "lint")),
    Step("style", ("-m", "ruff", "check", ".")),
    Step("build", ("-m", "webui_fork", "build", "--locked", "--all")),
    Step(FRONT_END, ("-m", "webui_fork", "reproduce", "--upstream")),
    Step("unit tests", ("-m", "pytest", "-q", "tests/unit")),
    Step("proofs", ("-m", "pytest", "-q", "-n", "auto", "tests/integration/test_proofs.py")),
    Step(
        "integration",
        ("-m", "pytest", "-q", "-n", "auto", "tests/integration", "--ignore", "tests/integration/test_proofs.py"),
    ),
)


def run(candidate: Settings, ui: Terminal) -> tuple[tuple[Check, ...], str]:
    """Run every check in the candidate; those after the first failure do not run.

    Returns:
        The checks, and the digest of the image ("" where none was built).

    Raises:
        ToolError: Python itself could not be started. ImageError: the build left no image.
    """
    plain = proofs.environment(candidate.root, candidate.environ)
    signing = {**candidate.environ, **plain}  # the build signs, and runs no code but this tool's own
    if candidate.cosign_password:
        signing["COSIGN_PASSWORD"] = candidate.cosign_password.reveal()
    checks: list[Check] = []
    for step in STEPS:
        if step.name == FRONT_END and not _builds_front_end(candidate):
            continue
        if checks and not checks[-1].passed:
            checks.append(Check(step.name, None, 0.0))
            continue
        start = time.monotonic()
        with ui.step(step.name, f"Gate: {step.name}"):
            done = _step(candidate, step, signing if step.name == "build" else plain)
        last_line = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1:]
        failed = done.tail(25) if done.code else ""
        checks.append(Check(step.name, done.code == 0, time.monotonic() - start, failed or "".join(last_line)[:120]))
    built = any(check.name == "build" and check.passed for check in checks)
    return tuple(checks), layout.read_layout(candidate.out / "image").image.digest if built else ""


def differences(old: Settings, candidate: Settings, ui: Terminal) -> tuple[Difference, ...]:
    """Return how the candidate's images differ from those of the checkout; what can't be measured is no failure.

    Raises:
        ToolError: Python itself could not be started.
    """
    step = Step("old and new", ("tests/bench/bump.py", str(old.root)))
    with ui.step(step.name, "Comparing the new images with the old ones"):
        done = _step(candidate, step, proofs.environment(candidate.root, candidate.environ))
    try:
        return tuple(Difference(*row) for row in json.loads("" if done.code else done.stdout))
    except (ValueError, TypeError) as error:
        why = done.tail(1) if done.code else str(error)
    return (Difference("measure", "old and new images", "not compared", why),)


def _builds_front_end(candidate: Settings) -> bool:
    spec = image_toml.read(candidate.root / "images" / image_inputs.IMAGE)
    _, patches = apply.read_series(candidate.patches)
    return spec.front_end_of(path for patch in patches for path in patch.paths) is not None


def _step(candidate: Settings, step: Step, env: Mapping[str, str]) -> process.Completed:
    argv = [sys.executable, *step.argv]
    try:
        return process.run(argv, env=env, cwd=candidate.root, check=False, timeout=_LIMIT, group=True)
    except ToolError as error:  # it hangs
        return process.Completed(1, "", str(error))


GREEN, UNCLEAR = "green", "unclear"


def stock(candidate: Settings, ui: Terminal, patches: Sequence[Patch]) -> dict[str, tuple[str, str]]:
    """Run every proof on the pristine new release; return verdict and evidence for those that are not red there.

    Raises:
        ForkError: the image could not be built.
    """
    outcomes: dict[str, tuple[str, str]] = {}
    with (
        pipeline.laid_out(candidate, ui, ()) as tree,
        ui.step("stock", f"Running {len(patches)} proofs on the pristine release"),
        ThreadPoolExecutor(2) as pool,  # each has servers of its own, and mostly waits for them
    ):
        for patch, done in zip(patches, pool.map(lambda p: _run(candidate, p, tree), patches), strict=True):
            if done.green:
                outcomes[patch.name] = (GREEN, f"its proof is green on the pristine release ({done.ran} tests)")
            elif not done.red:
                outcomes[patch.name] = (UNCLEAR, "its proof does not run on the pristine release")
    return outcomes


def _run(candidate: Settings, patch: Patch, tree: Path) -> ProofRun:
    return proofs.run(candidate.checkout, patch.field("Proof"), tree, candidate.environ)


_PROVED = "its proof is red on the pristine release and green with it"
_DROPPED = "its proof is green without it, with the patches before it"


def proved(
    candidate: Settings,
    ui: Terminal,
    carried: Sequence[Carried],
    patches: Mapping[str, Patch],
    unclear: Mapping[str, tuple[str, str]],
    proved_before: tuple[str, ...],
) -> tuple[list[Carried], tuple[str, ...]]:
    """Prove what only the syntax tree could place, and what is dropped because the release has its text.

    What fails its proof becomes a conflict, and the patches after it are not looked at. The first has been seen red on
    the pristine release and is green with it, the second is green without it.

    Args:
        patches: those of before, by name.
        unclear: the patches whose proof is not red on the pristine release.
        proved_before: digests of the patches that were proved before, up to and with each.

    Returns:
        The rows, and what is known now.
    """
    rows: list[Carried] = []
    for row in carried:
        dropped = row.has_text
        if not dropped and (not row.needs_proof or row.patch is None):
            rows.append(row)
            continue
        patch, stack = row.patch or patches[row.name], [one.patch for one in (*rows, row) if one.patch]
        digest = sha256_bytes(b"".join(one.data for one in (*stack, patch)))
        right = replace(row, why=f"{row.why}; {_DROPPED}" if dropped else _PROVED)
        if digest in proved_before:
            rows.append(right)
            continue
        if row.name in unclear:
            rows.append(refused(row, f"only its proof could say whether it is right, and {unclear[row.name][1]}"))
            return rows, proved_before
        if not stack:  # the pristine release: its proof was red there
            rows.append(refused(row, "the release has its text, and its proof fails there"))
            return rows, proved_before
        doubt = "which the release seems to have" if dropped else "which only the syntax tree could place"
        with pipeline.laid_out(candidate, ui, stack) as tree, ui.step("proof", f"Proving {row.name}, {doubt}"):
            done = _run(candidate, patch, tree)
        if not done.green:
            last = "".join(done.output.strip().splitlines()[-1:])
            rows.append(refused(row, f"its proof fails {'without' if dropped else 'with'} it: {last}"))
            return rows, proved_before
        rows.append(right)
        proved_before = (*proved_before, digest)
    return rows, proved_before


def refused(row: Carried, why: str) -> Carried:
    """Turn what was carried, or dropped, into a conflict; what was carried stays as a proposal."""
    dropped = row.has_text
    files = tuple(
        replace(file, text=None, proposal=None if dropped else file.text, why=why)
        if file.needs_proof or dropped
        else file
        for file in row.files
    )
    return replace(row, outcome=Outcome.CONFLICT, patch=None, commit=None, files=files, why=why)
