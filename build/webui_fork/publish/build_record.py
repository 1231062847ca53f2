"""`out/build.json`: what a build made, and of what. Written by the build, read by the stages after it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal

import msgspec

from webui_fork.core import git
from webui_fork.core.digest import Digest, decode
from webui_fork.core.errors import PublishError
from webui_fork.core.files import ensure_folder, write_atomic
from webui_fork.core.settings import Settings
from webui_fork.image import inputs as image_inputs
from webui_fork.image.pipeline import Assembly
from webui_fork.oci import layout
from webui_fork.trust import attestations
from webui_fork.trust.attestations import Part, Statements
from webui_fork.trust.sign import Sealed

SCHEMA: Literal[3] = 3
FILE = "build.json"


class BuildRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A build: its image, what it was made of, and who signed it.

    ``digest`` is what the tag names, ``platforms`` are the images' digests by architecture: one, or those of an index.
    ``head`` is the patched tree's commit, ``commit`` the checkout's ("": none), ``drift`` the Debian packages that are
    not the locked ones, ``inputs`` and ``statements`` are digests by name, ``key`` is what the signature verifies with.
    """

    schema: Literal[3]
    tag: str
    digest: Digest
    platforms: dict[str, Digest]
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


def record(settings: Settings, assembly: Assembly, sealed: Sealed) -> None:
    """Write `image/` (an OCI layout, attestations included), SBOMs, provenance and `build.json` to its folder.

    The next stage starts from them.

    Raises:
        CacheError: it can't be written.
    """
    inputs, image, documents = assembly.inputs, assembly.image, sealed.statements.documents()
    out = ensure_folder(image_inputs.results(settings, inputs.spec))
    layout.write_layout(out / "image", inputs.tag, image, settings.cache, sealed.attached)
    for name, data in documents.items():
        write_atomic(out / name, data)
    for file in (*out.glob("sbom*.cdx.json"), *out.glob("provenance*.json")):
        if file.name not in documents:  # of a build for other platforms
            file.unlink()
    layers = {named.layer.digest: named for one in image.images for named in one.layers}
    commit, dirty = git.checkout_state(settings)
    values = BuildRecord(
        schema=SCHEMA,
        tag=inputs.tag,
        digest=image.digest,
        platforms={one.platform[1]: one.digest for one in image.images},
        release=assembly.tree.release,
        head=assembly.tree.head,
        patches=[patch.name for patch in inputs.patches],
        layers=[{"name": item.name, **asdict(item.layer)} for item in layers.values()],
        drift=list(assembly.drift),
        inputs=dict(inputs.digests),
        statements=attestations.digests(sealed.statements),
        commit=commit,
        dirty=dirty,
        key=sealed.key,
    )
    write_atomic(out / FILE, msgspec.json.format(msgspec.json.encode(values, enc_hook=str), indent=2) + b"\n")


def statements(out: Path, record: BuildRecord) -> Statements:
    """Return the predicates that a build wrote.

    Args:
        out: its folder.
        record: what it left beside them.

    Raises:
        OSError: a file is missing.
    """
    provenance = (out / "provenance.json").read_bytes()
    if len(record.platforms) == 1:
        return Statements(((out / "sbom.cdx.json").read_bytes(),), provenance)
    parts = []
    for architecture, digest in record.platforms.items():
        sbom = (out / f"sbom.{architecture}.cdx.json").read_bytes()
        own = (out / f"provenance.{architecture}.json").read_bytes()
        parts.append(Part(architecture, digest, Statements((sbom,), own)))
    return Statements(tuple(sbom for part in parts for sbom in part.statements.sboms), provenance, tuple(parts))


def read(out: Path, remedy: str = "Run `nox -s build -- --locked --arch all`, then `nox -s tests`.") -> BuildRecord:
    """Read what the last build left.

    Args:
        out: its folder.
        remedy: what to do where there is none.

    Raises:
        PublishError: nothing was built, or by another version of this tool.
    """
    try:
        return msgspec.json.decode((out / FILE).read_bytes(), type=BuildRecord, dec_hook=decode)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise PublishError("There is no build that could be published.", why=str(error), remedy=remedy) from error
