"""A second builder: publishing can ask for its signature on the same digest first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from webui_fork.config.reference import Reference
from webui_fork.core.digest import Digest
from webui_fork.core.errors import PublishError
from webui_fork.core.settings import Settings
from webui_fork.oci import connect
from webui_fork.trust import cosign
from webui_fork.trust.keys import Signer, Verifier


@dataclass(frozen=True, slots=True)
class Witness:
    """A second builder: its public key (a file or a KMS URI), and where it published what it built."""

    key: str
    place: Reference


def require(settings: Settings, signer: Signer, witness: Witness, digest: Digest) -> None:
    """Refuse to go on without the signature of a second builder.

    Args:
        settings: the environment.
        signer: the first one.
        witness: the second one.
        digest: what it must have signed.

    Raises:
        PublishError: there is none of that key for this digest, or it is the first builder's own key.
        SigningError: cosign can't be run.
    """
    own, place = signer.public_key, witness.place
    if own == witness.key or (own and _same_key(own, witness.key)):
        raise PublishError(f"{witness.key} is this builder's own key.", remedy="Name the public key of the second one.")
    ca = connect.certificates(settings, place.registry)
    verifier = Verifier(signer.cosign, signer.major, witness.key, ca=ca, bundles=True)
    signature = cosign.verify(settings, verifier, place.at(digest).pinned)
    if not signature.verified:
        raise PublishError(
            f"No second builder signed {digest}: {witness.key} does not verify it at {place}.",
            why=signature.why,
            remedy="Build the same commit there with `nox -s build -- --locked --arch all`, and publish it to that "
            "place. If the digest is another one there, `nox -s reproduce` names the layer and the file that differ.",
        )


def _same_key(one: str, other: str) -> bool:
    """Tell whether two files have the same key in them, whatever is around it; a KMS URI is no file."""
    files = [Path(key) for key in (one, other)]
    return all(file.is_file() for file in files) and len({_bare(file.read_bytes()) for file in files}) == 1


def _bare(pem: bytes) -> bytes:
    """Return what is between the marks of a PEM file, without white space (RFC 7468)."""
    inside = re.search(rb"-----BEGIN [^-]+-----(.*?)-----END", pem, re.DOTALL)
    return b"".join((inside.group(1) if inside else pem).split())
