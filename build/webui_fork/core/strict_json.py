"""JSON that every reader reads alike. Pure.

Go's readers take a key whatever its case, and the last of two (encoding/json): what they see must be what we checked.
Sources: RFC 8259 4; Go's encoding/json, Unmarshal; OCI image-spec 1.1 (the names).
"""

from __future__ import annotations

import json
from typing import Any

# the names by which programs find their way through an index, a manifest and a configuration
_NAMES = (
    *("annotations", "architecture", "artifactType", "config", "created", "data", "diff_ids", "digest", "history"),
    *("imageLayoutVersion", "layers", "manifests", "mediaType", "os", "platform", "rootfs", "schemaVersion", "size"),
    *("subject", "type", "urls", "variant"),
)
_FOLDED = {name.casefold(): name for name in _NAMES}
_MAPS = frozenset({"annotations", "Labels"})  # their keys are anybody's, and no reader folds them


def loads(data: bytes) -> Any:
    """Return the value of a JSON document of somebody else's.

    Args:
        data: the document, in UTF-8.

    Raises:
        ValueError: it is none, is too deep, has a key twice, or a name of the specification in another case.
    """
    try:
        value = json.loads(data.decode(), object_pairs_hook=_once)
        _check(value)
    except RecursionError:
        raise ValueError("it is too deep") from None
    return value


def plain(data: bytes | str) -> Any:
    """Return the value of a JSON document of somebody else's, which no other program reads for us.

    Raises:
        ValueError: it is none, or too deep.
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it is too deep") from None


def items(value: Any) -> list[Any]:
    """Return a list of somebody else's document; an empty one where something else stands in its place."""
    return value if isinstance(value, list) else []


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return value


def _check(value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if (name := _FOLDED.get(key.casefold(), key)) != key:
                raise ValueError(f"the key {key!r} would be read as {name!r} by some programs, and not by others")
            if key not in _MAPS:
                _check(item)
    elif isinstance(value, list):
        for item in value:
            _check(item)
