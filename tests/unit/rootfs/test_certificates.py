from __future__ import annotations

import pytest
import trustme

from webui_fork.core.errors import ArchiveError
from webui_fork.rootfs import certificates, layers
from webui_fork.rootfs.layers import Entry

SHARED = "usr/share/ca-certificates"


def tree(**authorities: bytes) -> dict[str, Entry]:
    return {
        f"{SHARED}/{name}.crt": layers.file_entry(f"{SHARED}/{name}.crt", data) for name, data in authorities.items()
    }


def test_without_authorities_there_is_nothing() -> None:
    assert not list(certificates.entries({"etc/x.crt": layers.file_entry("etc/x.crt", b"")}))


def test_a_bundle_a_list_and_links() -> None:
    one, two = (trustme.CA(organization_name=name).cert_pem.bytes() for name in ("One", "Two"))
    stripped = one.rstrip(b"\n")
    files = {
        entry.path: entry for entry in certificates.entries(tree(**{"m/Two_CA": two, "m/One CA (1), x": stripped}))
    }
    assert layers.content(files["etc/ssl/certs/ca-certificates.crt"]) == stripped + b"\n" + two
    listing = layers.content(files["etc/ca-certificates.conf"]).decode()
    assert [line for line in listing.splitlines() if not line.startswith("#")] == [
        "m/One CA (1), x.crt",
        "m/Two_CA.crt",
    ]
    links = {path.removeprefix("etc/ssl/certs/"): entry.link for path, entry in files.items() if entry.link}
    assert links.pop("One_CA_=1=__x.pem") == f"/{SHARED}/m/One CA (1), x.crt"
    assert links.pop("Two_CA.pem") == f"/{SHARED}/m/Two_CA.crt"
    assert sorted(links.values()) == ["One_CA_=1=__x.pem", "Two_CA.pem"]


def test_two_authorities_of_one_name_are_numbered() -> None:
    pem = trustme.CA().cert_pem.bytes()
    links = [entry.path for entry in certificates.entries(tree(a=pem, b=pem)) if entry.link]
    assert sorted(path[-2:] for path in links) == [".0", ".1", "em", "em"]


def test_a_file_that_is_no_certificate() -> None:
    with pytest.raises(ArchiveError, match=r"authority a\.crt is not a certificate"):
        list(certificates.entries(tree(a=b"nothing")))
