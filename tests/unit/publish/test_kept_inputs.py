from __future__ import annotations

from pathlib import Path

from webui_fork.core.digest import Digest
from webui_fork.oci.model import MANIFEST, Blob
from webui_fork.publish import kept_inputs
from webui_fork.publish.kept_inputs import InputFile

FILE = InputFile(Path("x"), "a.deb", "application/vnd.debian.binary-package", Digest.of_hex("1" * 64), 5)


def test_the_artifact_refers_to_the_image_and_names_each_file() -> None:
    image = Blob(MANIFEST, b"{}")
    value = kept_inputs.manifest(image, [FILE]).parsed()
    assert value["artifactType"] == kept_inputs.ARTIFACT
    assert value["subject"] == {"mediaType": MANIFEST, "digest": image.digest, "size": 2}
    # https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md#guidance-for-an-empty-descriptor
    assert value["config"]["digest"] == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    (layer,) = value["layers"]
    assert layer["annotations"] == {"org.opencontainers.image.title": "a.deb"}
    assert (layer["digest"], layer["size"]) == (FILE.digest, 5)
