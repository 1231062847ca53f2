"""Open a registry as the user's environment has it: scheme, certificates, credentials."""

from __future__ import annotations

from pathlib import Path

from webui_fork.config.reference import Reference
from webui_fork.core.errors import UsageError
from webui_fork.core.files import sha256_bytes, write_atomic
from webui_fork.core.settings import Settings
from webui_fork.oci import auth
from webui_fork.oci.registry import Registry
from webui_fork.oci.session import TIMEOUT


def certificates(settings: Settings, registry: str) -> str | None:
    """Return a file of certificates for a registry, where the user has one of their own: theirs and the public ones.

    Its token server, or where it keeps its blobs, may have a public certificate.

    Raises:
        UsageError: the file that the environment names can't be read.
    """
    places = ("/etc/docker/certs.d", f"{settings.environ.get('HOME', '')}/.docker/certs.d")
    ca = next((file for place in places if (file := Path(place) / registry / "ca.crt").exists()), None)
    named = settings.environ.get("SSL_CERT_FILE") or settings.environ.get("REQUESTS_CA_BUNDLE")
    if ca is None and not named:
        return None
    from certifi import where

    try:
        own = (ca or Path(str(named))).read_bytes()
    except OSError as error:
        raise UsageError(
            f"The certificates {ca or named} can't be read.", why=str(error), remedy="Check SSL_CERT_FILE."
        ) from error
    both = Path(where()).read_bytes() + b"\n" + own
    bundle = settings.cache / "certificates" / f"{sha256_bytes(both).hex}.pem"
    if not bundle.exists():
        write_atomic(bundle, both)
    return str(bundle)


def connect(settings: Settings, reference: Reference, pause: float = 0.5) -> Registry:
    """Open the repository of a reference: over HTTPS, or plain HTTP where a registry on this machine has no TLS.

    Raises:
        RegistryError: its credentials can't be read. UsageError: its certificates can't.
    """
    import requests

    from webui_fork.core import wire

    ca = certificates(settings, reference.registry)
    scheme = "https"
    if reference.loopback:
        try:
            where = f"https://{reference.host}/v2/"
            with wire.session() as http:
                http.get(where, timeout=TIMEOUT, verify=ca or True, proxies={"https": ""}, stream=True).close()
        except requests.exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" not in str(error):  # no TLS at all
                scheme = "http"
        except requests.RequestException:
            scheme = "http"
    credentials = auth.of(settings, reference.registry)
    return Registry(f"{scheme}://{reference.host}", reference.repository, pause, credentials, ca, reference.registry)
