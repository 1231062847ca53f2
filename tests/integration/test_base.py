"""The base beside what mmdebstrap makes of the same packages: every difference is known, and has its reason."""

from __future__ import annotations

import re
import subprocess
import tarfile
from pathlib import Path

import pytest

import mmdebstrap
from helpers import Talk
from webui_fork.config import upstream_lock
from webui_fork.config.locked_image import Packaged
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import base as image_base
from webui_fork.image import inputs as image_inputs
from webui_fork.image.layer_cache import LayerCache
from webui_fork.oci import layout
from webui_fork.sources import debian

pytestmark = pytest.mark.minutes(1)

# What mmdebstrap leaves to its caller to throw away: of the building machine, or what an engine mounts over.
BUILD_STATE = re.compile(
    r"(dev|proc|sys|run|tmp|var/tmp|var/log|var/cache|var/lib/apt|etc/apt|var/lib/systemd)/.+"
    r"|etc/(machine-id|hostname|resolv\.conf|hosts|\.pwd\.lock|dpkg/dpkg\.cfg\.d/.*)"
    r"|var/lib/dpkg/(lock.*|triggers/Lock|.*-old|parts/.*)"
)
# What only mmdebstrap's result has.
ABSENT = {
    r"usr/(lib/python3\.11|share/python3)(/.*)?/__pycache__(/.*)?": "compiled modules",
    r"etc/python3(/debian_config)?|var/lib/python(/.*)?": "for compiling modules: nothing is compiled",
    r"etc/rc[0-6S]\.d/.*(hwclock|x11-common).*": "services: no init runs",
    r"etc/systemd/system/timers\.target\.wants(/.*)?": "services: no init runs",
    r"etc/(environment|fstab|subuid|subgid|security/opasswd)": "empty files of login, mount and PAM",
    r"var/lib/pam(/.*)?": "what pam-auth-update remembers; the files it makes are there",
    r"var/lib/shells\.state": "what update-shells remembers",
    r"var/lib/dpkg/alternatives/.*": "what update-alternatives remembers; the links are there",
    r"var/lib/dpkg/(diversions|triggers/Unincorp)": "dash diverts a file that nobody has; an empty list",
    r"usr/local/lib/python3\.11(/dist-packages)?": "made by the layer of the Python packages",
    r"usr/share/doc/.*|usr/share/info/dir": "empty folders and links of documentation that is left out",
    r"var/lib/apt": "apt is not in the image",
    r"usr/share/mime/.*": "the desktop's database of file types; Python and the server have their own",
    r"usr/lib/.*/gdk-pixbuf-2\.0/2\.10\.0/loaders\.cache": "the desktop's list of image loaders",
}
# What only ours has.
ADDED = {
    r"etc/apt/apt\.conf\.d(/70debconf)?|var/cache/(debconf|ldconfig)": "debconf's and libc-bin's own",
}
# What differs.
CHANGED = {
    "etc/alternatives/pager": "the same program, by its path in /usr",
    "etc/ld.so.cache": "the same libraries, without the line that names a build of ldconfig",
    "var/lib/dpkg/triggers/File": "the same rows, in another order",
    "etc/shells": "bash and dash add themselves; only a login would look",
}


@pytest.fixture(scope="module")
def packaged(real: Settings) -> Packaged:
    """The flavour with the most packages: it has those of the other."""
    return image_inputs.read_inputs(real, Terminal(), locked=True, flavour="full").packaged


@pytest.fixture(scope="module")
def ours(packaged: Packaged, real: Settings) -> dict[str, mmdebstrap.Row]:
    cache = LayerCache(real.cache, upstream_lock.read(real.lock_file).epoch, Terminal())
    layer, _ = image_base.base(real, packaged, cache, Terminal(), locked=True)
    return mmdebstrap.rows(layout.blob_path(real.cache, layer.layer.layer.digest))


@pytest.fixture(scope="module")
def theirs(packaged: Packaged, real: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, mmdebstrap.Row]:
    spec, talk = packaged.spec, Talk()
    fetched = debian.obtain(real, spec, packaged.debian, talk, locked=True)
    work = tmp_path_factory.mktemp("base")
    rows = mmdebstrap.rows(mmdebstrap.build(real, spec.base, spec.architecture, fetched, work, talk))
    return {path: row for path, row in rows.items() if not BUILD_STATE.fullmatch(path)}


def unexplained(paths: set[str], reasons: dict[str, str]) -> list[str]:
    return sorted(path for path in paths if not any(re.fullmatch(pattern, path) for pattern in reasons))


def test_nothing_is_absent_without_a_reason(ours: dict[str, mmdebstrap.Row], theirs: dict[str, mmdebstrap.Row]) -> None:
    assert unexplained(theirs.keys() - ours.keys(), ABSENT) == []
    assert unexplained(ours.keys() - theirs.keys(), ADDED) == []
    for pattern in ABSENT:
        assert any(re.fullmatch(pattern, path) for path in theirs.keys() - ours.keys()), f"no longer so: {pattern}"


def test_what_both_have_is_the_same(ours: dict[str, mmdebstrap.Row], theirs: dict[str, mmdebstrap.Row]) -> None:
    def comparable(row: mmdebstrap.Row) -> mmdebstrap.Row:
        kind, mode, *rest = row
        # nobody in a container of ours becomes somebody else
        return (kind, mode & 0o1777 if kind == tarfile.REGTYPE else mode, *rest)  # type: ignore[return-value]

    shared = ours.keys() & theirs.keys()
    assert len(shared) > 11000
    assert {path for path in shared if ours[path] != comparable(theirs[path])} == CHANGED.keys()


def test_the_loader_is_told_the_same(
    ours: dict[str, mmdebstrap.Row], theirs: dict[str, mmdebstrap.Row], tmp_path: Path
) -> None:
    def libraries(row: mmdebstrap.Row) -> list[str]:
        (tmp_path / "cache").write_bytes(row[-1])
        printed = subprocess.run(
            ["/sbin/ldconfig", "-p", "-C", tmp_path / "cache"], capture_output=True, text=True, check=True
        )
        return [line for line in printed.stdout.splitlines() if "=>" in line]

    expected = libraries(theirs["etc/ld.so.cache"])
    assert len(expected) > 300
    assert libraries(ours["etc/ld.so.cache"]) == expected
