"""What Go's readers and ours would read differently is refused."""

from __future__ import annotations

import json

import pytest

from webui_fork.core import strict_json


@pytest.mark.parametrize(
    "text",
    [
        '{"manifests": [], "manifests": []}',
        '{"a": {"b": 1, "b": 1}}',
        '{"Manifests": []}',
        '{"a": [{"mediatype": ""}]}',
        '{"manife\\u017fts": []}',  # the long s, which Go folds
        "",
        "[1] 2",
        '{"a": NaN',
        "\ufeff{}",
        '{"a": ',
    ],
)
def test_what_readers_would_read_differently(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        strict_json.loads(text.encode())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
def test_other_encodings(encoding: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        strict_json.loads('{"a": "ü"}'.encode(encoding))


def test_too_deep() -> None:
    with pytest.raises(ValueError, match="too deep"):
        strict_json.plain(b"[" * 100_000)
    with pytest.raises(ValueError, match="too deep"):
        strict_json.loads(b"[" * 100_000)


@pytest.mark.parametrize(
    "value",
    [
        {"manifests": [{"annotations": {"Size": "L", "size": "l"}}]},
        {"config": {"Labels": {"Version": "1", "Config": "x"}, "Env": ["OS=x"]}, "os": "linux"},
        [1, "x", None, 2.5],
    ],
)
def test_what_everybody_reads_alike(value: object) -> None:
    assert strict_json.loads(json.dumps(value).encode()) == value
