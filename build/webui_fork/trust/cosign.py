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
from webui_fork.core.files import ensure_folder, exclusive, sha256_file, temp_folder, write_atomic
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.core.text import printable
from webui_fork.frontend import statement

# cosign's words for predicate types, and the URI of one that it has no word for
SBOM, PROVENANCE, VEX = "cyclonedx", "slsaprovenance1", "openvex"
TESTS = statement.KIND

_LIMIT = 600.0  # seconds for one call of cosign
_WRONG = re.compile(r"decrypt|incorrect passphrase|invalid password|encrypted: ", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Signer:
    """How to sign: the program, its major version, and the key (a path or KMS URI; None: keyless)."""

    cosign: Path
    major: int
    key: str | None

    def verifier(self, settings: Settings) -> Verifier:
        """Return what verifies its signatures.

        Raises:
            SigningError: keyless, and whose signature to expect is not set.
        """
        if self.key:
            return Verifier(self.cosign, self.major, self.public_key)
        identity, issuer = _identity(settings)
        return Verifier(self.cosign, self.major, None, identity, issuer)

    @property
    def public_key(self) -> str | None:
        """What verifies: the public half beside a key file, or the KMS key itself."""
        if self.key and self.key.startswith("/"):
            return str(Path(self.key).with_suffix(".pub"))
        return self.key


@dataclass(frozen=True, slots=True)
class Verifier:
    """How to verify: the program, its major version, and a public key or a keyless identity with its issuer.

    ``ca`` is a file of certificates for the registry.
    """

    cosign: Path
    major: int
    key: str | None
    identity: str = ""
    issuer: str = ""
    ca: str | None = None

    @property
    def who(self) -> str:
        """Whose signature is accepted, in words."""
        return self.key or f"{self.identity} (by {self.issuer})"

    @property
    def options(self) -> list[str]:
        """Cosign's options for whose signature is accepted."""
        if self.key:
            options = ["--key", self.key, "--insecure-ignore-tlog=true"]
        else:
            options = ["--certificate-identity", self.identity, "--certificate-oidc-issuer", self.issuer]
        return [*options, "--new-bundle-format=false"] if self.major >= 3 else options

    def arguments(self, what: str) -> list[str]:
        """Return cosign's arguments for verifying a reference or a layout (`oci:FOLDER`)."""
        if what.startswith(LAYOUT):
            return [*self.options, "--local-image", what.removeprefix(LAYOUT)]
        return [*self.options, *_registry_arguments(what, self.ca), what]


def major(settings: Settings, cosign: Path) -> int:
    """Return cosign's major version, remembered by the file's time and size."""
    stamp = settings.cache / "tools" / f"cosign-{cosign.stat().st_mtime_ns}-{cosign.stat().st_size}"
    if stamp.exists():
        return int(stamp.read_text())
    version = _version(settings, cosign)
    write_atomic(stamp, str(version))
    return version


def _version(settings: Settings, cosign: Path) -> int:
    """Return cosign's major version; Debian's 2.5 says `devel`, which counts as 2."""
    output = process.run([cosign, "version"], env=settings.environ, check=False)
    match = re.search(r"GitVersion:\s*v?(\d+)\.", output.stdout + output.stderr)
    if match:
        return int(match.group(1))
    helped = process.run([cosign, "sign", "--help"], env=settings.environ, check=False)
    return 3 if "--use-signing-config" in helped.stdout + helped.stderr else 2


def signer(settings: Settings, cosign: Path, ui: Terminal) -> Signer:
    """Choose the key from the settings; the default key pair is made on first use.

    Raises:
        SigningError: the key is missing or can't be made. PassphraseError: see :func:`sign`.
    """
    number = major(settings, cosign)
    if settings.sign == "keyless":
        _identity(settings)  # before anything is signed: a public log does not forget
        return Signer(cosign, number, None)
    if settings.sign != "key":
        if settings.sign.startswith("/") and not Path(settings.sign).exists():
            raise SigningError(f"The key {settings.sign} does not exist.", remedy="Check WEBUI_FORK_SIGN.")
        return Signer(cosign, number, settings.sign)
    key = settings.config / "cosign.key"
    if not key.exists():
        ensure_folder(key.parent, mode=0o700)
        with exclusive(key.parent / ".lock", "the signing key", ui.say):
            if not key.exists():
                _make_key(settings, cosign, key, ui)
    return Signer(cosign, number, str(key))


def verifier(settings: Settings, cosign: Path) -> Verifier:
    """Return what verifies our own signer's work; needs the public half only, and makes nothing.

    Raises:
        SigningError: it is not there, or a keyless identity is not set.
    """
    number = major(settings, cosign)
    if settings.sign == "keyless":
        return Signer(cosign, number, None).verifier(settings)
    chosen = str(settings.config / "cosign.key") if settings.sign == "key" else settings.sign
    public = Signer(cosign, number, chosen).public_key
    if public and public.startswith("/") and not Path(public).is_file():
        raise SigningError(
            f"There is no public key at {public}.",
            remedy="Name whose signature should count: --key FILE, or --identity and --issuer.",
        )
    return Verifier(cosign, number, public)


def _make_key(settings: Settings, cosign: Path, key: Path, ui: Terminal) -> None:
    if key.with_suffix(".pub").exists():
        raise SigningError(
            f"{key} is missing, and its public half is there.",
            why="A new pair would replace the key that you trust.",
            remedy="Bring the private key back, or move the public one away.",
        )
    protected = "with the passphrase in COSIGN_PASSWORD" if settings.cosign_password else "without a passphrase"
    ui.say(f"Making a signing key on first use, {protected}: {key}")
    with temp_folder(key.parent, "key") as folder:
        process.run(
            [cosign, "generate-key-pair", "--output-key-prefix", "cosign"],
            env=_signing_env(settings),
            cwd=folder,
            doing="make a key pair",
        )
        (folder / "cosign.key").chmod(0o600)
        (folder / "cosign.pub").rename(key.with_suffix(".pub"))
        (folder / "cosign.key").rename(key)  # last: a key without its public half never exists


def _signing_env(settings: Settings) -> dict[str, str]:
    password = settings.cosign_password
    return {**_env(settings), "COSIGN_PASSWORD": password.reveal() if password else ""}


def _env(settings: Settings) -> dict[str, str]:
    env = dict(settings.environ)
    # the embedded registry is on loopback
    env["NO_PROXY"] = ",".join(filter(None, (env.get("NO_PROXY") or env.get("no_proxy"), "127.0.0.1")))
    env["no_proxy"] = env["NO_PROXY"]
    return env


def _needs_digest(ref: str) -> None:
    if reference.parse(ref).digest is None:
        raise SigningError(f"{ref} is a tag; only a reference by digest is signed or verified.")


def _registry_arguments(ref: str, ca: str | None = None) -> list[str]:
    plain = reference.parse(ref).loopback
    return [*(["--allow-http-registry"] if plain else []), *(["--registry-cacert", ca] if ca else [])]


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
    _signing(settings, signer, ["sign", *named, *_registry_arguments(ref, ca)], ref, "sign")


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
    argv = ["attest", *replace, "--type", kind, "--predicate", str(predicate), *_registry_arguments(ref, ca)]
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
        argv += ["--use-signing-config=false", "--new-bundle-format=false"]
    env = _signing_env(settings)
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


def _identity(settings: Settings) -> tuple[str, str]:
    identity, issuer = (settings.environ.get(f"WEBUI_FORK_{name}") for name in ("IDENTITY", "ISSUER"))
    if not identity or not issuer:
        raise SigningError(
            "A keyless signature can only be checked against an identity.",
            remedy="Set WEBUI_FORK_IDENTITY and WEBUI_FORK_ISSUER to the signer's identity and OIDC issuer.",
        )
    return identity, issuer


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a signature verifies; where none does, why not, in cosign's words."""

    verified: bool
    why: str = ""


def verify(settings: Settings, verifier: Verifier, what: str, digest: Digest | None = None) -> Verification:
    """Verify the signature of a reference by digest, or of a layout (`oci:FOLDER`).

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
        signed = {row["critical"]["image"]["docker-manifest-digest"] for row in json.loads(done.stdout)}
    except (ValueError, KeyError, TypeError):
        return Verification(False, "cosign verified something that is no signature of an image")
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
    return _answer(settings, [verifier.cosign, *arguments, *verifier.arguments(what)], what)


def _answer(settings: Settings, argv: list[str | Path], what: str) -> process.Completed:
    """Return what cosign says of a signature.

    Raises:
        SigningError: it says neither yes nor no.
    """
    try:
        done = process.run(argv, env=_env(settings), check=False, timeout=_LIMIT)
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
