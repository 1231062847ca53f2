from __future__ import annotations

import json
from pathlib import Path

import pytest

from webui_fork.core.errors import ImageError
from webui_fork.image import layers
from webui_fork.oci import layout, model


def made(cache: Path, text: bytes = b"x") -> model.Image:
    blobs = cache / "blobs/sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    layer = layers.write([layers.file_entry("f", text)], cache / "l", 1)
    (cache / "l").rename(layout.blob_path(cache, layer.digest))
    return model.image(
        [model.NamedLayer("base", layer)],
        platform=("linux", "amd64"),
        created="2026-01-01T00:00:00Z",
        run={"Cmd": ["x"], "Env": ["A=b"]},
        annotations={"org.opencontainers.image.title": "ü"},
    )


def test_an_image_is_what_the_specification_says(tmp_path: Path) -> None:
    image = made(tmp_path)
    manifest = json.loads(image.manifest.data)
    config = json.loads(image.config.data)
    assert manifest["schemaVersion"] == 2
    assert manifest["config"] == {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": image.config.digest,
        "size": len(image.config.data),
    }
    assert [row["mediaType"] for row in manifest["layers"]] == ["application/vnd.oci.image.layer.v1.tar+gzip"]
    assert config["rootfs"] == {"type": "layers", "diff_ids": [image.layers[0].layer.diff_id]}
    assert len(config["history"]) == len(config["rootfs"]["diff_ids"])
    assert config["config"]["Labels"] == manifest["annotations"] == {"org.opencontainers.image.title": "ü"}
    assert (config["os"], config["architecture"]) == ("linux", "amd64")


def test_a_layout_verifies_and_forgets_old_blobs(tmp_path: Path) -> None:
    cache, root = tmp_path / "cache", tmp_path / "out"
    old, new = made(cache, b"old"), made(cache, b"new")
    layout.write_layout(root, "v1", old, cache)
    layout.verify_layout(root)
    layout.write_layout(root, "v2", new, cache)
    layout.verify_layout(root)
    assert json.loads((root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads((root / "index.json").read_text())["manifests"]
    assert entry["digest"] == new.digest
    assert entry["platform"] == {"os": "linux", "architecture": "amd64"}
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": "v2", "kind": "dev.cosignproject.cosign/image"}
    assert not layout.blob_path(root, old.digest).exists()
    assert layout.blob_path(cache, old.layers[0].layer.digest).exists()


@pytest.mark.parametrize("which", ["manifest", "config", "layer"])
def test_one_flipped_byte_is_found(tmp_path: Path, which: str) -> None:
    image = made(tmp_path / "cache")
    root = tmp_path / "out"
    layout.write_layout(root, "v1", image, tmp_path / "cache")
    digests = {"manifest": image.digest, "config": image.config.digest, "layer": image.layers[0].layer.digest}
    path = layout.blob_path(root, digests[which])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)
    with pytest.raises(ImageError, match="not what its name says"):
        layout.verify_layout(root)
