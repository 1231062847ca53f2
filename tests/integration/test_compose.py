"""`deploy/compose.yaml` with the real Compose, from a clone in another folder to the first streamed token."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from docker import DockerClient

from containers import BYTECODE, Site, compiled, quick
from hosted import program
from integration.conftest import QUICK_VLLM
from sites import ADMIN
from streaming import first_token
from users import checkout
from webui_fork.core.settings import CHECKOUT
from webui_fork.oci.engine import Engine

UP = 1200.0  # seconds: a vLLM on a busy machine
QUICK = "compose.quick.yaml"  # JSON is YAML

pytestmark = pytest.mark.minutes(2)


@dataclass(frozen=True)
class Deployed:
    """A running deployment: its folder, Compose's environment, and an admin who signed up."""

    folder: Path
    env: dict[str, str]
    site: Site
    seconds: float

    def compose(self, *words: str) -> str:
        return compose(self.folder, self.env, *words)


def compose(folder: Path, env: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [str(program("docker-compose")), *words], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, patched: str, vllm_image: str) -> Path:
    """`deploy/` of a fresh clone, set up as the README says, and a file beside that makes a start quicker."""
    folder = checkout(tmp_path_factory.mktemp("clone")) / "deploy"
    subprocess.run(["./init.sh"], cwd=folder, check=True)
    services = {"webui": (BYTECODE, quick(patched)), "vllm-cpu": (QUICK_VLLM, compiled(vllm_image))}
    added = {
        name: {"environment": env, "volumes": [f"{path}:{at['bind']}:{at['mode']}" for path, at in mounts.items()]}
        for name, (env, mounts) in services.items()
    }
    (folder / QUICK).write_text(json.dumps({"services": added}))
    return folder


@pytest.fixture(scope="module")
def env(docker_engine: Engine, patched: str, vllm_image: str) -> dict[str, str]:
    """What a user sets: the images that were built here, the profile, a free port; and a proxy that is no good."""
    return {
        **os.environ,
        "DOCKER_HOST": docker_engine.host,
        "COMPOSE_PROJECT_NAME": f"webui-fork-{uuid.uuid4().hex[:8]}",
        "COMPOSE_FILE": f"compose.yaml:{QUICK}",
        "COMPOSE_PROFILES": "cpu",
        "WEBUI_IMAGE": patched,
        "VLLM_CPU_IMAGE": vllm_image,
        "WEBUI_LISTEN": f"127.0.0.1:{free_port()}",
        "WEBUI_HTTP_PROXY": "http://127.0.0.1:9",
        "WEBUI_HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:10",  # the shell's is none of the containers' business
    }


@pytest.fixture(scope="module")
def deployed(client: DockerClient, folder: Path, env: dict[str, str]) -> Iterator[Deployed]:
    start = time.monotonic()
    try:
        compose(folder, env, "up", "--detach", "--wait", "--wait-timeout", f"{UP:g}")
        url = f"http://{env['WEBUI_LISTEN']}"
        form = {"name": "Admin", "email": ADMIN, "password": uuid.uuid4().hex}
        answer = requests.post(f"{url}/api/v1/auths/signup", json=form, timeout=30)
        answer.raise_for_status()
        name = compose(folder, env, "ps", "--format", "{{.Name}}", "webui").strip()
        site = Site(
            container=client.containers.get(name), url=url, token=answer.json()["token"], password=form["password"]
        )
        yield Deployed(folder, env, site, time.monotonic() - start)
    finally:
        compose(folder, env, "down", "--volumes", "--timeout", "5")


def test_from_up_to_the_first_streamed_token(deployed: Deployed) -> None:
    assert deployed.site.models().ids == ["tiny"]
    start = time.monotonic()
    assert first_token(deployed.site, "tiny")
    told = {
        "up and signed up, s": round(deployed.seconds, 1),
        "to the first token, s": round(time.monotonic() - start, 2),
    }
    (CHECKOUT / "out").mkdir(exist_ok=True)
    (CHECKOUT / "out/compose.json").write_text(json.dumps(told) + "\n")


def test_secrets_are_files_and_nothing_else(deployed: Deployed, client: DockerClient) -> None:
    values = [file.read_text() for file in (deployed.folder / "secrets").iterdir() if file.stat().st_size]
    assert len(values) == 2
    rendered = deployed.compose("config")
    for name in deployed.compose("ps", "--format", "{{.Name}}").split():
        described = json.dumps(client.containers.get(name).attrs)
        assert not any(value in described + rendered for value in values)
    assert (deployed.folder / "secrets").stat().st_mode & 0o077 == 0


def test_vllm_wants_the_key(deployed: Deployed) -> None:
    code = "import urllib.request as r\nr.build_opener(r.ProxyHandler({})).open('http://vllm:8000/v1/models')"
    done = deployed.site.container.exec_run(["python3", "-c", code])
    assert b"401" in done.output


def test_every_container_is_hardened(deployed: Deployed, client: DockerClient) -> None:
    for name in deployed.compose("ps", "--format", "{{.Name}}").split():
        attrs = client.containers.get(name).attrs
        host = attrs["HostConfig"]
        assert (attrs["Config"]["User"], host["ReadonlyRootfs"], host["CapDrop"]) == ("1000:0", True, ["ALL"])
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
    ports = deployed.compose("ps", "--format", "{{.Publishers}}")
    assert ports.count("8080") == 1
    assert "127.0.0.1" in ports


def test_data_survives_down_and_up(deployed: Deployed) -> None:
    deployed.compose("rm", "--stop", "--force", "webui")
    deployed.compose("up", "--detach", "--wait", "webui")
    form = {"email": ADMIN, "password": deployed.site.password}
    requests.post(f"{deployed.site.url}/api/v1/auths/signin", json=form, timeout=30).raise_for_status()


def test_without_an_image_it_says_what_to_do(tmp_path: Path, env: dict[str, str]) -> None:
    bare = checkout(tmp_path / "clone") / "deploy"
    words = {key: value for key, value in env.items() if key not in ("WEBUI_IMAGE", "COMPOSE_FILE")}
    done = subprocess.run(
        [str(program("docker-compose")), "config"], cwd=bare, env=words, capture_output=True, text=True, check=False
    )
    assert done.returncode
    assert "./init.sh" in done.stderr


@pytest.mark.parametrize("profile", ["gpu", "cpu", ""])
def test_each_profile_is_well_formed(folder: Path, env: dict[str, str], profile: str) -> None:
    rendered = json.loads(compose(folder, {**env, "COMPOSE_PROFILES": profile}, "config", "--format", "json"))
    assert set(rendered["services"]) == {"webui", *({"gpu": ["models", "vllm"], "cpu": ["vllm-cpu"]}.get(profile, []))}
    if profile == "gpu":
        (device,) = rendered["services"]["vllm"]["deploy"]["resources"]["reservations"]["devices"]
        assert device["capabilities"] == ["gpu"]


def test_the_volume_for_weights_is_the_servers(folder: Path, env: dict[str, str], client: DockerClient) -> None:
    own = {**env, "COMPOSE_PROFILES": "gpu", "COMPOSE_PROJECT_NAME": f"{env['COMPOSE_PROJECT_NAME']}-gpu"}
    try:
        compose(folder, own, "run", "--rm", "models")
        volume = {f"{own['COMPOSE_PROJECT_NAME']}_models": {"bind": "/models", "mode": "rw"}}
        code = "import os; open('/models/x', 'w'); print(os.stat('/models').st_uid)"
        output = client.containers.run(
            env["WEBUI_IMAGE"], ["python3", "-c", code], user="1000:0", volumes=volume, remove=True, cap_drop=["ALL"]
        )
        assert output == b"1000\n"
    finally:
        compose(folder, own, "down", "--volumes")


def test_a_proxy_is_the_one_of_the_settings(folder: Path, env: dict[str, str]) -> None:
    rendered = json.loads(compose(folder, env, "config", "--format", "json"))
    for service in rendered["services"].values():
        given = service["environment"]
        assert given["HTTP_PROXY"] == given["http_proxy"] == "http://127.0.0.1:9"
        assert {"vllm", "localhost", "host.docker.internal"} <= set(given["NO_PROXY"].split(","))


def test_setting_up_twice_changes_nothing(folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in (folder / "secrets").iterdir()}
    (folder / ".env").write_text("MINE=1\n")
    subprocess.run(["./init.sh"], cwd=folder, check=True)
    assert {file.name: file.read_bytes() for file in (folder / "secrets").iterdir()} == before
    assert (folder / ".env").read_text() == "MINE=1\n"
