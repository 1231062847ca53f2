"""JSON Schemas of the files that people edit or review: `python -m webui_fork.config.schemas FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec

from webui_fork.config.image_tables import PackagesDocument, RegistryDocument
from webui_fork.config.overrides import OverridesDocument
from webui_fork.config.policy import PolicyDocument
from webui_fork.config.toml import Table
from webui_fork.config.upstream_lock import LockDocument

MODELS: dict[str, tuple[str, type[Table]]] = {
    "image-packages.json": ("image.toml with a base of packages", PackagesDocument),
    "image-registry.json": ("image.toml with a base in a registry", RegistryDocument),
    "overrides.json": ("overrides.toml", OverridesDocument),
    "policy.json": ("policy.toml", PolicyDocument),
    "upstream-lock.json": ("upstream.lock", LockDocument),
}


def schema(file: str) -> str:
    """Return the text of a schema.

    Args:
        file: its name, as in MODELS.
    """
    title, model = MODELS[file]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    return json.dumps({**head, **msgspec.json.schema(model)}, indent=1) + "\n"


def main(folder: str) -> None:
    """Write all of them to a folder."""
    for file in MODELS:
        (Path(folder) / file).write_text(schema(file), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
