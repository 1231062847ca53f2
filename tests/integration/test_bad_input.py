"""Bad input, end to end: each has its own exit code, words and a way on, and nothing half-written."""

from __future__ import annotations

import hashlib
import os
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from docker import DockerClient

from helpers import Server, file_server, hang_up, reply, sdist
from users import User, children
from webui_fork.config import upstream_lock
from webui_fork.core.files import sha256_bytes
from webui_fork.core.settings import Settings
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
from webui_fork.oci import engine
from webui_fork.oci.engine import Engine
from webui_fork.sources import download

pytestmark = pytest.mark.minutes(3)


@pytest.fixture
def user(tmp_path: Path, real: Settings, built: pipeline.Built) -> User:
    return User(tmp_path / "user", real, warm=True)


@contextmanager
def edited(path: Path, old: str, new: str) -> Iterator[None]:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    yield
    path.write_text(text)


def own_release(user: User, server: Server, archive: bytes, served: bytes) -> dict[str, str]:
    """Pin another release that an index on loopback serves; returns the environment that names the index."""
    pinned = upstream_lock.read(user.root / "upstream.lock")
    name = pinned.sdist.name
    text = (user.root / "upstream.lock").read_text().replace(pinned.sdist.sha256, hashlib.sha256(archive).hexdigest())
    (user.root / "upstream.lock").write_text(text.replace(f"size = {pinned.sdist.size}", f"size = {len(archive)}"))
    plain = file_server({f"/f/{name}": served})

    def answer(handler):  # type: ignore[no-untyped-def]
        if handler.path.startswith("/simple/"):
            reply(handler, 200, f'<!DOCTYPE html><a href="/f/{name}">{name}</a>'.encode(), Content_Type="text/html")
        else:
            plain(handler)

    server.answer = answer
    return {"UV_DEFAULT_INDEX": f"{server.url}/simple/", "NO_PROXY": "127.0.0.1"}


def test_a_wrong_sha256(user: User, server: Server, tmp_path: Path) -> None:
    good = sdist(tmp_path / "s", {"LICENSE": b"x"}).read_bytes()
    code, _, err = user.run("build", **own_release(user, server, good, bytes(len(good))))
    assert code == 5, err
    assert "is not the pinned file" in err


def test_a_truncated_download(user: User, server: Server, tmp_path: Path) -> None:
    good = sdist(tmp_path / "s", {"LICENSE": os.urandom(200_000)}).read_bytes()
    code, _, err = user.run("build", **own_release(user, server, good, good[:-100]))
    assert code == 4, err
    assert "of the pinned" in err or "the connection ended after" in err
    assert not download.cached(user.cache, sha256_bytes(good)).exists()


def test_a_tarball_that_climbs_out(user: User, server: Server, tmp_path: Path) -> None:
    evil = sdist(tmp_path / "s", {"LICENSE": b"x", "../../../evil": b"y"}).read_bytes()
    code, _, err = user.run("build", **own_release(user, server, evil, evil))
    assert code == 6, err
    assert "leads out of its tree" in err


def test_an_index_that_can_not_be_reached(user: User, server: Server, tmp_path: Path) -> None:
    good = sdist(tmp_path / "s", {"LICENSE": b"x"}).read_bytes()
    env = own_release(user, server, good, good)
    server.answer = hang_up
    code, _, err = user.run("build", **env)
    assert code == 4, err
    assert "package index" in err


def test_a_patch_that_does_not_apply(user: User, inputs: image_inputs.Inputs) -> None:
    name = "validate-provider-answers.patch"
    with edited(
        user.root / "patches" / name,
        " from open_webui.utils.misc import calculate_sha256",
        " from open_webui.utils.misc import calculate_sha255",
    ):
        code, _, err = user.run("build")
        assert code == 8, err
        assert f"patches/{name} does not apply: hunk 1 of backend/open_webui/routers/ollama.py" in err
        assert "from open_webui.utils.misc import calculate_sha256" in err
        code, out, err = user.run("patches", "apply", "--upto-failure")
        assert code == 0, err
        assert f"1 of {len(inputs.patches)} patches" in out
        code, out, err = user.run("patches", "export")
        assert code == 0, err
        assert f"Kept as they are, not applied yet: {name}" in out
        assert (user.root / "patches" / name).exists()


def test_a_lock_with_a_typing_error(user: User) -> None:
    with edited(user.root / "upstream.lock", "[release.sdist]", "[release.sdits]"):
        code, _, err = user.run("build")
    assert code == 3
    assert "upstream.lock:" in err


def test_a_package_lock_that_was_edited(user: User) -> None:
    with edited(user.root / "images/open-webui/requirements.lock", "aiohttp==3", "aiohttp==2"):
        code, _, err = user.run("build")
    assert code == 3
    assert "changed since upstream.lock was written" in err


def test_a_damaged_cache_is_noticed_and_heals(user: User, built: pipeline.Built) -> None:
    pinned = upstream_lock.read(user.root / "upstream.lock")
    wheel = download.cached(user.cache, pinned.wheel.digest)
    data = bytearray(wheel.read_bytes())
    data[len(data) // 2] ^= 1
    wheel.unlink()  # a hard link to the real cache's
    wheel.write_bytes(data)
    (application,) = (item.layer.digest for item in built.image.layers if item.name == "application")
    for record in (user.cache / "layers").iterdir():
        if application in record.read_text():  # what is made of it has to be made again
            record.unlink()
    code, _, err = user.run("build")
    assert code == 5, err
    assert "was damaged" in err
    assert not wheel.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_child_outlives_us(user: User, number: signal.Signals) -> None:
    with user.start("serve", "--port", "0") as child:
        assert child.stdout
        assert "Serving" in child.stdout.readline()
        (registry,) = children(child.pid)
        assert "registry" in Path(f"/proc/{registry}/cmdline").read_text()
        child.send_signal(number)
        child.communicate()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{registry}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{registry}").exists()


def test_what_is_served_is_changed_by_nobody(user: User) -> None:
    """Everybody on the machine reaches a loopback port."""
    with user.start("serve", "--port", "0") as child:
        assert child.stdout
        url = child.stdout.readline().split()[1]
        assert requests.get(f"{url}/v2/", timeout=10).status_code == 200
        for method, path in (("POST", "blobs/uploads/"), ("PUT", "manifests/v1"), ("DELETE", "manifests/v1")):
            assert requests.request(method, f"{url}/v2/open-webui/{path}", data=b"{}", timeout=10).status_code == 405
        child.send_signal(signal.SIGTERM)
        child.communicate()


def test_load_puts_the_image_into_the_engine(
    user: User, docker_engine: Engine, inputs: image_inputs.Inputs, built: pipeline.Built
) -> None:
    name = f"open-webui:{inputs.tag}"
    before = {tag for image in docker_engine.client.images.list() for tag in image.tags}
    if name in before and "/webui-fork-engine-" not in docker_engine.host:
        pytest.skip(f"the engine has {name} already, and it is not ours to replace")
    if name in before:  # a killed run left it in the private engine
        docker_engine.client.images.remove(name, force=True)
    code, out, err = user.run("build", "--load", DOCKER_HOST=docker_engine.host)
    assert code == 0, err
    try:
        assert docker_engine.client.images.get(name).id == built.image.config.digest
        assert f"docker run --rm -p 3000:8080 -v open-webui:/app/backend/data {name}" in out
    finally:
        docker_engine.client.images.remove(name)


def test_what_a_killed_run_left_in_a_private_engine_is_removed(client: DockerClient, patched: str) -> None:
    label = f"webui-fork-test-{uuid.uuid4().hex}"
    client.networks.create(label, labels={label: ""})
    client.volumes.create(label, labels={label: ""})
    options: dict[str, Any] = {"labels": {label: ""}, "network": label, "volumes": [f"{label}:/x"]}
    client.containers.run(patched, ["sleep", "600"], detach=True, **options)

    def left() -> int:
        kinds: tuple[Any, ...] = (client.containers, client.networks, client.volumes)
        return sum(len(kind.list(filters={"label": label})) for kind in kinds)

    assert left() == 3
    engine.sweep(client, label=label)
    assert left() == 0
