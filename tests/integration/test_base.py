"""The base beside what mmdebstrap makes of the same packages: every difference is known, and has its reason."""

from __future__ import annotations

import re
import subprocess
import tarfile
from pathlib import Path

import pytest

import mmdebstrap
from helpers import Talk
from webui_fork.core.settings import Settings
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
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
    r"etc/rc[0-6S]\.d/.*hwclock.*|etc/systemd/system/timers\.target\.wants(/.*)?": "services: no init runs",
    r"etc/(environment|fstab|subuid|subgid|security/opasswd)": "empty files of login, mount and PAM",
    r"var/lib/pam(/.*)?": "what pam-auth-update remembers; the files it makes are there",
    r"var/lib/shells\.state": "what update-shells remembers",
    r"var/lib/dpkg/alternatives/.*": "what update-alternatives remembers; the links are there",
    r"var/lib/dpkg/(diversions|triggers/Unincorp)": "dash diverts bin/sh.distrib, which nobody has; an empty list",
    r"usr/local/lib/python3\.11(/dist-packages)?": "made by the layer of the Python packages",
    r"usr/share/doc/.*|usr/share/info/dir": "empty folders and links of documentation that is left out",
    r"var/lib/apt": "apt is not in the image",
}
# What only ours has.
ADDED = {
    r"etc/apt/apt\.conf\.d(/70debconf)?|var/cache/(debconf|ldconfig)": "debconf's and libc-bin's own",
}
# What differs.
CHANGED = {
    "etc/alternatives/pager": "the same program, by its path in /usr",
    "etc/ld.so.cache": "the same libraries, without the line that names a build of ldconfig",
    "etc/shells": "bash and dash add themselves; only a login would look",
}


@pytest.fixture(scope="module")
def ours(built: pipeline.Built, real: Settings) -> dict[str, mmdebstrap.Row]:
    return mmdebstrap.rows(layout.blob_path(real.cache, built.image.layers[0].layer.digest))


@pytest.fixture(scope="module")
def theirs(
    inputs: image_inputs.Inputs, built: pipeline.Built, real: Settings, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, mmdebstrap.Row]:
    spec, talk = inputs.spec, Talk()
    fetched = debian.obtain(real, spec, inputs.packaged.debian, talk, locked=False)
    assert fetched.debs == built.debs
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
    assert len(shared) > 3500
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
    assert len(expected) > 80
    assert libraries(ours["etc/ld.so.cache"]) == expected
