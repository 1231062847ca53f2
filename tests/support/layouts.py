"""An OCI layout on disk, held against what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from webui_fork.core.errors import ImageError
from webui_fork.core.files import sha256_file
from webui_fork.oci.layout import blob_path
from webui_fork.oci.model import INDEX, Blob, descriptor, rows


def verify(root: Path) -> None:
    """Check every blob of a layout against its digest.

    Raises:
        ImageError: one is missing, short or altered.
    """

    def checked(value: Any) -> Path:
        wanted = descriptor(value)
        path = blob_path(root, wanted.digest)
        if not path.exists() or path.stat().st_size != wanted.size or sha256_file(path) != wanted.digest:
            raise ImageError(
                f"{path} is missing or does not match the digest in its name.",
                remedy="Delete out/ and run `nox -s build` again.",
            )
        return path

    for entry in rows(Blob(INDEX, (root / "index.json").read_bytes())):
        manifest = json.loads(checked(entry).read_bytes())
        for part in (manifest["config"], *manifest["layers"]):
            checked(part)
