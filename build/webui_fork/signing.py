"""Sign and verify images with cosign, by digest only.

The key's passphrase travels in the child's environment, never on a command line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from webui_fork import process
from webui_fork.errors import PassphraseError, SigningError, ToolError
from webui_fork.files import ensure_folder, exclusive, temp_folder, write_atomic
from webui_fork.settings import Settings
from webui_fork.terminal import Terminal

_BY_DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")
_WRONG = re.compile(r"decrypt|incorrect passphrase|invalid password|encrypted: ", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Signer:
    """How to sign: the program, its major version, and the key (a path or KMS URI; None: keyless)."""

    cosign: Path
    major: int
    key: str | None

    @property
    def public_key(self) -> str | None:
        """What verifies: the public half beside a key file, or the KMS key itself."""
        if self.key and self.key.startswith("/"):
            return str(Path(self.key).with_suffix(".pub"))
        return self.key


def _version(settings: Settings, cosign: Path) -> int:
    """Return cosign's major version; Debian's 2.5 says `devel`, which counts as 2."""
    said = process.run([cosign, "version"], env=settings.environ, check=False)
    match = re.search(r"GitVersion:\s*v?(\d+)\.", said.stdout + said.stderr)
    if match:
        return int(match.group(1))
    helped = process.run([cosign, "sign", "--help"], env=settings.environ, check=False)
    return 3 if "--use-signing-config" in helped.stdout + helped.stderr else 2


def signer(settings: Settings, cosign: Path, ui: Terminal) -> Signer:
    """Choose the key from the settings; the default key pair is made on first use.

    Raises:
        SigningError: the key is missing or can't be made. PassphraseError: see :func:`sign`.
    """
    stamp = settings.cache / "tools" / f"cosign-{cosign.stat().st_mtime_ns}-{cosign.stat().st_size}"
    if stamp.exists():
        major = int(stamp.read_text())
    else:
        major = _version(settings, cosign)
        write_atomic(stamp, str(major))
    if settings.sign == "keyless":
        _identity(settings)  # before anything is signed: a public log does not forget
        return Signer(cosign, major, None)
    if settings.sign != "key":
        if settings.sign.startswith("/") and not Path(settings.sign).exists():
            raise SigningError(f"The key {settings.sign} does not exist.", remedy="Check WEBUI_FORK_SIGN.")
        return Signer(cosign, major, settings.sign)
    key = settings.config / "cosign.key"
    if not key.exists():
        ensure_folder(key.parent, mode=0o700)
        with exclusive(key.parent / ".lock", "the signing key", ui.say):
            if not key.exists():
                _make_key(settings, cosign, key, ui)
    return Signer(cosign, major, str(key))


def _make_key(settings: Settings, cosign: Path, key: Path, ui: Terminal) -> None:
    protected = "with the passphrase in COSIGN_PASSWORD" if settings.cosign_password else "without a passphrase"
    ui.say(f"Making a signing key on first use, {protected}: {key}")
    with temp_folder(key.parent, "key") as folder:
        process.run(
            [cosign, "generate-key-pair", "--output-key-prefix", "cosign"],
            env=_env(settings),
            cwd=folder,
            doing="make a key pair",
        )
        (folder / "cosign.key").chmod(0o600)
        (folder / "cosign.pub").rename(key.with_suffix(".pub"))
        (folder / "cosign.key").rename(key)  # last: a key without its public half never exists


def _env(settings: Settings) -> dict[str, str]:
    password = settings.cosign_password
    env = {**settings.environ, "COSIGN_PASSWORD": password.reveal() if password else ""}
    # the embedded registry is on loopback
    env["NO_PROXY"] = ",".join(filter(None, (env.get("NO_PROXY") or env.get("no_proxy"), "127.0.0.1")))
    env["no_proxy"] = env["NO_PROXY"]
    return env


def _needs_digest(ref: str) -> None:
    if not _BY_DIGEST.fullmatch(ref):
        raise SigningError(f"{ref} is a tag; only a reference by digest is signed or verified.")


def _registry_arguments(ref: str) -> list[str]:
    return ["--allow-insecure-registry", "--allow-http-registry"] if ref.startswith("127.0.0.1:") else []


def sign(settings: Settings, signer: Signer, ref: str) -> None:
    """Sign an image reference by digest.

    With a key nothing is sent to a transparency log; keyless signing needs one and uses it.

    Raises:
        PassphraseError: the key needs a passphrase that COSIGN_PASSWORD lacks or has wrong.
        SigningError: cosign failed.
    """
    _needs_digest(ref)
    argv: list[str | Path] = [signer.cosign, "sign", "--yes", *_registry_arguments(ref)]
    if signer.key:
        argv += ["--key", signer.key, "--tlog-upload=false"]
        if signer.major >= 3:
            argv += ["--use-signing-config=false", "--new-bundle-format=false"]
    done = process.run([*argv, ref], env=_env(settings), check=False, doing="sign the image")
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
        f"cosign could not sign {ref}.", why=done.tail(), remedy="Check WEBUI_FORK_SIGN; what was built is kept."
    )


def _identity(settings: Settings) -> tuple[str, str]:
    identity, issuer = (settings.environ.get(f"WEBUI_FORK_{name}") for name in ("IDENTITY", "ISSUER"))
    if not identity or not issuer:
        raise SigningError(
            "A keyless signature can only be checked against an identity.",
            remedy="Set WEBUI_FORK_IDENTITY and WEBUI_FORK_ISSUER to the signer's identity and OIDC issuer.",
        )
    return identity, issuer


def verification_error(settings: Settings, signer: Signer, ref: str) -> str:
    """Verify a reference by digest with the public key.

    Keyless signatures are verified against the identity in WEBUI_FORK_IDENTITY and WEBUI_FORK_ISSUER.

    Returns:
        "" where a signature verifies, else what cosign said.

    Raises:
        SigningError: cosign can't be run, or the keyless identity is not set.
    """
    _needs_digest(ref)
    argv: list[str | Path] = [signer.cosign, "verify", *_registry_arguments(ref)]
    if signer.public_key:
        argv += ["--key", signer.public_key, "--insecure-ignore-tlog=true"]
        if signer.major >= 3:
            argv += ["--new-bundle-format=false"]
    else:
        identity, issuer = _identity(settings)
        argv += ["--certificate-identity", identity, "--certificate-oidc-issuer", issuer]
    try:
        done = process.run([*argv, ref], env=_env(settings), check=False)
    except ToolError as error:
        raise SigningError(f"cosign could not verify {ref}.", why=error.why) from error
    return "" if done.code == 0 else done.tail() or f"exit code {done.code}"
