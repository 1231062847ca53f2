from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from webui_fork.core.digest import Digest
from webui_fork.trust import suite_result
from webui_fork.trust.suite_result import SuiteResult

DIGEST = Digest.of_hex("a" * 64)
ABOUT = {"platform": "linux/amd64", "passed": 1}
RESULT = SuiteResult(DIGEST, "linux/amd64", True, 12, ("tests/a.py", "tests/b.py"), "0.13.0")


@pytest.mark.parametrize("result", [RESULT, replace(RESULT, vllm=""), replace(RESULT, passed=False, suites=())])
def test_a_result_is_read_back_as_it_was_written(result: SuiteResult) -> None:
    assert suite_result.read(json.loads(suite_result.write(result))) == result


def test_it_has_the_fields_of_the_specification() -> None:
    written = json.loads(suite_result.write(RESULT))
    assert written["result"] == "PASSED"
    assert written["passedTests"] == ["tests/a.py", "tests/b.py"]
    assert written["configuration"][0]["digest"] == {"sha256": "a" * 64}
    assert written["configuration"][1] == {"name": "vllm", "uri": "pkg:pypi/vllm@0.13.0"}
    assert json.loads(suite_result.write(replace(RESULT, passed=False)))["result"] == "FAILED"


@pytest.mark.parametrize(
    "change",
    [
        {"configuration": []},
        {"configuration": 5},
        {"configuration": [{"name": "image", "digest": {"sha256": "a"}, "annotations": ABOUT}]},
        {"passedTests": [5]},
        {"passedTests": "abc"},
        {"passedTests": [""]},
        {"passedTests": None},
    ],
)  # fmt: skip
def test_what_is_not_of_this_tool_is_none(change: dict[str, Any]) -> None:
    assert suite_result.read({**json.loads(suite_result.write(RESULT)), **change}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"platform": "linux"},
        {"platform": "linux/a\x1b"},
        {"count": True},
        {"count": 0},
        {"count": -4},
        {"vllm": "0.1\x1b[31m"},
    ],
)
def test_nothing_odd_is_read(change: dict[str, Any]) -> None:
    assert suite_result.read(json.loads(suite_result.write(replace(RESULT, **change)))) is None


@pytest.mark.parametrize("value", [None, [], 5, {}, {"result": "PASSED"}])
def test_another_predicate_is_none(value: Any) -> None:
    assert suite_result.read(value) is None
