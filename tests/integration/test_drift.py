"""The mirror has moved on: every Debian package of the image is one version ahead of the lock."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from docker import DockerClient

import drift
import shared
from containers import GOOD, site
from helpers import Talk
from users import User
from webui_fork.config import debian_lock, upstream_lock
from webui_fork.config.debian_lock import Deb
from webui_fork.core.errors import DriftError
from webui_fork.core.files import sha256_bytes
from webui_fork.core.settings import Settings
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
from webui_fork.oci.engine import Engine

LOCK = "images/open-webui/debian.lock"

# both load the image under its own name
pytestmark = [pytest.mark.group("test_bad_input"), pytest.mark.minutes(3)]


def older(deb: Deb) -> Deb:
    """Return the version before, which no mirror has."""
    digest = sha256_bytes(f"{deb.name} of before".encode())
    return replace(deb, version=f"{deb.version}~before", digest=digest, path=deb.path.replace(".deb", ".before.deb"))


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory, real: Settings, built: pipeline.Built) -> User:
    """A user whose lock has the packages of before."""
    user = User(tmp_path_factory.mktemp("behind"), real, warm=True)
    lock = debian_lock.read(user.root / LOCK)
    (user.root / LOCK).write_text(debian_lock.dump(replace(lock, debs=tuple(older(deb) for deb in lock.debs))))
    own = replace(real, root=user.root)
    pinned = upstream_lock.read(own.lock_file)
    upstream_lock.write(own.lock_file, replace(pinned, inputs=image_inputs.lock_inputs(own)))
    user.commit()
    return user


@pytest.fixture(scope="module")
def today(behind: User, real: Settings, built: pipeline.Built) -> str:
    """The digest of the image of the mirror's packages: the lock's own, unless the mirror has newer ones by now."""
    own = replace(real, root=behind.root)
    drifted = pipeline.build(own, image_inputs.read_inputs(own, Talk(), locked=False), Talk(), locked=False)
    assert (drifted.debs == built.debs) is (drifted.image.digest == built.image.digest)
    return str(drifted.image.digest)


def test_locked_is_strict(behind: User) -> None:
    code, _, err = behind.run("build", "--locked")
    assert code == DriftError.exit_code, err
    count = len(debian_lock.read(behind.root / LOCK).debs)
    assert f"The mirror no longer has {count} of {count} locked Debian packages" in err


def test_without_it_the_build_goes_on_and_says_what_drifted(behind: User, today: str) -> None:
    code, out, err = behind.run("build")
    assert code == 0, err
    assert "Debian packages are not the locked ones" in out
    assert "the image's digest WILL differ" in err
    assert today in out


@pytest.fixture(scope="module")
def settled(behind: User, real: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """A user of the checkout that the tests would run on."""
    folder, ui = tmp_path_factory.mktemp("run"), Talk()
    drift.settle(replace(real, root=behind.root), folder, ui)
    rows = drift.rows(folder)
    assert len(rows) == len(debian_lock.read(behind.root / LOCK).debs)
    assert all(row.startswith("open-webui: ") and "~before -> " in row for row in rows)
    before = os.environ.get("WEBUI_FORK_ROOT")
    os.environ["WEBUI_FORK_ROOT"] = str(folder / "checkout")
    try:
        user = User(tmp_path_factory.mktemp("settled"), real, warm=True)
        user.commit()
        yield user
    finally:
        os.environ.pop("WEBUI_FORK_ROOT")
        if before:
            os.environ["WEBUI_FORK_ROOT"] = before


def test_nothing_is_settled_where_nothing_drifted(real: Settings, tmp_path: Path) -> None:
    drift.settle(real, tmp_path, Talk())
    assert drift.rows(tmp_path) == ()
    assert not list(tmp_path.iterdir())


def test_the_whole_chain_on_the_packages_of_today(
    settled: User, today: str, docker_engine: Engine, client: DockerClient
) -> None:
    code, out, err = settled.run("build", "--locked", "--arch", "all")
    assert code == 0, err
    assert today in out  # which another checkout came to by itself
    code, _, err = settled.run("verify", "oci:out/image")
    assert code == 0, err
    tag = f"{upstream_lock.read(settled.root / 'upstream.lock').tag}-slim"
    code, _, err = settled.run("build", "--locked", "--load", DOCKER_HOST=docker_engine.host)
    assert code == 0, err
    try:
        with site(client, f"open-webui:{tag}", openai=[GOOD]) as running:
            assert "beside" in running.models().ids
    finally:
        client.images.remove(f"open-webui:{tag}", force=True)


def test_it_is_reproduced_from_its_commit_though_the_checkout_went_on(
    settled: User, real: Settings, inputs: image_inputs.Inputs, tmp_path: Path
) -> None:
    """With the front end, whose build takes minutes, where the one of this run is held against no other machine's."""
    user = User(tmp_path, real, warm=True)
    if drift.digest_of_elsewhere(inputs.tag, shared.folder()):
        user.without_front_end(real)
    user.commit()
    code, out, err = user.run("build", "--locked", "--arch", "all")
    assert code == 0, err
    (digest,) = re.findall(r"^digest +(sha256:\S+)$", out, re.MULTILINE)
    patch = next((user.root / "patches").glob("*.patch"))
    patch.write_bytes(patch.read_bytes() + b"\n")
    code, out, err = user.run("reproduce", "oci:out/image")
    assert code == 0, err
    assert out.rstrip().endswith("Identical.")
    assert out.count(digest) == 2
    assert "from       commit " in out
