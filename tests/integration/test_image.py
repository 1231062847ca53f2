"""The image under a real Docker engine: who serves, what it keeps, how it stops."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import pytest
import requests
from docker import DockerClient
from docker.models.containers import Container

import throwaway
from containers import BYTECODE, START, quick, url_of, wait_for
from webui_fork.config import image_toml
from webui_fork.core import git
from webui_fork.core.errors import EngineError
from webui_fork.core.settings import Settings
from webui_fork.image import application, pipeline
from webui_fork.image import inputs as image_inputs
from webui_fork.oci import content, layout
from webui_fork.sources import archive

pytestmark = pytest.mark.minutes(2)

PORTS = {"8080/tcp": ("127.0.0.1", None)}


@pytest.fixture(scope="module")
def image(patched: str) -> str:
    return patched


@pytest.fixture(scope="module")
def webui(client: DockerClient, image: str) -> Iterator[Container]:
    with throwaway.container(client, image, healthy=START, ports=PORTS) as running:
        yield running


def file_of(running: Container, path: str) -> bytes:
    chunks, _ = running.get_archive(path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        file = tar.extractfile(tar.getmembers()[0])
        assert file
        return file.read()


def shell(running: Container, command: str, user: str = "") -> str:
    done = running.exec_run(["sh", "-c", command], user=user)
    assert isinstance(done.output, bytes)
    output = done.output.decode()
    assert done.exit_code == 0, output
    return output.strip()


def test_it_becomes_healthy_and_serves_its_page(webui: Container) -> None:
    page = requests.get(url_of(webui), timeout=10)
    assert page.status_code == 200
    assert "Open WebUI" in page.text


def test_it_serves_as_a_non_root_user_and_writes_only_its_data(webui: Container) -> None:
    assert shell(webui, "awk '/^(Uid|Gid)/{print $2}' /proc/1/status").split() == ["1000", "0"]
    assert shell(webui, "stat -c %u /app/backend/data/webui.db") == "1000"
    assert shell(
        webui, "find /app /usr -writable -not -path '/app/backend/data*' -not -type l | sort", "webui"
    ).split() == [
        "/app/backend/open_webui/static",
        *shell(webui, "find /app/backend/open_webui/static -mindepth 1 -writable | sort", "webui").split(),
    ]


def test_what_the_server_compiles_is_read_by_the_server_alone(webui: Container) -> None:
    """Its next start in this container finds it; root's Python, of `docker exec`, does not look there."""
    assert shell(webui, "find /var/cache/python -name 'main.cpython-311.pyc' -path '*open_webui*'")
    assert shell(webui, "echo ${PYTHONPYCACHEPREFIX:-unset} ${PYTHONUSERBASE:-unset}") == "unset unset"


def test_the_secret_key_is_in_the_data_and_not_in_the_image(
    real: Settings, built: pipeline.Built, webui: Container
) -> None:
    for item in built.image.layers:
        names = {info.name for info, _ in content.read_entries(layout.blob_path(real.cache, item.layer.digest))}
        assert not [name for name in names if "secret_key" in name]
    assert shell(webui, "test -s /app/backend/data/.webui_secret_key && echo kept") == "kept"


def test_licence_and_brand_are_the_release_s(real: Settings, built: pipeline.Built, webui: Container) -> None:
    repo = git.repository(real)
    for name in ("LICENSE", "LICENSE_HISTORY", "LICENSE_NOTICE"):
        assert file_of(webui, f"/app/{name}") == repo.read_file(built.source.commit, name)
    for name in ("favicon.png", "logo.png", "splash.png", "site.webmanifest"):
        released = repo.read_file(built.source.commit, f"static/static/{name}")
        assert released
        for place in ("/app/build/static", "/app/backend/open_webui/static"):
            assert file_of(webui, f"{place}/{name}") == released, (place, name)


def started(
    client: DockerClient, image: str, volumes: Mapping[str, dict[str, str]] | None = None, **options: Any
) -> AbstractContextManager[Container]:
    """Start it with half of the CPU."""
    mounts = {**(volumes or {}), **quick(image)}
    return throwaway.container(client, image, volumes=mounts, environment=BYTECODE, ports=PORTS, **options)


def test_it_ends_at_once_on_sigterm_even_with_a_client_connected(client: DockerClient, image: str) -> None:
    with started(client, image) as running:
        wait_for(url_of(running), running)
        with requests.get(f"{url_of(running)}/ws/socket.io/?EIO=4&transport=polling", stream=True, timeout=10):
            start = time.monotonic()
            running.stop(timeout=60)
            seconds = time.monotonic() - start
        assert running.wait()["StatusCode"] in (0, 143)  # it was not killed
        assert seconds < 30  # stock goes on for as long as the client does


@pytest.fixture
def mounts(client: DockerClient) -> Iterator[dict[str, dict[str, str]]]:
    with throwaway.volume(client) as name:
        yield {name: {"bind": "/app/backend/data", "mode": "rw"}}


def test_a_volume_that_root_wrote_keeps_working(
    client: DockerClient, image: str, mounts: dict[str, dict[str, str]]
) -> None:
    # stock serves as root: the same start without our entry point
    with started(client, image, mounts, entrypoint=["bash", "start.sh"]) as stock:
        wait_for(url_of(stock), stock)
        signup = {"name": "A", "email": "a@example.org", "password": "correct-horse-1"}
        requests.post(f"{url_of(stock)}/api/v1/auths/signup", json=signup, timeout=30).raise_for_status()
        assert shell(stock, "stat -c %u /app/backend/data/webui.db") == "0"
        stock.stop()
    with started(client, image, mounts) as ours:
        wait_for(url_of(ours), ours)
        signin = {key: signup[key] for key in ("email", "password")}
        requests.post(f"{url_of(ours)}/api/v1/auths/signin", json=signin, timeout=30).raise_for_status()
        assert shell(ours, "find /app/backend/data ! -uid 1000") == ""


def test_any_user_may_run_it(client: DockerClient, image: str) -> None:
    with started(client, image, user="12345:0") as running:
        wait_for(url_of(running), running)
        assert shell(running, "awk '/^Uid/{print $2}' /proc/1/status") == "12345"


def test_upstream_s_variables_keep_their_meaning(client: DockerClient, image: str) -> None:
    environment = {"PORT": "9999", "WEBUI_SECRET_KEY": "s3cret", "DATA_DIR": "/data"}
    ports = {"9999/tcp": ("127.0.0.1", None)}
    with throwaway.container(client, image, healthy=START, environment=environment, ports=ports) as running:
        assert shell(running, "stat -c %u /data/webui.db") == "1000"
        assert shell(running, "test -e /app/backend/data/.webui_secret_key || echo none") == "none"


def test_a_container_that_does_not_start_shows_its_log(client: DockerClient, image: str) -> None:
    bad = throwaway.container(client, image, healthy=60, environment={"DATABASE_URL": "nonsense://"})
    with pytest.raises(EngineError, match="did not become healthy") as caught, bad:
        pass
    assert "DATABASE_URL" in caught.value.why


def test_the_series_layers_hold_only_what_it_changes(
    real: Settings, inputs: image_inputs.Inputs, built: pipeline.Built
) -> None:
    top = {item.name: layout.blob_path(real.cache, item.layer.digest) for item in built.image.layers[-2:]}
    files, front_end = (
        {info.name for info, _ in content.read_entries(top[name]) if info.isreg()} for name in ("patches", "frontend")
    )
    paths = {path for patch in inputs.patches for path in patch.paths if not inputs.spec.builds(path)}
    own = {f"{application.PATCHES}/{name}" for name in ("series", *(patch.name for patch in inputs.patches))}
    assert files == {inputs.spec.place(path) for path in paths} | own
    with archive.wheel_files(built.source.wheel, inputs.lock.wheel.name, image_toml.BUILT_FRONT_END) as members:
        theirs = {f"app/build/{file.path}" for file in members}
    new = {name for name in front_end if name.endswith(".js")} - theirs
    assert {name for name in front_end - new if "/_app/immutable/" in name} == set()  # what is named by its content
    assert {"app/build/index.html"} <= front_end - new <= theirs
    # what imports the changed component, and what imports that: 210 of 828 chunks
    assert 0 < len(new) < 0.4 * len([name for name in theirs if name.endswith(".js")])
    assert not [info for info, _ in content.read_entries(top["frontend"]) if info.isdir()]
    folders = {info.name.rstrip("/") for info, _ in content.read_entries(top["patches"]) if info.isdir()}
    assert folders == {application.PATCHES, application.PATCHES.rpartition("/")[0]}  # none below is reset


def test_nothing_is_left_behind_after_ctrl_c(client: DockerClient, image: str) -> None:
    """Of what it made: other tests use the engine meanwhile."""
    names: list[str] = []

    def existing() -> list[str]:
        things = [*client.containers.list(all=True), *client.networks.list(), *client.volumes.list()]
        existing_names = {str(thing.attrs["Name"]).removeprefix("/") for thing in things}
        return [name for name in names if name in existing_names]

    def interrupted() -> None:
        with throwaway.network(client) as network, throwaway.volume(client) as name:
            mounts = {name: {"bind": "/data", "mode": "rw"}}
            with throwaway.container(client, image, network=network, volumes=mounts) as running:
                names.extend([network, name, str(running.name)])
                assert len(existing()) == 3
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert existing() == []
