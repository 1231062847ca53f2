from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

import packages
from packages import Member, file, folder, link
from webui_fork.config.image_tables import Base
from webui_fork.core.errors import ImageError
from webui_fork.rootfs import deb, debian, layers
from webui_fork.rootfs.layers import Entry

BASE = Base(
    kind="packages", suite="bookworm", include=(), user="webui", uid=1000,
    exclude=("/usr/share/doc/*", "/usr/share/man/*"),
)  # fmt: skip


@pytest.fixture
def unpacked(tmp_path: Path) -> Unpack:
    return Unpack(tmp_path)


class Unpack:
    """Makes systems of packages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, **members: list[Member]) -> dict[str, Entry]:
        read = []
        for name, inside in members.items():
            control = packages.CONTROL.replace("hello", name)
            path = packages.write(self.folder / f"{name}.deb", packages.parts(inside, control))
            read.append(deb.read(path, packages.deb(name), "amd64", self.folder))
        return {entry.path: entry for entry in debian.entries(read, BASE, "amd64")}


def test_usr_is_merged(unpacked: Unpack) -> None:
    inside = [
        folder("./bin"),
        file("./bin/sh", b"sh"),
        file("./usr/bin/env"),
        file("./lib64/ld.so"),
        link("./bin/x", "./bin/sh", tarfile.LNKTYPE),
    ]
    tree = unpacked(hello=inside)
    assert tree["bin"].link == "usr/bin"
    assert layers.content(tree["usr/bin/sh"]) == b"sh"
    assert tree["usr/bin/x"].link == "usr/bin/sh"
    assert tree["lib64"].link == "usr/lib64"
    assert "sbin" not in tree
    assert "bin/sh" not in tree
    assert "/bin/sh\n" in layers.content(tree["var/lib/dpkg/info/hello.list"]).decode(), "dpkg knows its own names"


def test_paths_are_left_out_but_not_the_way_to_a_copyright(unpacked: Unpack) -> None:
    tree = unpacked(
        hello=[
            file("./usr/share/man/man1/hello.1.gz"),
            file("./usr/share/doc/hello/changelog.gz"),
            file("./usr/share/doc/hello/copyright"),
            link("./usr/share/doc/libhello", "hello"),
        ]
    )
    assert [path for path in tree if path.startswith("usr/share/")] == [
        "usr/share/doc/hello/copyright",
        "usr/share/doc/libhello",
    ]


def test_nobody_becomes_somebody_else(unpacked: Unpack) -> None:
    members = packages.parts([file("./usr/bin/su"), folder("./var/mail")])
    read = deb.read(packages.write(unpacked.folder / "p.deb", members), packages.deb(), "amd64", unpacked.folder)
    entries = tuple(replace(entry, mode=entry.mode | 0o6000) for entry in read.entries)
    tree = {entry.path: entry for entry in debian.entries([replace(read, entries=entries)], BASE, "amd64")}
    assert tree["usr/bin/su"].mode == 0o644
    assert tree["var/mail"].mode == 0o2775


def test_what_the_scripts_of_base_packages_make(unpacked: Unpack) -> None:
    tree = unpacked(
        base=[
            file("./usr/share/base-passwd/passwd.master", b"root:*:0:0:root:/root:/bin/bash\n"),
            file("./usr/share/base-passwd/group.master", b"root:*:0:\n"),
            file("./usr/bin/mawk"),
            file("./usr/share/pam/common-auth", b"# first\n$auth_primary\n# then\n$auth_additional\n"),
            folder("./var/run"),
        ]
    )
    assert layers.content(tree["etc/passwd"]).decode().splitlines() == [
        "root:*:0:0:root:/root:/bin/bash", "webui:x:1000:0::/tmp:/usr/sbin/nologin",
    ]  # fmt: skip
    assert layers.content(tree["etc/group"]) == b"root:*:0:\n"
    assert (tree["usr/bin/awk"].link, tree["etc/alternatives/awk"].link) == ("/etc/alternatives/awk", "/usr/bin/mawk")
    assert "usr/bin/which" not in tree
    assert (
        layers.content(tree["etc/pam.d/common-auth"])
        == b"# first\nauth\t[success=1 default=ignore]\tpam_unix.so nullok\n# then\n"
    )
    assert (tree["var/run"].kind, tree["var/run"].link) == (tarfile.SYMTYPE, "/run")
    assert tree["tmp"].mode == 0o1777


def test_a_file_of_a_package_s_own_is_not_replaced_by_a_template(unpacked: Unpack) -> None:
    tree = unpacked(base=[file("./etc/profile", b"own"), file("./usr/share/base-files/profile", b"template")])
    assert layers.content(tree["etc/profile"]) == b"own"


def test_two_packages_may_share_a_folder_and_nothing_else(unpacked: Unpack) -> None:
    unpacked(one=[folder("./etc"), file("./etc/a")], two=[folder("./etc"), file("./etc/b")])
    with pytest.raises(ImageError, match="one and two both want the path /etc/a"):
        unpacked(one=[file("./etc/a", b"1")], two=[file("./etc/a", b"1")])
    with pytest.raises(ImageError, match="both want the path /usr/bin/a"):
        unpacked(one=[file("./bin/a")], two=[file("./usr/bin/a")])


def test_packages_are_ordered_by_name(unpacked: Unpack) -> None:
    status = layers.content(unpacked(zebra=[], ant=[])["var/lib/dpkg/status"]).decode()
    assert status.index("Package: ant") < status.index("Package: zebra")


def test_nothing_is_written_through_a_link(unpacked: Unpack) -> None:
    with pytest.raises(ImageError, match="/etc/x/passwd would stand below /etc/x, which is no folder"):
        unpacked(one=[link("./etc/x", "/var")], two=[file("./etc/x/passwd")])
