"""The result of the tests as an in-toto predicate: which image was tested, with what, beside which vLLM. Pure.

Source: in-toto's predicate type test-result, version 0.1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webui_fork.core.digest import Digest

_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9]+")
_VLLM = "pkg:pypi/vllm@"
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+!]*")


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """A whole run of the tests.

    ``image`` is the digest of the image that was tested, ``platform`` what it is for, as `linux/amd64`; ``passed``
    says whether the run did, ``count`` how many tests passed, ``suites`` are their files; ``vllm`` is the version of
    the model server, "" where that is not known.
    """

    image: Digest
    platform: str
    passed: bool
    count: int
    suites: tuple[str, ...]
    vllm: str = ""


def write(result: SuiteResult) -> bytes:
    """Return the predicate's JSON."""
    image = {
        "name": "image",
        "digest": {"sha256": result.image.hex},
        "annotations": {"platform": result.platform, "passed": result.count},
    }
    server = [{"name": "vllm", "uri": _VLLM + result.vllm}] if result.vllm else []
    rows = {
        "result": "PASSED" if result.passed else "FAILED",
        "configuration": [image, *server],
        "passedTests": list(result.suites),
    }
    return json.dumps(rows).encode()


def read(predicate: Mapping[str, Any]) -> SuiteResult | None:
    """Read a predicate back; None where it is not one of this tool."""
    try:
        rows = {row["name"]: row for row in predicate["configuration"]}
        image, about = rows["image"]["digest"]["sha256"], rows["image"]["annotations"]
        result = SuiteResult(
            image=Digest.of_hex(image),
            platform=about["platform"],
            passed=predicate["result"] == "PASSED",
            count=about["passed"],
            suites=tuple(predicate["passedTests"]),
            vllm=rows.get("vllm", {}).get("uri", _VLLM).removeprefix(_VLLM),
        )
        sound = (
            _PLATFORM.fullmatch(result.platform)
            and type(about["passed"]) is int
            and about["passed"] > 0
            and isinstance(predicate["passedTests"], list)
            and all(isinstance(suite, str) and suite for suite in predicate["passedTests"])
            and (not result.vllm or _VERSION.fullmatch(result.vllm))
        )
        return result if sound else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
