"""From stock 0.12.3 to this image and back to stock: nothing lost, and nothing rewritten by a patch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests
from docker import DockerClient

import throwaway
from containers import Site, webui
from helpers import Talk
from integration.conftest import VLLM, Street
from sites import ADMIN
from streaming import first_token
from users import User
from webui_fork.core.settings import Secret, Settings
from webui_fork.core.terminal import Terminal
from webui_fork.doctor import examine, rules
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
from webui_fork.oci import engine
from webui_fork.oci.engine import Engine

pytestmark = pytest.mark.minutes(2)
OLD = "0.12.3"
PIPE = "class Pipe:\n    def pipes(self):\n        return [{'id': 'one', 'name': 'One'}]\n"
# each table's rows as text, without the times that the server itself keeps
DUMP = """
import hashlib, json, sqlite3
db = sqlite3.connect('file:/app/backend/data/webui.db?mode=ro', uri=True, timeout=20)
out = {}
for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
    names = [row[1] for row in db.execute(f'PRAGMA table_info("{table}")')]
    kept = [name for name in names if name not in ('updated_at', 'last_active_at')]
    columns = ', '.join(f'"{name}"' for name in kept)
    out[table] = sorted(json.dumps(dict(zip(kept, row)), default=str, sort_keys=True)
                        for row in db.execute(f'SELECT {columns} FROM "{table}"'))
print(json.dumps(out))
"""


@pytest.fixture(scope="module")
def old(real: Settings, client: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image of the older release without a patch, locked and built as a user would."""
    user = User(tmp_path_factory.mktemp("old"), real, warm=True).with_one_image(real)
    for patch in (user.root / "patches").glob("*.patch"):
        patch.unlink()
    (user.root / "patches/series").write_text("")
    code, _, err = user.run("lock", "--release", OLD)
    assert code == 0, err
    settings = replace(real, root=user.root)
    inputs = replace(image_inputs.read_inputs(settings, Terminal(), locked=False), patches=())
    made = pipeline.build(settings, inputs, Terminal(), locked=True)
    name = f"webui-fork-test:stock-{OLD}"
    engine.load(client, made.image, real.cache, name)
    yield name
    client.images.remove(name, force=True)


def options(home: str) -> dict[str, Any]:
    return {"volumes": {home: {"bind": "/app/backend/data", "mode": "rw"}}}


def signed_in(site: Site, password: str) -> Site:
    answer = requests.post(f"{site.url}/api/v1/auths/signin", json={"email": ADMIN, "password": password}, timeout=30)
    answer.raise_for_status()
    return replace(site, token=answer.json()["token"])


def dump(site: Site) -> dict[str, list[str]]:
    tables: dict[str, list[str]] = json.loads(site.python(DUMP))
    return tables


def fill(site: Site, model: str) -> None:
    """Leave some of everything behind."""
    site.connect([VLLM, ("http://nowhere:8000/v1", {"enable": False, "tags": ["kept"]})])
    site.signed_up("reader")
    site.function("kept", PIPE)
    said: dict[str, Any] = {"id": "1", "role": "user", "content": "hello, old release", "childrenIds": []}
    chat = {"title": "Kept", "history": {"messages": {"1": said}, "currentId": "1"}, "models": [model]}
    site.call("POST", "/api/v1/chats/new", json={"chat": chat}).raise_for_status()
    sent = site.call("POST", "/api/v1/files/?process=false", files={"file": ("note.txt", b"kept")})
    sent.raise_for_status()


def check(site: Site, model: str) -> None:
    """See what was left behind, as its owner does."""
    assert {model, "kept.one"} <= set(site.models().ids)
    (chat,) = site.call("GET", "/api/v1/chats/").json()
    saved = site.call("GET", f"/api/v1/chats/{chat['id']}").json()["chat"]
    assert saved["history"]["messages"]["1"]["content"] == "hello, old release"
    (file,) = site.call("GET", "/api/v1/files/").json()["items"]
    assert site.call("GET", f"/api/v1/files/{file['id']}/content").content == b"kept"
    config = site.call("GET", "/openai/config").json()
    assert config["OPENAI_API_BASE_URLS"] == [VLLM, "http://nowhere:8000/v1"]
    assert config["OPENAI_API_CONFIGS"]["1"] == {"enable": False, "tags": ["kept"]}
    assert {user["email"] for user in site.call("GET", "/api/v1/users/").json()["users"]} == {
        ADMIN,
        "reader@example.org",
    }
    assert first_token(site, model)


def test_to_this_image_and_back(
    client: DockerClient, old: str, stock: str, patched: str, street: Street, real: Settings, docker_engine: Engine
) -> None:
    with throwaway.volume(client) as home:
        with webui(client, old, street.network, auth=True, **options(home)) as site:
            password = site.password
            fill(site, street.model)
            check(site, street.model)
            seeing = replace(real, environ={**real.environ, "DOCKER_HOST": docker_engine.host})
            request = examine.Request(site.url, token=Secret(site.token))
            found = rules.diagnose(examine.run(seeing, request, Talk()))
            assert [item.cause for item in found if item.cause == "version-old"] == ["version-old"]
            before = dump(site)
        # the new release's own migrations, without a patch: what ours has to leave as it is
        with throwaway.volume(client) as other:
            copied(client, stock, home, other)
            migrated = stage(client, stock, street, other, password)
        ours = stage(client, patched, street, home, password)
        assert same(ours, migrated)
        assert same(stage(client, stock, street, home, password), ours)
        # and nobody's rows were lost on the way from the old release
        for table in ("user", "auth", "chat", "function", "file"):
            assert len(ours[table]) == len(before[table])


def stage(client: DockerClient, image: str, street: Street, home: str, password: str) -> dict[str, list[str]]:
    """Run an image on a volume, check what is there, and return the database."""
    with webui(client, image, street.network, env={"WEBUI_AUTH": "True"}, signed=False, **options(home)) as site:
        owner = signed_in(site, password)
        check(owner, street.model)
        return dump(owner)


def copied(client: DockerClient, image: str, source: str, target: str) -> None:
    """Copy a volume."""
    volumes = {source: {"bind": "/from", "mode": "ro"}, target: {"bind": "/to", "mode": "rw"}}
    client.containers.run(image, ["cp", "-a", "/from/.", "/to/"], entrypoint=[], user="0", volumes=volumes, remove=True)


def same(left: dict[str, list[str]], right: dict[str, list[str]]) -> bool:
    """Assert that two databases have the same rows, but for sessions and what is a time."""
    assert set(left) == set(right)
    for table in left:
        assert left[table] == right[table], table
    return True
