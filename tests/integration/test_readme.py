"""README as its readers use it: each block of shell in order, as typed, in a clone in another folder and a bare shell.

What a reader puts in (addresses, a token, their registry) is put in here, too; nothing else is changed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from docker import DockerClient

import throwaway
from hosted import program
from integration.conftest import Street
from integration.test_compose import free_port
from registries import registry
from seconds import until
from sites import ADMIN, Session
from users import User
from webui_fork.core import process
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.image import pipeline
from webui_fork.oci.engine import Engine
from webui_fork.publish import tested
from webui_fork.publish.tested import PassedImage

# it loads the image under its own name, as those do
pytestmark = [pytest.mark.group("test_bad_input"), pytest.mark.minutes(3)]
BLOCKS = re.findall(r"^```sh\n(.*?)^```", (CHECKOUT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
START, LOAD, DOCTOR, PULL = range(4)


@dataclass(frozen=True)
class Reader:
    """Somebody with a clone and a shell that has nothing of ours in it."""

    user: User
    env: dict[str, str]

    def types(self, text: str, replaced: Mapping[str, str] | None = None, code: int = 0) -> str:
        """Have the shell run what is typed, with words replaced; return what it prints."""
        for old, new in (replaced or {}).items():
            assert old in text, f"README no longer says {old!r}"
            text = text.replace(old, new)
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-c", text],
            cwd=self.user.root,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{text}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def reader(
    real: Settings, assembly: pipeline.Assembly, docker_engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Reader:
    assert assembly.parts  # what it is built from is in the cache that the reader's is a copy of
    folder = tmp_path_factory.mktemp("reader")
    user = User(folder / "user", real, warm=True)
    user.commit()
    python = f"{sys.base_prefix}/bin:{program('docker').parent}:/usr/sbin:/usr/bin:/sbin:/bin"
    place = {name: user.env[name] for name in ("WEBUI_FORK_CACHE", "WEBUI_FORK_CONFIG")}
    kept = {name: value for name, value in process.plain(os.environ).items() if not name.startswith("PYTHON")}
    return Reader(user, {**kept, **place, "PATH": python, "DOCKER_HOST": docker_engine.host, "TERM": "dumb"})


@pytest.fixture(scope="module")
def verified(reader: Reader) -> float:
    """Type the first of the two commands; return the seconds until the image is signed and verified."""
    start = time.monotonic()
    build, _ = BLOCKS[START].splitlines()
    text = reader.types(build)
    assert "verified" in text
    return time.monotonic() - start


@pytest.fixture(scope="module")
def site(reader: Reader, verified: float, client: DockerClient, street: Street) -> Iterator[Session]:
    """Type what loads and runs the image, then sign up in the browser's stead."""
    assert verified
    with throwaway.volume(client) as volume:
        port, name = free_port(), f"{volume}-readme"
        build, docker, rest = BLOCKS[LOAD].partition("docker run")
        reader.types(build)
        given = {
            "docker run --rm": f"docker run --rm --detach --name {name} --network {street.network}",
            "3000:": f"127.0.0.1:{port}:",
            "-v open-webui:": f"-v {volume}:",
            "your-vllm": "vllm",
        }
        reader.types(docker + rest, given)
        url = f"http://localhost:{port}"
        try:
            until(lambda: _answers(url), 300)
            form = {"name": "Admin", "email": ADMIN, "password": "of-this-test-alone"}
            answer = requests.post(f"{url}/api/v1/auths/signup", json=form, timeout=60)
            yield Session(url, answer.json()["token"])
        finally:
            client.containers.get(name).remove(force=True)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=5).ok
    except requests.RequestException:
        return False


def doctor(reader: Reader, site: Session, street: Street, code: int) -> str:
    street.vllm.reload()
    address = street.vllm.attrs["NetworkSettings"]["Networks"][street.network]["IPAddress"]
    given = {"OPEN_WEBUI_TOKEN=…": f"OPEN_WEBUI_TOKEN={site.token}", "http://localhost:3000": site.url}
    given["http://localhost:8000"] = f"http://{address}:8000"
    return reader.types(f"{BLOCKS[LOAD].splitlines()[0]}\n{BLOCKS[DOCTOR]}", given, code)


def test_the_two_commands_are_those_that_ci_runs() -> None:
    assert len(BLOCKS) == 4, "a block of README that this file does not type"
    _, tests = BLOCKS[START].splitlines()
    script = CHECKOUT / ".ci/run"
    assert not script.exists() or tests in script.read_text().splitlines()  # a clone of others may have none


def test_an_image_that_lists_models_and_a_named_cause(
    reader: Reader, verified: float, site: Session, street: Street
) -> None:
    assert street.model in site.models().ids
    assert "fix:" not in doctor(reader, site, street, 0)
    form = {"ENABLE_OPENAI_API": True, "OPENAI_API_BASE_URLS": ["http://vllm:8001/v1"]}
    form |= {"OPENAI_API_KEYS": [""], "OPENAI_API_CONFIGS": {}}
    site.call("POST", "/openai/config/update", json=form).raise_for_status()
    start = time.monotonic()
    assert "[refused]" in doctor(reader, site, street, 1)
    told = {
        "clone to a verified image, s": round(verified, 1),
        "to a named cause, s": round(time.monotonic() - start, 1),
    }
    (CHECKOUT / "out").mkdir(exist_ok=True)
    (CHECKOUT / "out/readme.json").write_text(json.dumps(told) + "\n")


def test_pull_verify_pin(
    reader: Reader, verified: float, assembly: pipeline.Assembly, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    assert verified
    user, activate = reader.user, BLOCKS[LOAD].splitlines()[0]
    own = Settings(user.root, user.cache, Path(user.env["WEBUI_FORK_CONFIG"]), False)
    tested.write(own, PassedImage(assembly.image.images[0].digest, assembly.tree.head, 1))
    with registry(request.getfixturevalue("program"), tmp_path / "registry") as host:
        reader.types(f"{activate}\nnox -s build -- --locked --arch all\nnox -s publish -- {host}/owner/open-webui")
        shutil.copy(own.config / "cosign.pub", user.root / "cosign.pub")
        up = {"docker compose up -d": f"{program('docker-compose')} config --quiet"}  # test_compose starts it
        text = reader.types(f"{activate}\n{BLOCKS[PULL]}", {"ghcr.io/OWNER": f"{host}/owner", **up})
    assert "BAD" not in text
    assert f"{host}/owner/open-webui@{assembly.image.digest}" in (user.root / "deploy/.env").read_text()
