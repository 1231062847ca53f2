"""What this tool states about upstream's wheel: whether its front end is what its sources give. Pure.

Sources: in-toto's Statement, version 1, and its predicate type test-result, version 0.1.
"""

from __future__ import annotations

import json

from webui_fork.config.image_tables import Frontend
from webui_fork.config.upstream_lock import Lock, PinnedFile
from webui_fork.core.text import without_secrets
from webui_fork.frontend.changes import TAKEN, Changes

FILE = "upstream-front-end.json"  # below out/
_NAME = "the front end is what the sources give"


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
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "predicate": predicate,
    }
    return json.dumps(statement, indent=2).encode() + b"\n"


def _resource(file: PinnedFile) -> dict[str, object]:
    return {"name": file.name, "digest": {"sha256": file.sha256}}
