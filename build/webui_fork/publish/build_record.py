"""`out/build.json`: what a build made, and of what. Written by the build, read by the stages after it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal

import msgspec

from webui_fork.core import git
from webui_fork.core.errors import PublishError
from webui_fork.core.files import ensure_folder, write_atomic
from webui_fork.core.settings import Settings
from webui_fork.image import inputs as image_inputs
from webui_fork.image.inputs import Inputs
from webui_fork.image.pipeline import Built
from webui_fork.oci import layout
from webui_fork.trust import attestations
from webui_fork.trust.sign import Sealed

SCHEMA: Literal[2] = 2
FILE = "build.json"


class BuildRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A build: its image, what it was made of, and who signed it.

    ``head`` is the patched tree's commit, ``commit`` the checkout's ("": none), ``drift`` the Debian packages that are
    not the locked ones, ``inputs`` and ``statements`` are digests by name, ``key`` is what the signature verifies with.
    """

    schema: Literal[2]
    tag: str
    digest: str
    release: str
    head: str
    patches: list[str]
    layers: list[dict[str, str | int]]
    drift: list[str]
    inputs: dict[str, str]
    statements: dict[str, str]
    commit: str
    dirty: bool
    key: str


def record(settings: Settings, inputs: Inputs, built: Built, sealed: Sealed) -> None:
    """Write `image/` (an OCI layout, attestations included), SBOM, provenance and `build.json` to its folder.

    The next stage starts from them.

    Raises:
        CacheError: it can't be written.
    """
    out = ensure_folder(image_inputs.results(settings, inputs.spec))
    layout.write_layout(out / "image", inputs.tag, built.image, settings.cache, sealed.attached)
    assert sealed.statements.sbom is not None
    write_atomic(out / "sbom.cdx.json", sealed.statements.sbom)
    write_atomic(out / "provenance.json", sealed.statements.provenance)
    commit, dirty = git.checkout_state(settings)
    values = BuildRecord(
        schema=SCHEMA,
        tag=inputs.tag,
        digest=built.image.digest,
        release=built.tree.release,
        head=built.tree.head,
        patches=[patch.name for patch in inputs.patches],
        layers=[{"name": item.name, **asdict(item.layer)} for item in built.image.layers],
        drift=list(built.drift),
        inputs=dict(inputs.digests),
        statements=attestations.digests(sealed.statements),
        commit=commit,
        dirty=dirty,
        key=sealed.key,
    )
    write_atomic(out / FILE, msgspec.json.format(msgspec.json.encode(values), indent=2) + b"\n")


def read(out: Path, remedy: str = "Run `nox -s build -- --locked`, then `nox -s tests`.") -> BuildRecord:
    """Read what the last build left.

    Args:
        out: its folder.
        remedy: what to do where there is none.

    Raises:
        PublishError: nothing was built, or by another version of this tool.
    """
    try:
        return msgspec.json.decode((out / FILE).read_bytes(), type=BuildRecord)
    except (OSError, msgspec.MsgspecError) as error:
        raise PublishError("Nothing was built that could be published.", why=str(error), remedy=remedy) from error
