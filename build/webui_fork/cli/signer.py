"""Whose signature counts: the arguments that say so."""

from __future__ import annotations

import argparse
from pathlib import Path

from webui_fork.core.errors import UsageError
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.sources import programs
from webui_fork.trust import keys as trust_keys
from webui_fork.trust.keys import Verifier


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say whose signature counts."""
    parser.add_argument("--key", metavar="FILE", help="the public key, or a KMS URI; default: as WEBUI_FORK_SIGN says")
    parser.add_argument("--identity", metavar="WHO", help="the keyless signer's identity; needs --issuer")
    parser.add_argument("--issuer", metavar="URL", help="the OIDC issuer of that identity")


def verifier(settings: Settings, arguments: argparse.Namespace, ui: Terminal) -> Verifier:
    """Return whose signature counts: as asked for, else our own signer's.

    Raises:
        UsageError: the arguments contradict each other. SigningError: the key is missing.
    """
    if bool(arguments.identity) != bool(arguments.issuer):
        raise UsageError("--identity and --issuer are only valid together.")
    if arguments.key and arguments.identity:
        raise UsageError("--key and --identity can't be combined.")
    key = existing_key(arguments.key) if arguments.key else None
    cosign = programs.find(settings, "cosign", ui)  # which may have to be fetched
    number = trust_keys.major(settings, cosign)
    if arguments.identity:
        return Verifier(cosign, number, None, arguments.identity, arguments.issuer)
    if key:
        return Verifier(cosign, number, key)
    return trust_keys.verifier(settings, cosign)


def existing_key(key: str) -> str:
    """Return a public key as cosign takes it.

    Args:
        key: a file, or a KMS URI.

    Raises:
        UsageError: there is no such file.
    """
    if "://" not in key and not Path(key).is_file():
        raise UsageError(f"The key {key} does not exist.", remedy="Name the public key's file, or a KMS URI.")
    return key
