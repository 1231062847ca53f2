"""Open a registry as the user's environment has it: scheme, certificates, credentials."""

from __future__ import annotations

from pathlib import Path

from webui_fork import credentials
from webui_fork.reference import Reference
from webui_fork.registry import Registry
from webui_fork.settings import Settings
from webui_fork.wire import TIMEOUT


def certificates(settings: Settings, registry: str) -> str | None:
    """Return the file of certificates to trust for a registry, where the user has one of their own."""
    for place in ("/etc/docker/certs.d", f"{settings.environ.get('HOME', '')}/.docker/certs.d"):
        file = Path(place) / registry / "ca.crt"
        if file.exists():
            return str(file)
    return settings.environ.get("SSL_CERT_FILE") or settings.environ.get("REQUESTS_CA_BUNDLE")


def connect(settings: Settings, reference: Reference, pause: float = 0.5) -> Registry:
    """Open the repository of a reference: over HTTPS, or plain HTTP where a registry on this machine has no TLS.

    Raises:
        RegistryError: its credentials can't be read, or its certificate is not trusted.
    """
    import requests

    ca = certificates(settings, reference.registry)
    scheme = "https"
    if reference.loopback:
        try:
            requests.get(f"https://{reference.host}/v2/", timeout=TIMEOUT, verify=ca or True, proxies={"https": ""})
        except requests.exceptions.SSLError as error:
            if "WRONG_VERSION_NUMBER" in str(error).upper() or "record layer" in str(error).lower():
                scheme = "http"
        except requests.RequestException:
            scheme = "http"
    known = credentials.of(settings, reference.registry)
    return Registry(f"{scheme}://{reference.host}", reference.repository, pause, known, ca, reference.registry)
