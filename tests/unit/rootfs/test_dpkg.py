from __future__ import annotations

from pathlib import Path

import pytest

import packages
from packages import file, folder
from webui_fork.core.errors import ArchiveError
from webui_fork.rootfs import deb, dpkg, layers


def database(*read: deb.Package) -> dict[str, str]:
    return {
        entry.path.removeprefix("var/lib/dpkg/"): layers.content(entry).decode()
        for entry in dpkg.entries(read, "amd64")
        if entry.content or not entry.path.endswith(("alternatives", "parts", "triggers", "updates"))
    }


def read(tmp_path: Path, name: str, fields: str = "", **files: bytes) -> deb.Package:
    control = f"Version: 1.0-1\nHomepage: none\nDescription: {name}\nPackage: {name}\nArchitecture: amd64\n{fields}"
    members = [folder("./etc/"), file("./etc/hello.conf", b"greeting\n")]
    path = packages.write(tmp_path / f"{name}.deb", packages.parts(members, control, files))
    return deb.read(path, packages.deb(name), "amd64", tmp_path)


def test_the_status_has_the_fields_in_dpkg_s_order(tmp_path: Path) -> None:
    hello = read(tmp_path, "hello", "Depends: libc6\n", conffiles=b"/etc/hello.conf\nremove-on-upgrade /etc/old.conf\n")
    assert database(hello)["status"] == (
        "Package: hello\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0-1\nDepends: libc6\n"
        "Conffiles:\n /etc/hello.conf da8d99c31836d7c044d48f43f0ea62af\nDescription: hello\nHomepage: none\n\n"
    )


def test_what_a_package_has_is_listed(tmp_path: Path) -> None:
    files = database(read(tmp_path, "hello", postinst=b"#!/bin/sh\n"), read(tmp_path, "libx", "Multi-Arch: same\n"))
    assert files["info/hello.list"] == "/.\n/etc\n/etc/hello.conf\n"
    assert files["info/libx:amd64.list"] == files["info/hello.list"]
    assert files["info/hello.postinst"] == "#!/bin/sh\n"
    assert files["arch"] == "amd64\n"
    assert files["info/format"] == "1\n"


def test_scripts_can_be_run_and_lists_can_not(tmp_path: Path) -> None:
    modes = {
        entry.path: entry.mode for entry in dpkg.entries([read(tmp_path, "hello", postinst=b"", md5sums=b"")], "amd64")
    }
    assert modes["var/lib/dpkg/info/hello.postinst"] == 0o755
    assert modes["var/lib/dpkg/info/hello.md5sums"] == 0o644


def test_a_trigger_is_no_way_out(tmp_path: Path) -> None:
    for name in (b"../../../etc/x", b"a/b", b""):
        with pytest.raises(ArchiveError, match="names a malformed trigger"):
            database(read(tmp_path, "hello", triggers=b"interest " + name))


def test_who_wants_to_know(tmp_path: Path) -> None:
    triggers = b"# a comment\ninterest-noawait /usr/share/fonts\ninterest ldconfig\nactivate-noawait ldconfig\n"
    files = database(
        read(tmp_path, "hello", triggers=triggers), read(tmp_path, "other", triggers=b"interest-noawait ldconfig\n")
    )
    assert files["triggers/File"] == "/usr/share/fonts hello/noawait\n"
    assert files["triggers/ldconfig"] == "hello\nother/noawait\n"
