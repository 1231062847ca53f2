"""What this tool states about upstream's wheel: whether its front end is what its sources give. Pure.

Sources: in-toto's Statement, version 1, and its predicate type test-result, version 0.1.
"""

from __future__ import annotations

import json

from webui_fork.config.image_tables import Frontend
from webui_fork.config.upstream_lock import Lock, PinnedFile
from webui_fork.core.errors import ReproduceError
from webui_fork.core.text import without_secrets
from webui_fork.frontend.changes import TAKEN, Changes

FILE, BUNDLE = "upstream-front-end.json", "upstream-front-end.bundle.json"  # below out/; the other one is signed
KIND = "https://in-toto.io/attestation/test-result/v0.1"
_NAME = "the front end is what the sources give"
_AGAIN = "Write it with `nox -s reproduce -- --upstream`."


def write(lock: Lock, spec: Frontend, built: Changes) -> bytes:
    """Return the statement's JSON.

    Args:
        lock: the release, of which the wheel is the subject.
        spec: with which Node.js it was built.
        built: how the result differs from the wheel.
    """
    programs = [
        {"name": spec.node, "digest": {"sha256": sha256}, "annotations": {"machine": machine}}
        for machine, sha256 in sorted(spec.sha256.items())
    ]
    tests = [f"{_NAME}: {built.same} files, and without {TAKEN}"]
    source = _resource(lock.sdist)
    if lock.git:
        source = {"uri": f"git+{without_secrets(lock.git.remote)}", "digest": {"gitCommit": lock.git.commit}}
    predicate = {
        "result": "FAILED" if built.files else "PASSED",
        "configuration": [source, *programs],
        "passedTests": [] if built.files else tests,
        "failedTests": [str(file) for file in built.files],
    }
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [_resource(lock.wheel)],
        "predicateType": KIND,
        "predicate": predicate,
    }
    return json.dumps(statement, indent=2).encode() + b"\n"


def predicate(data: bytes, lock: Lock) -> bytes:
    """Return the predicate of a statement that :func:`write` gave, to be signed.

    Args:
        data: the statement.
        lock: the release that it has to be about.

    Raises:
        ReproduceError: it is no such statement, or of another wheel.
    """
    try:
        document = json.loads(data)
        kind, subject, result = document["predicateType"], document["subject"], document["predicate"]["result"]
    except (ValueError, TypeError, KeyError) as error:
        raise ReproduceError(f"{FILE} is no in-toto statement.", why=str(error), remedy=_AGAIN) from None
    if (kind, subject) != (KIND, [_resource(lock.wheel)]) or result not in ("PASSED", "FAILED"):
        raise ReproduceError(f"{FILE} states nothing about {lock.wheel.name}.", remedy=_AGAIN)
    return json.dumps(document["predicate"]).encode()


def _resource(file: PinnedFile) -> dict[str, object]:
    return {"name": file.name, "digest": {"sha256": file.sha256}}
