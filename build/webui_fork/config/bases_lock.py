"""`bases.lock`: the images in registries that the series goes on.

One variant a line: name, reference, digest. Only `nox -s lock -- --bases` writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from webui_fork.config import toml
from webui_fork.core.digest import Digest
from webui_fork.core.errors import LockError

_REMEDY = "Run `nox -s lock -- --bases`."
_ROW = re.compile(r"([a-z][a-z0-9]*) (\S+) (sha256:[0-9a-f]{64})")
_HEAD = "# The images that the series goes on. Written by `nox -s lock -- --bases`, by nothing else.\n"


def read(file: Path) -> dict[str, tuple[str, Digest]]:
    """Read a `bases.lock`: variant to its reference and digest; an absent file has none.

    Raises:
        LockError: a line is odd, or it can't be read.
    """
    bases = {}
    lines = toml.text_of(file, LockError, _REMEDY).splitlines() if file.exists() else []
    for number, line in enumerate(lines, 1):
        if line.startswith("#") or not line.strip():
            continue
        match = _ROW.fullmatch(line)
        if not match:
            raise LockError(f"{file}:{number}: is not `variant reference digest`.", remedy=_REMEDY)
        bases[match.group(1)] = (match.group(2), Digest(match.group(3)))
    return bases


def dump(rows: Iterable[tuple[str, str, str]]) -> str:
    """Return the lock's text, of rows of variant, reference and digest."""
    return _HEAD + "".join(f"{' '.join(row)}\n" for row in rows)
