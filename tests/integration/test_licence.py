"""Clause 4 of Open WebUI's licence: the brand in every layer and in the running container is the release's."""

from __future__ import annotations

import hashlib
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import requests
from docker import DockerClient

import throwaway
from containers import Site, webui
from helpers import members
from users import User
from webui_fork.core import git
from webui_fork.core.settings import Settings
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
from webui_fork.series import branding

pytestmark = pytest.mark.minutes(1)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def released(real: Settings, inputs: image_inputs.Inputs, built: pipeline.Built) -> dict[str, str]:
    """Return what the licence protects in the release and its wheel: place in the image to sha256."""
    repo = git.repository(real)
    files = {}
    for file in repo.walk(built.source.commit, branding.protected_path):
        if placed := inputs.spec.place(file.path):
            files[placed] = sha(file.read())
    with zipfile.ZipFile(built.source.wheel) as wheel:
        for name in wheel.namelist():
            if name.startswith("open_webui/frontend/") and branding.protected_path(name):
                files["app/build/" + name.removeprefix("open_webui/frontend/")] = sha(wheel.read(name))
    return files


def test_every_layer_has_the_release_s_licences_and_assets_and_no_others(
    real: Settings, inputs: image_inputs.Inputs, built: pipeline.Built
) -> None:
    expected = released(real, inputs, built)
    assert {f"app/{name}" for name in branding.LICENSES} <= set(expected)
    assert {"app/build/favicon.png", "app/build/static/splash.png", "app/build/manifest.json"} <= set(expected)
    assert len(expected) > 30
    seen: dict[str, str] = {}
    for layer, info, data in members(built.image, real.cache):
        if info.name.startswith("app/") and not info.isdir() and branding.protected_path(info.name):
            assert info.isreg(), info.name  # no link in its place
            assert info.name not in seen, f"{layer} covers /{info.name}"
            seen[info.name] = sha(data)
        assert ".wh." not in info.name or not branding.protected_path(info.name.replace(".wh.", "")), info.name
    assert seen == expected


def test_the_lines_that_upstream_marks_are_unchanged(
    real: Settings, inputs: image_inputs.Inputs, built: pipeline.Built
) -> None:
    repo = git.repository(real)
    marked = 0
    for patch in inputs.patches:
        for path in patch.paths:
            before = (repo.read_file(built.tree.release, path) or b"").decode()
            after = (repo.read_file(built.tree.head, path) or b"").decode()
            assert branding.text_problem(path, before, after) == ""
            marked += len(branding.regions(before))
    assert marked, "no patched file has a mark: this test looks at nothing"
    env = (repo.read_file(built.tree.head, "backend/open_webui/env.py") or b"").decode()
    assert "WEBUI_NAME += ' (Open WebUI)'" in env


def asked(site: Site) -> dict[str, Any]:
    page = requests.get(site.url, timeout=10).text
    title = re.search(r"<title>(.*?)</title>", page)
    assert title
    manifest = requests.get(f"{site.url}/manifest.json", timeout=10).json()
    return {
        "title": title.group(1),
        "manifest": manifest,
        "search": requests.get(f"{site.url}/opensearch.xml", timeout=10).text.replace(site.url, ""),
        "name": site.call("GET", "/api/config").json()["name"],
        "css": requests.get(f"{site.url}/static/custom.css", timeout=10).text,
        "js": requests.get(f"{site.url}/static/loader.js", timeout=10).text,
    }


@pytest.mark.parametrize("name", ["", "Acme"])
def test_the_running_container_is_called_as_stock_is(client: DockerClient, stock: str, patched: str, name: str) -> None:
    env = {"WEBUI_NAME": name} if name else {}
    with throwaway.network(client) as network:
        with webui(client, stock, network, env=env) as site:
            theirs = asked(site)
        with webui(client, patched, network, env=env) as site:
            ours = asked(site)
    assert ours == theirs
    assert ours["name"] == (f"{name} (Open WebUI)" if name else "Open WebUI")
    assert ours["title"] == "Open WebUI"


NOTICE = 'from = "release"\npath = "LICENSE_NOTICE"\nto = "/app/LICENSE_NOTICE"\n'


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('ENV = "prod"', 'ENV = "prod"\nWEBUI_NAME = "Acme"', "sets WEBUI_NAME"),
        (
            'exclude = [".dockerignore",',
            'exclude = ["open_webui/static/favicon.png", ".dockerignore",',
            "leaves out backend/open_webui/static/favicon.png",
        ),
        ('to = "/usr/local/bin/webui-entrypoint"', 'to = "/app/build/static/custom.css"', "place of a brand asset"),
        (f"[[application]]\n{NOTICE}\n", "", "leaves out LICENSE_NOTICE"),
    ],
)  # fmt: skip
def test_a_description_that_touches_the_brand_is_refused(
    real: Settings, tmp_path: Path, old: str, new: str, words: str
) -> None:
    user = User(tmp_path, real, warm=True)
    file = user.root / "images/open-webui/image.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    code, _, err = user.run("patches", "lint")
    assert code == 9, err
    assert words in err
    assert "clause 4" in err
