"""Sign, attest and verify images with cosign, by digest only; and attest what is stated about a file.

The key's passphrase travels in the child's environment, never on a command line. Signatures and attestations are
kept as tags beside the image (`sha256-….sig`, `.att`), which every registry can store (docs/adr/0008-attestations.md).
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui_fork.config import reference
from webui_fork.config.reference import LAYOUT
from webui_fork.core import process
from webui_fork.core.digest import Digest
from webui_fork.core.errors import PassphraseError, SigningError, ToolError
from webui_fork.core.files import sha256_file, temp_folder
from webui_fork.core.settings import Settings
from webui_fork.core.text import printable
from webui_fork.frontend import statement
from webui_fork.trust import keys
from webui_fork.trust.keys import Signer, Verifier

# cosign's words for predicate types, and the URI of one that it has no word for
SBOM, PROVENANCE, VEX = "cyclonedx", "slsaprovenance1", "openvex"
TESTS = statement.KIND

# of a signature that is a tag, and of one that is a bundle
_SIGNATURES = ("cosign container image signature", "https://sigstore.dev/cosign/sign/v1")
_LIMIT = 600.0  # seconds for one call of cosign
_WRONG = re.compile(r"decrypt|incorrect passphrase|invalid password|encrypted: ", re.IGNORECASE)


def _needs_digest(ref: str) -> None:
    if reference.parse(ref).digest is None:
        raise SigningError(f"{ref} is a tag; only a reference by digest is signed or verified.")


def sign(settings: Settings, signer: Signer, ref: str, name: str = "", ca: str | None = None) -> None:
    """Sign an image reference by digest.

    With a key nothing is sent to a transparency log; keyless signing needs one and uses it.

    Args:
        name: what the signature calls the image; by default the reference's own name.
        ca: certificates for the registry.

    Raises:
        PassphraseError: the key needs a passphrase that COSIGN_PASSWORD lacks or has wrong.
        SigningError: cosign failed.
    """
    _needs_digest(ref)
    named = ["--sign-container-identity", name] if name else []
    _signing(settings, signer, ["sign", *named, *keys.registry_arguments(ref, ca)], ref, "sign")


def attest(
    settings: Settings,
    signer: Signer,
    ref: str,
    kind: str,
    predicate: Path,
    ca: str | None = None,
    *,
    beside: bool = False,
) -> None:
    """Attach a predicate to an image reference by digest, in place of those of the same type.

    Args:
        kind: cosign's word for its type. predicate: its file.
        beside: leave those of the same type.

    Raises:
        PassphraseError, SigningError: see :func:`sign`.
    """
    _needs_digest(ref)
    replace = [] if beside else ["--replace"]
    argv = ["attest", *replace, "--type", kind, "--predicate", str(predicate), *keys.registry_arguments(ref, ca)]
    _signing(settings, signer, argv, ref, "attest")


def attest_file(settings: Settings, signer: Signer, file: Path, name: str, kind: str, predicate: bytes) -> bytes:
    """Attest a predicate of a file; return the bundle that `cosign verify-blob-attestation` takes.

    Args:
        file: what the predicate is about. name: what the file is called.
        kind: cosign's word for the predicate's type, or its URI.

    Raises:
        PassphraseError: see :func:`sign`. SigningError: cosign failed, or its work does not verify.
    """
    digest, verifier = sha256_file(file).hex, signer.verifier(settings)
    with temp_folder(settings.cache / "tmp", "attest") as folder:
        (folder / "predicate").write_bytes(predicate)
        typed = ["--type", kind, "--bundle", str(folder / "bundle")]
        argv = ["attest-blob", *typed, "--predicate", str(folder / "predicate"), "--hash", digest]
        _signing(settings, signer, argv, name, "attest")
        checked: list[str | Path] = [verifier.cosign, "verify-blob-attestation", *typed, *verifier.options, file]
        done = _answer(settings, checked, name)
        if done.code:
            raise SigningError(f"{name} was attested, but {verifier.who} does not verify it.", why=_output_of(done))
        return (folder / "bundle").read_bytes()


def _signing(settings: Settings, signer: Signer, arguments: list[str], ref: str, doing: str) -> None:
    argv: list[str | Path] = [signer.cosign, *arguments, "--yes"]
    if signer.key:
        argv += ["--key", signer.key, "--tlog-upload=false"]
    if signer.major >= 3:
        argv += ["--use-signing-config=false", keys.OLD_FORMAT]
    env = keys.signing_environment(settings)
    done = process.run([*argv, ref], env=env, check=False, timeout=_LIMIT, doing=f"{doing} {ref}")
    if done.code == 0:
        return
    if signer.key and _WRONG.search(done.stderr):
        given = settings.cosign_password is not None
        raise PassphraseError(
            f"The passphrase of {signer.key} is {'wrong' if given else 'missing'}.",
            why="COSIGN_PASSWORD does not open it." if given else "COSIGN_PASSWORD is not set, and the key has one.",
            remedy="Set COSIGN_PASSWORD to the key's passphrase and run this again; what was built is kept.",
        )
    raise SigningError(
        f"cosign could not {doing} {ref}.", why=done.tail(), remedy="Check WEBUI_FORK_SIGN; what was built is kept."
    )


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a signature verifies; where none does, why not, in cosign's words."""

    verified: bool
    why: str = ""


def verify(settings: Settings, verifier: Verifier, what: str, digest: Digest | None = None) -> Verification:
    """Verify the signature of a reference by digest, or of a layout (`oci:FOLDER`).

    cosign 3 lists attestations, too, where signatures are bundles: they say something of an image, and vouch for none.

    Args:
        digest: what must have been signed; by default the reference's own. cosign and we might look at two things.

    Raises:
        SigningError: cosign can't be run.
    """
    expected = digest or _digest_of(what)
    done = _verify(settings, verifier, ["verify"], what)
    if done.code:
        return Verification(False, _output_of(done))
    try:
        rows = [row["critical"] for row in json.loads(done.stdout)]
        signed = {row["image"]["docker-manifest-digest"] for row in rows if row["type"] in _SIGNATURES}
    except (ValueError, KeyError, TypeError):
        return Verification(False, "cosign verified something that is no signature of an image")
    if not signed:
        return Verification(False, "it has attestations, and no signature")
    if expected not in signed:
        return Verification(False, f"the signature is of {', '.join(sorted(map(str, signed)))}")
    return Verification(True)


def _digest_of(what: str) -> Digest:
    digest = None if what.startswith(LAYOUT) else reference.parse(what).digest
    if digest is None:
        raise SigningError(f"{what} can't be verified without knowing which digest is meant.")
    return digest


@dataclass(frozen=True, slots=True)
class Attested:
    """The predicates of one type that verify, newest last, or why there is none."""

    predicates: tuple[Any, ...]
    why: str = ""


def attested(settings: Settings, verifier: Verifier, what: str, kind: str, digest: Digest | None = None) -> Attested:
    """Return the verified predicates of a type that a reference or a layout (`oci:FOLDER`) has.

    Args:
        digest: what they must be about; by default the reference's own.

    Raises:
        SigningError: cosign can't be run.
    """
    expected = (digest or _digest_of(what)).hex
    done = _verify(settings, verifier, ["verify-attestation", "--type", kind], what)
    if done.code != 0:
        return Attested((), _output_of(done))
    try:
        envelopes = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        statements = [json.loads(base64.b64decode(envelope["payload"])) for envelope in envelopes]
        about = [row for row in statements if expected in {subject["digest"]["sha256"] for subject in row["subject"]}]
        return Attested(
            tuple(row["predicate"] for row in about), "" if about else "the statements are of another image"
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return Attested((), "cosign verified something that is no in-toto statement")


def _verify(settings: Settings, verifier: Verifier, arguments: list[str], what: str) -> process.Completed:
    if not what.startswith(LAYOUT):
        _needs_digest(what)
    options = verifier.arguments(what)
    done = _answer(settings, [verifier.cosign, *arguments, *options], what)
    if done.code and verifier.bundles and keys.OLD_FORMAT in options and not what.startswith(LAYOUT):
        options.remove(keys.OLD_FORMAT)  # cosign 3 may have signed it in the form that is its own
        bundled = _answer(settings, [verifier.cosign, *arguments, *options], what)
        return done if bundled.code else bundled
    return done


def _answer(settings: Settings, argv: list[str | Path], what: str) -> process.Completed:
    """Return what cosign says of a signature.

    Raises:
        SigningError: it says neither yes nor no.
    """
    try:
        done = process.run(argv, env=keys.environment(settings), check=False, timeout=_LIMIT)
    except ToolError as error:
        raise SigningError(f"cosign could not verify {what}.", why=error.why) from error
    if done.code < 0:  # neither yes nor no: nothing is signed anew, and nothing is called bad
        raise SigningError(f"cosign was terminated by signal {-done.code} while it verified {what}.")
    return done


def _output_of(done: process.Completed) -> str:
    """Return the last line of what cosign said that says something."""
    lines = [
        line.removeprefix("Error: ") for line in printable(done.tail()).splitlines() if line and "WARNING" not in line
    ]
    words = [line for line in lines if not line.startswith(("main.go:", "error during command execution"))] or lines
    return words[-1] if words else f"exit code {done.code}"
