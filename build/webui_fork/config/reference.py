"""References to images, as `docker pull` takes them. Pure.

Source: the grammar of the distribution project (reference package), OCI distribution-spec 1.1.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace

from webui_fork.core.digest import Digest
from webui_fork.core.errors import UsageError

_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
HUB = "docker.io"
LAYOUT = "oci:"  # before the folder of an OCI layout, where a reference could stand


@dataclass(frozen=True, slots=True)
class Reference:
    """An image's name: registry (host and port), repository, and a tag ("": none) or digest or both."""

    registry: str
    repository: str
    tag: str = ""
    digest: Digest | None = None

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    @property
    def pinned(self) -> str:
        """The name by digest.

        Raises:
            UsageError: it has none.
        """
        return f"{self.name}@{self.pinned_digest}"

    @property
    def pinned_digest(self) -> Digest:
        """Its digest.

        Raises:
            UsageError: it has none.
        """
        if self.digest is None:
            raise UsageError(f"{self} names no digest.", remedy="Write it as REGISTRY/NAME@sha256:….")
        return self.digest

    @property
    def target(self) -> str:
        """What a registry is asked for: the digest, else the tag."""
        return self.digest or self.tag or "latest"

    @property
    def host(self) -> str:
        """Where the registry's API answers."""
        return "registry-1.docker.io" if self.registry == HUB else self.registry

    @property
    def loopback(self) -> bool:
        """Tell whether the registry is on this machine, where plain HTTP is no risk."""
        return loopback(self.registry)

    def at(self, digest: Digest) -> Reference:
        """Return the same name with a digest."""
        return replace(self, digest=digest)

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def loopback(host: str) -> bool:
    """Tell whether a host, with or without a port, is this machine."""
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) and not host.endswith("]") else host
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name == "localhost"


def parse(text: str) -> Reference:
    """Parse `[REGISTRY/]NAME[:TAG][@DIGEST]`; without a registry it is Docker Hub, as Docker has it.

    Raises:
        UsageError: it is not a reference.
    """

    def refuse(why: str) -> UsageError:
        return UsageError(
            f"{text!r} is not a reference to an image: {why}.",
            remedy="Write REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:…, as ghcr.io/me/open-webui:v0.12.4-p17.",
        )

    rest, mark, named = text.partition("@")
    try:
        digest = Digest(named) if mark else None
    except ValueError:
        raise refuse("its digest is not sha256: and 64 hexadecimal digits") from None
    head, slash, tail = rest.partition("/")
    if slash and (head == "localhost" or any(sign in head for sign in ".:")):
        registry, rest = head, tail
    else:
        registry = HUB
    rest, mark, tag = rest.partition(":")
    if registry == HUB and "/" not in rest:
        rest = f"library/{rest}"
    if mark and not _TAG.fullmatch(tag):
        raise refuse(f"{tag!r} can't be a tag")
    if not _HOST.fullmatch(registry):
        raise refuse(f"{registry!r} can't be a host")
    if not _NAME.fullmatch(rest):
        raise refuse(f"{rest!r} can't be a repository's name (registries accept no capital letters)")
    return Reference(registry, rest, tag, digest)
