"""The image as a security team runs it: nothing writable, no capability, no way up, any user."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from docker import DockerClient
from docker.models.containers import Container

import throwaway
from containers import BYTECODE, START, quick, wait_for, wait_for_log
from webui_fork.core import git
from webui_fork.core.errors import EngineError
from webui_fork.core.settings import Settings
from webui_fork.image import pipeline

pytestmark = pytest.mark.minutes(1)

HARDENED: dict[str, Any] = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "tmpfs": {"/tmp": ""},
    "ports": {"8080/tcp": ("127.0.0.1", None)},
}


def run(running: Container, command: str) -> str:
    done = running.exec_run(["sh", "-c", command])
    assert isinstance(done.output, bytes)
    return done.output.decode().strip()


@pytest.fixture(scope="module")
def hardened(client: DockerClient, patched: str) -> Iterator[Container]:
    """Any user of group 0, with a volume that the engine made from the image's own folder."""
    with throwaway.volume(client) as data:
        mounts = {data: {"bind": "/app/backend/data", "mode": "rw"}}
        with throwaway.container(client, patched, healthy=START, user="12345", volumes=mounts, **HARDENED) as running:
            running.reload()
            yield running


def url(running: Container) -> str:
    return f"http://127.0.0.1:{running.attrs['NetworkSettings']['Ports']['8080/tcp'][0]['HostPort']}"


def test_it_has_no_right_left(hardened: Container) -> None:
    status = dict(line.split(":", 1) for line in run(hardened, "cat /proc/1/status").splitlines())
    assert {key: status[key].split()[0] for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == dict.fromkeys(
        ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), "0" * 16
    )
    assert (status["NoNewPrivs"].strip(), status["Uid"].split()) == ("1", ["12345"] * 4)
    assert "Read-only" in run(hardened, "touch /app/x 2>&1; touch /usr/x 2>&1")
    assert run(hardened, "find / -xdev -perm /6000 -type f 2>/dev/null") == ""


def test_it_serves_its_page_with_the_release_s_own_assets(
    hardened: Container, real: Settings, built: pipeline.Built
) -> None:
    page = requests.get(url(hardened), timeout=10)
    assert "<title>Open WebUI</title>" in page.text
    repo = git.repository(real)
    for name in ("favicon.png", "logo.png", "splash.png", "custom.css", "loader.js"):
        served = requests.get(f"{url(hardened)}/static/{name}", timeout=10)
        released = repo.read_file(built.source.commit, f"static/static/{name}")
        assert released is not None
        assert hashlib.sha256(served.content).digest() == hashlib.sha256(released).digest(), name
    assert requests.get(f"{url(hardened)}/static/swagger-ui/swagger-ui.css", timeout=10).ok


def test_nobody_complains_in_the_log(hardened: Container) -> None:
    log = hardened.logs().decode(errors="replace")
    assert [line for line in log.splitlines() if "Read-only" in line or "denied" in line or "ERROR" in line] == []


def test_it_remembers_across_a_restart(hardened: Container) -> None:
    form = {"name": "A", "email": "a@example.org", "password": "correct-horse-1"}
    requests.post(f"{url(hardened)}/api/v1/auths/signup", json=form, timeout=30).raise_for_status()
    hardened.restart(timeout=10)
    hardened.reload()
    wait_for(url(hardened), hardened)
    answer = requests.post(f"{url(hardened)}/api/v1/auths/signin", json=form, timeout=30)
    assert answer.ok, answer.text


def test_a_user_of_another_group_needs_only_a_folder_of_its_own(client: DockerClient, patched: str) -> None:
    options = {**HARDENED, "tmpfs": {"/tmp": "", "/app/backend/data": "uid=4242,gid=4242,mode=700"}}
    options |= {"volumes": quick(patched), "environment": BYTECODE}
    with throwaway.container(client, patched, healthy=START, user="4242:4242", **options) as running:
        assert run(running, "awk '/^(Uid|Gid)/{print $2}' /proc/1/status").split() == ["4242", "4242"]


def test_root_without_capabilities_is_told_what_to_do(client: DockerClient, patched: str) -> None:
    with throwaway.volume(client) as data:
        mounts = {data: {"bind": "/app/backend/data", "mode": "rw"}}
        options = {**HARDENED, "volumes": {**mounts, **quick(patched)}, "environment": BYTECODE}
        with throwaway.container(client, patched, user="777:0", **options) as before:
            before.reload()
            wait_for(url(before), before)  # the data is 777's now
        bad = throwaway.container(client, patched, healthy=60, volumes=mounts, **HARDENED)
        with pytest.raises(EngineError) as caught, bad:
            pass
    assert "Start with --user 1000:0" in caught.value.why


def test_a_secret_comes_as_a_file_that_only_root_may_read(client: DockerClient, patched: str) -> None:
    environment = {"OPENAI_API_KEY_FILE": "/run/secrets/key", "REDIS_URL_FILE": ""}
    files = {"/run/secrets/key": b"from a file\n"}
    ask = ["sh", "-c", 'printf \'%s|%s\' "$OPENAI_API_KEY" "${OPENAI_API_KEY_FILE-gone}"; id -u; sleep 60']
    with throwaway.container(client, patched, command=ask, files=files, environment=environment) as running:
        wait_for_log(running, "1000")
        assert running.logs().decode().splitlines() == ["from a file|gone1000"]


def test_a_secret_that_is_not_there_is_named(client: DockerClient, patched: str) -> None:
    environment = {"DATABASE_URL_FILE": "/run/secrets/none"}
    with throwaway.container(client, patched, environment=environment) as running:
        assert running.wait()["StatusCode"] == 1
        assert "DATABASE_URL_FILE: /run/secrets/none can't be read by uid 0" in running.logs().decode()
