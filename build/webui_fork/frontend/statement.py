"""What this tool states about upstream's wheel: whether its front end is what its sources give. Pure.

Sources: in-toto's Statement, version 1, and its predicate type test-result, version 0.1.
"""

from __future__ import annotations

import json
import re

from webui_fork.config.image_tables import Frontend
from webui_fork.config.upstream_lock import Lock, PinnedFile
from webui_fork.core.errors import ReproduceError
from webui_fork.core.text import without_secrets
from webui_fork.frontend.changes import TAKEN, Changes

FILE, BUNDLE = "upstream-front-end.json", "upstream-front-end.bundle.json"  # below out/; the bundle has its signature
KIND = "https://in-toto.io/attestation/test-result/v0.1"
_NAME = "the front end is what the sources give"
_PASSED = re.compile(rf"{_NAME}: ([1-9][0-9]{{0,6}}) files, and without {TAKEN}")
_DIFFERS = re.compile(r"[ -~]{1,300} \((added|gone|changed)\)")
_AGAIN = "Write it with `nox -s reproduce -- --upstream`."


def write(lock: Lock, spec: Frontend, built: Changes) -> bytes:
    """Return the statement's JSON.

    Args:
        lock: the release, of which the wheel is the subject.
        spec: with which Node.js it was built.
        built: how the result differs from the wheel.
    """
    return json.dumps(_statement(lock, spec, built.same, list(map(str, built.files))), indent=2).encode() + b"\n"


def predicate(data: bytes, lock: Lock, spec: Frontend) -> bytes:
    """Return the predicate of a statement that :func:`write` gave, to be signed: nothing else is.

    Args:
        data: the statement, as a job that ran upstream's code left it.
        lock: the release that it has to be about.
        spec: the Node.js that it has to name.

    Raises:
        ReproduceError: it is no such statement, or of another release.
    """
    try:
        document = json.loads(data)
        rows = document["predicate"]
        same = [int(match[1]) for match in map(_PASSED.fullmatch, rows["passedTests"]) if match]
        differing = [name for name in rows["failedTests"] if _DIFFERS.fullmatch(name)]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ReproduceError(f"{FILE} is no statement of this tool.", why=str(error), remedy=_AGAIN) from None
    if len(same) != (0 if differing else 1) or document != _statement(lock, spec, sum(same), differing):
        raise ReproduceError(
            f"{FILE} is not what this tool states about {lock.wheel.name}.",
            why="It is about another release or another Node.js, or it was changed.",
            remedy=_AGAIN,
        )
    return json.dumps(rows).encode()


def _statement(lock: Lock, spec: Frontend, same: int, differing: list[str]) -> dict[str, object]:
    programs = [
        {"name": spec.node, "digest": {"sha256": sha256}, "annotations": {"machine": machine}}
        for machine, sha256 in sorted(spec.sha256.items())
    ]
    source = _resource(lock.sdist)
    if lock.git:
        source = {"uri": f"git+{without_secrets(lock.git.remote)}", "digest": {"gitCommit": lock.git.commit}}
    predicate = {
        "result": "FAILED" if differing else "PASSED",
        "configuration": [source, *programs],
        "passedTests": [] if differing else [f"{_NAME}: {same} files, and without {TAKEN}"],
        "failedTests": differing,
    }
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [_resource(lock.wheel)],
        "predicateType": KIND,
        "predicate": predicate,
    }


def _resource(file: PinnedFile) -> dict[str, object]:
    return {"name": file.name, "digest": {"sha256": file.sha256}}
