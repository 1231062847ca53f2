from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import layouts
from registries import image_of
from webui_fork.core.digest import Digest
from webui_fork.core.errors import ImageError, VerifyError
from webui_fork.core.settings import Settings
from webui_fork.oci import layout, model, reader
from webui_fork.rootfs import layers
from webui_fork.trust import verify


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
    layouts.verify(root)
    layout.write_layout(root, "v2", new, cache)
    layouts.verify(root)
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
    with pytest.raises(ImageError, match="does not match the digest in its name"):
        layouts.verify(root)


def altered(tmp_path: Path, change: Callable[[list[dict[str, object]]], object]) -> Path:
    root = tmp_path / "layout"
    made = image_of(tmp_path / "cache", b"one")
    layout.write_layout(root, "v1", made, tmp_path / "cache")
    index = json.loads((root / "index.json").read_bytes())
    change(index["manifests"])
    (root / "index.json").write_text(json.dumps(index))
    return root


def other_kind(rows: list[dict[str, object]]) -> None:
    """Add an index beside the image: cosign would verify that one."""
    rows.insert(0, {**rows[0], "annotations": {"kind": "dev.cosignproject.cosign/imageIndex"}})


@pytest.mark.parametrize(
    "change",
    [
        other_kind,
        lambda rows: rows.append(dict(rows[0])),
        lambda rows: rows.clear(),
        lambda rows: rows[0].update(annotations=None),
        lambda rows: rows[0].update(digest="sha256:/dev/zero"),
        lambda rows: rows[0].update(digest=5),
        lambda rows: rows.append(5),
    ],
)
def test_a_layout_holds_one_image_and_nothing_that_leads_out_of_it(
    tmp_path: Path, change: Callable[[list[dict[str, object]]], object]
) -> None:
    with pytest.raises(ImageError):
        layout.read_layout(altered(tmp_path, change))


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ('"Manifests":[],', "would be read as 'manifests'"),
        ('"manife\u017fts":[],', "would be read as 'manifests'"),  # Go folds the long s, too
        ('"manifests":[],', "is there twice"),
        ('"annotations":{"a":"1","a":"2"},', "is there twice"),
        ('"annotations":{"Size":"L","size":"l"},', ""),  # keys of a map are anybody's
    ],
)
def test_a_key_is_read_alike_by_everybody(tmp_path: Path, key: str, words: str) -> None:
    """Containerd would import an image that was never verified."""
    root = altered(tmp_path, lambda rows: None)
    text = (root / "index.json").read_text()
    (root / "index.json").write_text("{" + key + text[1:])
    if not words:
        assert layout.read_layout(root).tag == "v1"
        return
    with pytest.raises(ImageError, match="JSON that readers would read in different ways") as caught:
        layout.read_layout(root)
    assert words in caught.value.why


def test_a_blob_s_keys_count_too() -> None:
    with pytest.raises(ImageError, match="JSON that readers would read in different ways"):
        model.Blob(model.MANIFEST, b'{"config":{"Digest":"sha256:0"},"layers":[]}').parsed()
    with pytest.raises(ImageError, match="JSON that readers would read in different ways"):
        model.Blob(model.MANIFEST, '{"layers":[]}'.encode("utf-16")).parsed()  # which Go does not read


@pytest.mark.parametrize("name", ["manifest.json", "repositories", "blobs/sha512", "blobs/x"])
def test_a_file_that_is_not_of_a_layout(tmp_path: Path, name: str) -> None:
    root = altered(tmp_path, lambda rows: None)
    (root / name).write_text("[]")
    with pytest.raises(ImageError, match="files that are not of an OCI layout") as caught:
        layout.read_layout(root)
    assert Path(name).name in caught.value.why


@pytest.mark.parametrize("text", ["", '{"imageLayoutVersion":"2.0.0"}'])
def test_a_layout_of_another_version(tmp_path: Path, text: str) -> None:
    root = altered(tmp_path, lambda rows: None)
    (root / "oci-layout").write_text(text)
    with pytest.raises(ImageError):
        layout.read_layout(root)


def test_a_damaged_last_layer_is_said(tmp_path: Path, private_settings: Settings) -> None:
    root = altered(tmp_path, lambda rows: None)
    read = layout.read_layout(root)
    blob = layout.blob_path(root, read.image.images[0].layers[-1].layer.digest)
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 255
    blob.unlink()
    blob.write_bytes(data)
    found = reader.LayoutReader(str(root), "v1", read.image.root, f"oci:{root}", read)
    with pytest.raises(VerifyError, match="can't be read"):
        verify._inside(private_settings, found, reader.image(found).images[0])


def indexed(tmp_path: Path) -> tuple[Path, model.Index]:
    cache, root = tmp_path / "cache", tmp_path / "layout"
    one = image_of(cache, b"one")
    words = {"created": "2026-01-01T00:00:00Z", "run": {}, "annotations": {}}
    other = model.image(one.layers, platform=("linux", "arm64"), **words)  # type: ignore[arg-type]
    index = model.index([one, other], {"org.opencontainers.image.title": "x"})
    layout.write_layout(root, "v1", index, cache)
    return root, index


def test_an_index_comes_back_with_all_its_images(tmp_path: Path, private_settings: Settings) -> None:
    root, index = indexed(tmp_path)
    read = layout.read_layout(root)
    assert (read.tag, read.image) == ("v1", index)
    assert layout.read_image(root) == index
    (row,) = json.loads((root / "index.json").read_text())["manifests"]
    assert row["annotations"]["kind"] == "dev.cosignproject.cosign/imageIndex"
    assert [entry["platform"] for entry in index.root.parsed()["manifests"]] == [
        {"os": "linux", "architecture": "amd64"},
        {"os": "linux", "architecture": "arm64"},
    ]
    with reader.opened(private_settings, f"oci:{root}") as store:
        assert reader.image(store) == index
        with pytest.raises(VerifyError, match="has no manifest"):
            store.manifest(Digest.of_hex("0" * 64))


@pytest.mark.parametrize("kind", ["image", "imageIndex"])
def test_an_index_is_called_one_and_an_image_is_not(tmp_path: Path, kind: str) -> None:
    """cosign goes by the kind, and we by the media type: they have to agree."""
    root = indexed(tmp_path)[0] if kind == "image" else altered(tmp_path, lambda rows: None)
    document = json.loads((root / "index.json").read_text())
    document["manifests"][0]["annotations"]["kind"] = f"dev.cosignproject.cosign/{kind}"
    (root / "index.json").write_text(json.dumps(document))
    with pytest.raises(ImageError, match="calls an index an image, or an image an index"):
        layout.read_layout(root)


@pytest.mark.parametrize("depth", [0, 2])
def test_an_index_has_images_and_no_index(tmp_path: Path, depth: int) -> None:
    root, index = indexed(tmp_path)
    inner = model.Blob(model.INDEX, model.canonical_json({"manifests": [index.root.descriptor()] if depth else []}))
    layout.blob_path(root, inner.digest).write_bytes(inner.data)
    document = json.loads((root / "index.json").read_text())
    document["manifests"][0] |= inner.descriptor()
    (root / "index.json").write_text(json.dumps(document))
    with pytest.raises(ImageError, match="index without an image" if not depth else "index of indexes"):
        layout.read_layout(root)
