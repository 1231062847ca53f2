"""Whose signatures: which cosign, with what key or identity it signs, and which it accepts.

The key's passphrase travels in the child's environment, never on a command line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from webui_fork.config import reference
from webui_fork.config.reference import LAYOUT
from webui_fork.core import process
from webui_fork.core.errors import SigningError
from webui_fork.core.files import ensure_folder, exclusive, temp_folder, write_atomic
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal

OLD_FORMAT = "--new-bundle-format=false"  # of cosign 3: signatures are tags, and no bundles among the referrers


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

    ``ca`` is a file of certificates for the registry. ``bundles``: a signature that is a bundle counts, too.
    """

    cosign: Path
    major: int
    key: str | None
    identity: str = ""
    issuer: str = ""
    ca: str | None = None
    bundles: bool = False

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
        return [*options, OLD_FORMAT] if self.major >= 3 else options

    def arguments(self, what: str) -> list[str]:
        """Return cosign's arguments for verifying a reference or a layout (`oci:FOLDER`)."""
        if what.startswith(LAYOUT):
            return [*self.options, "--local-image", what.removeprefix(LAYOUT)]
        return [*self.options, *registry_arguments(what, self.ca), what]


def registry_arguments(ref: str, ca: str | None = None) -> list[str]:
    """Return cosign's arguments for the registry of a reference.

    Args:
        ref: the reference.
        ca: a file of certificates for the registry.
    """
    plain = reference.parse(ref).loopback
    return [*(["--allow-http-registry"] if plain else []), *(["--registry-cacert", ca] if ca else [])]


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
            remedy="Say whose signature is trusted: --key FILE, or --identity and --issuer.",
        )
    return Verifier(cosign, number, public)


def _make_key(settings: Settings, cosign: Path, key: Path, ui: Terminal) -> None:
    if key.with_suffix(".pub").exists():
        raise SigningError(
            f"The private key {key} is missing, but its public key is there.",
            why="A new pair would replace the key that you trust.",
            remedy="Bring the private key back, or move the public one away.",
        )
    protected = "with the passphrase in COSIGN_PASSWORD" if settings.cosign_password else "without a passphrase"
    ui.say(f"Making a signing key on first use, {protected}: {key}")
    with temp_folder(key.parent, "key") as folder:
        process.run(
            [cosign, "generate-key-pair", "--output-key-prefix", "cosign"],
            env=signing_environment(settings),
            cwd=folder,
            doing="make a key pair",
        )
        (folder / "cosign.key").chmod(0o600)
        (folder / "cosign.pub").rename(key.with_suffix(".pub"))
        (folder / "cosign.key").rename(key)  # last: a key without its public half never exists


def signing_environment(settings: Settings) -> dict[str, str]:
    """Return the environment in which cosign signs: with the key's passphrase."""
    password = settings.cosign_password
    return {**environment(settings), "COSIGN_PASSWORD": password.reveal() if password else ""}


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment in which cosign verifies."""
    env = dict(settings.environ)
    # the embedded registry is on loopback
    env["NO_PROXY"] = ",".join(filter(None, (env.get("NO_PROXY") or env.get("no_proxy"), "127.0.0.1")))
    env["no_proxy"] = env["NO_PROXY"]
    return env


def _identity(settings: Settings) -> tuple[str, str]:
    identity, issuer = (settings.environ.get(f"WEBUI_FORK_{name}") for name in ("IDENTITY", "ISSUER"))
    if not identity or not issuer:
        raise SigningError(
            "A keyless signature can only be checked against an identity.",
            remedy="Set WEBUI_FORK_IDENTITY and WEBUI_FORK_ISSUER to the signer's identity and OIDC issuer.",
        )
    return identity, issuer
