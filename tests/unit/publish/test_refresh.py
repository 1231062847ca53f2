from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import requests

import osv
from helpers import Server
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.publish import refresh
from webui_fork.publish.refresh_report import Locked


@pytest.fixture
def own(private_settings: Settings) -> Settings:
    for name in ("images/open-webui/debian.lock", "images/open-webui/requirements.lock", "requirements/tool.lock"):
        (private_settings.root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, private_settings.root / name)
    shutil.copy(CHECKOUT / "upstream.lock", private_settings.root)
    return private_settings


def test_every_lock_s_packages_are_asked_about(own: Settings) -> None:
    rows = refresh.packages(own)
    assert {item.lock for item in rows} == {
        "images/open-webui/debian.lock", "images/open-webui/requirements.lock", "requirements/tool.lock",
    }  # fmt: skip
    bash = next(item for item in rows if item.name == "bash")
    assert (bash.ecosystem, bash.source) == ("Debian:12", "bash")
    assert next(item for item in rows if item.name == "bsdutils").source == "util-linux"
    assert {item.ecosystem for item in rows if item.name == "requests"} == {"PyPI"}


def test_two_packages_of_one_source_have_its_vulnerabilities(server: Server) -> None:
    osv.serve(server, {("util-linux", "2"): ["DSA-1"], ("x", "1"): ["GHSA-1", "GHSA-2"]})
    mount, bsd = (
        Locked("a", name, version, "Debian:12", "util-linux") for name, version in (("mount", "2"), ("b", "2+b1"))
    )
    x, y = (Locked("b", name, "1", "PyPI", name) for name in ("x", "y"))
    judged = {"id": "GHSA-2", "analysis": {"state": "not_affected"}, "affects": [{"ref": "pkg:pypi/x@1"}]}
    with requests.Session() as http:
        database = refresh._Database(http, server.url, {"vulnerabilities": [judged]})
        ids = database.ids([mount, bsd, x, y])
        assert {item.name: sorted(own) for item, own in ids.items()} == {
            "mount": ["DSA-1"], "b": ["DSA-1"], "x": ["GHSA-1", "GHSA-2"], "y": [],
        }  # fmt: skip
        fixable = database.fixable(ids)
    assert {item.name: [finding.id for finding in findings] for item, findings in fixable.items()} == {"x": ["GHSA-1"]}


def test_a_package_with_two_versions_is_asked_about_twice(own: Settings) -> None:
    (own.root / "requirements/docs.lock").write_text(
        "x==1 ; a \\\n    --hash=sha256:0\nx==2 ; b \\\n    --hash=sha256:1\n"
    )
    assert [item.version for item in refresh.packages(own) if item.lock == "requirements/docs.lock"] == ["1", "2"]


def test_nothing_is_read_but_locks_of_packages(own: Settings, tmp_path: Path) -> None:
    (own.root / "images/upstream").mkdir()
    (own.root / "images/upstream/bases.lock").write_text("no package")
    assert not [item for item in refresh.packages(own) if "upstream" in item.lock]
