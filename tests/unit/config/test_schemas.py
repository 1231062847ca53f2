from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from webui_fork.config import image_toml, schemas
from webui_fork.core.settings import CHECKOUT

FOLDER = CHECKOUT / "docs/schemas"


@pytest.mark.parametrize("file", schemas.MODELS)
def test_the_schemas_are_those_of_the_models(file: str, tmp_path: Path) -> None:
    schemas.main(str(tmp_path))
    again = "PYTHONPATH=build python -m webui_fork.config.schemas docs/schemas"
    assert (FOLDER / file).read_text() == (tmp_path / file).read_text(), again


@pytest.mark.parametrize("image", sorted(path.name for path in (CHECKOUT / "images").iterdir()))
def test_each_description_names_its_schema(image: str) -> None:
    file = CHECKOUT / "images" / image / "image.toml"
    named = file.read_text().splitlines()[0].removeprefix("#:schema ")
    assert (file.parent / named).resolve() == FOLDER / f"image-{image_toml.kind(file.parent)}.json"
    known = json.loads((file.parent / named).read_text())
    document = known["$defs"][known["$ref"].rpartition("/")[2]]
    assert document["additionalProperties"] is False
    assert set(tomllib.loads(file.read_text())) <= set(document["properties"])
