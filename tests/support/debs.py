"""Debian packages and a lock of them, as a mirror that a test serves has them."""

from __future__ import annotations

from webui_fork.config import debian_lock, image_toml
from webui_fork.config.debian_lock import Deb
from webui_fork.core.files import sha256_bytes
from webui_fork.core.settings import CHECKOUT

SPEC = image_toml.read(CHECKOUT / "images/open-webui")
DATA = {name: name.encode() * 100 for name in ("alpha", "beta")}


def deb(name: str, version: str = "1.0-1") -> Deb:
    """Return the package that the mirror has as DATA."""
    return Deb(name, version, sha256_bytes(DATA[name]), len(DATA[name]), "main", f"pool/main/{name}_{version}.deb")


def lock_of(*debs: Deb) -> debian_lock.DebianLock:
    """Return a lock of packages for the image's own description."""
    return debian_lock.DebianLock("bookworm", "amd64", debian_lock.input_digest(SPEC.base), "20260101T000000Z", debs)
