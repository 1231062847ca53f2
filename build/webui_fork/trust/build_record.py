"""The record of a build, `out/build.json`, that later stages read."""

from __future__ import annotations

import json
from dataclasses import asdict

from webui_fork.core import git
from webui_fork.core.files import write_atomic
from webui_fork.core.settings import Settings
from webui_fork.image.inputs import Inputs
from webui_fork.image.pipeline import Built
from webui_fork.oci import layout
from webui_fork.trust import attestations
from webui_fork.trust.sign import Sealed


def record(settings: Settings, inputs: Inputs, built: Built, sealed: Sealed) -> None:
    """Write `out/image/` (an OCI layout, attestations included), SBOM, provenance and `out/build.json`.

    The next stage starts from them.

    Raises:
        CacheError: it can't be written.
    """
    layout.write_layout(settings.out / "image", inputs.tag, built.image, settings.cache, sealed.attached)
    assert sealed.statements.sbom is not None
    write_atomic(settings.out / "sbom.cdx.json", sealed.statements.sbom)
    write_atomic(settings.out / "provenance.json", sealed.statements.provenance)
    commit, dirty = git.checkout(settings)
    values = {
        "schema": 2,
        "tag": inputs.tag,
        "digest": built.image.digest,
        "release": built.tree.release,
        "head": built.tree.head,
        "patches": [patch.name for patch in inputs.patches],
        "layers": [{"name": item.name, **asdict(item.layer)} for item in built.image.layers],
        "drift": built.drift,
        "inputs": dict(inputs.digests),
        "statements": attestations.digests(sealed.statements),
        "commit": commit,
        "dirty": dirty,
        "key": sealed.key,
    }
    write_atomic(settings.out / "build.json", json.dumps(values, indent=2) + "\n")
