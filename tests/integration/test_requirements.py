"""What functions and tools require: pip installs it as in stock, without root, and it stays with the data."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from docker import DockerClient

import throwaway
from containers import CHROMA, UNASKED, Site, provider, wait_for_log, webui

pytestmark = pytest.mark.minutes(1)

PIPE = '''"""
title: Greeter
requirements: {requirement}
"""
import {module}

class Pipe:
    def pipes(self):
        return [{{"id": {module}.WORD, "name": {module}.WORD}}]
'''
INDEX = {"PIP_INDEX_URL": "http://index:8000/simple", "PIP_TRUSTED_HOST": "index"}
DATA = "/app/backend/data"


def wheel(name: str, version: str) -> tuple[str, bytes]:
    """Return a wheel's file name and bytes; its module has a word."""
    stem, files = f"{name}-{version}", {f"{name}.py": f"WORD = 'hello-{version}'\n".encode()}
    files[f"{stem}.dist-info/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    files[f"{stem}.dist-info/WHEEL"] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    rows = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for path, data in files.items()
    ]
    files[f"{stem}.dist-info/RECORD"] = "".join([*rows, f"{stem}.dist-info/RECORD,,\n"]).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return f"{stem}-py3-none-any.whl", out.getvalue()


@contextmanager
def index(client: DockerClient, image: str, network: str) -> Iterator[None]:
    """Run a package index on a network: two versions of `greeter`."""
    wheels = dict(wheel("greeter", version) for version in ("1.0", "2.0"))
    page = "".join(f'<a href="/{name}">{name}</a>\n' for name in wheels)
    files = {f"/index/{name}": data for name, data in wheels.items()}
    with throwaway.container(
        client,
        image,
        entrypoint=["python3", "-u", "-m", "http.server", "8000", "--directory", "/index"],
        user="0",
        files={**files, "/index/simple/greeter/index.html": page.encode()},
        network=network,
        networking_config={network: client.api.create_endpoint_config(aliases=["index"])},
        stop_signal="SIGKILL",
        healthcheck=UNASKED,
    ) as running:
        wait_for_log(running, "Serving HTTP")
        yield


@pytest.fixture
def network(client: DockerClient, patched: str) -> Iterator[str]:
    with throwaway.network(client) as name, provider(client, patched, name), index(client, patched, name):
        yield name


@pytest.fixture
def volume(client: DockerClient) -> Iterator[dict[str, dict[str, str]]]:
    with throwaway.volume(client) as name:
        yield {name: {"bind": DATA, "mode": "rw"}}


HARDENED: dict[str, Any] = {"read_only": True, "tmpfs": {"/tmp": ""}, "user": "1000:0", "cap_drop": ["ALL"]}


def listed(site: Site) -> list[Any]:
    return [name for name in site.models().ids if "hello" in str(name)]


def test_what_a_function_requires_outlives_the_container(
    client: DockerClient, patched: str, network: str, volume: dict[str, dict[str, str]]
) -> None:
    requirement = PIPE.format(requirement="greeter==1.0", module="greeter")
    with webui(client, patched, network, env=INDEX, volumes=volume, **HARDENED) as site:
        site.function("pipe", requirement)
        assert listed(site) == ["pipe.hello-1.0"]
        assert site.shell(f"ls {DATA}/python/lib/python3.11/site-packages/greeter.py")
    # of the next image there is a new container, and the index may be away
    offline = {"OFFLINE_MODE": "True", **INDEX}
    with webui(client, patched, network, env=offline, volumes=volume, **HARDENED) as site:
        assert listed(site) == ["pipe.hello-1.0"]
        other = PIPE.format(requirement="greeter==2.0, absent==1.0", module="absent")
        refused = site.call(
            "POST", "/api/v1/functions/create", json={"id": "x", "name": "x", "content": other, "meta": {}}
        )
        assert refused.status_code == 400
        assert "No module named 'absent'" in site.container.logs().decode()
        assert "Offline mode enabled" in site.container.logs().decode()
        assert listed(site) == ["pipe.hello-1.0"]


def test_a_place_that_somebody_chose_is_theirs(client: DockerClient, patched: str, network: str) -> None:
    env = {**INDEX, "PIP_OPTIONS": "--target /own", "PYTHONPATH": "/own"}
    with webui(client, patched, network, env=env, tmpfs={"/own": ""}) as site:
        site.function("pipe", PIPE.format(requirement="greeter", module="greeter"))
        assert listed(site) == ["pipe.hello-2.0"]
        assert site.shell("ls /own/greeter.py") == "/own/greeter.py"
        assert site.shell(f"ls {DATA}/python/lib/python3.11/site-packages") == ""


VENV = """
import subprocess, sys, venv
venv.create("/tmp/own")  # Debian's Python has no ensurepip: the image's pip installs there
subprocess.run([sys.executable, "-m", "pip", "--python", "/tmp/own", "install", "greeter"], check=True)
subprocess.run([sys.executable, "-m", "pip", "install", "--target", "/tmp/aside", "greeter"], check=True)

class Pipe:
    def pipes(self):
        return [{"id": "hello-venv", "name": "hello"}]
"""


def test_a_function_may_use_pip_in_its_own_way(client: DockerClient, patched: str, network: str) -> None:
    with webui(client, patched, network, env=INDEX) as site:
        site.function("pipe", VENV)
        assert listed(site) == ["pipe.hello-venv"]
        site.shell("ls /tmp/own/lib/python3.11/site-packages/greeter.py /tmp/aside/greeter.py")


def test_pip_by_hand_goes_where_stock_has_it(client: DockerClient, patched: str, network: str) -> None:
    """In a container as root, or in a Dockerfile that builds on the image."""
    argv: dict[str, Any] = {"entrypoint": ["sleep"], "command": ["300"], "environment": INDEX, "network": network}
    with throwaway.container(client, patched, stop_signal="SIGKILL", healthcheck=UNASKED, **argv) as running:
        done = running.exec_run(["pip", "install", "greeter"])
        assert done.exit_code == 0, done.output
        done = running.exec_run(["python3", "-c", "import greeter; print(greeter.__file__)"])
        assert done.output == b"/usr/local/lib/python3.11/dist-packages/greeter.py\n"


def test_documents_that_slim_cannot_search_are_named(
    client: DockerClient, patched: str, volume: dict[str, dict[str, str]]
) -> None:
    def log(**environment: str) -> str:
        argv: dict[str, Any] = {"command": ["true"], "environment": environment}
        with throwaway.container(client, patched, volumes=volume, **argv) as running:
            assert running.wait()["StatusCode"] == 0
            return running.logs().decode()

    assert log() == ""
    with throwaway.container(
        client, patched, entrypoint=["python3", "-c", CHROMA.read_text()], volumes=volume
    ) as running:
        assert running.wait()["StatusCode"] == 0
    line = f"documents: 12 collections in {DATA}/vector_db, this is slim: it keeps them, and can't search them"
    assert log().count("\n") == 1
    assert line in log()
    assert log(PGVECTOR_DB_URL="postgresql://db/vectors") == ""
    assert log(DATABASE_URL="postgres://db/webui") == ""
    assert log(USE_SLIM_DOCKER="false") == ""
