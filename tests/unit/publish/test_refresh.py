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
    osv.serve(server, {("util-linux", "2"): ["DSA-1"], ("x", "1"): ["GHSA-1"]})
    mount, bsd = (Locked("a", name, "2", "Debian:12", "util-linux") for name in ("mount", "bsdutils"))
    x, y = (Locked("b", name, "1", "PyPI", name) for name in ("x", "y"))
    with requests.Session() as http:
        database = refresh._Database(http, server.url)
        ids = database.ids([mount, bsd, x, y])
        assert {item.name: sorted(own) for item, own in ids.items()} == {
            "mount": ["DSA-1"], "bsdutils": ["DSA-1"], "x": ["GHSA-1"], "y": [],
        }  # fmt: skip
        # what is known of Debian's own is not asked for: there are hundreds, and their fix is the newest version
        assert [(finding.id, finding.fixed) for finding in database.findings(ids)] == [("GHSA-1", ("9",))]


def test_what_does_not_come_to_its_end_leaves_the_locks_as_they_were(own: Settings) -> None:
    files = sorted(path for path in own.root.rglob("*.lock"))
    before = [file.read_text() for file in files]
    readme = own.root / "README.md"
    readme.write_text("v0.12.4-p17")
    for error in (KeyboardInterrupt, OSError):
        with pytest.raises(error), refresh._restored(own):  # noqa: PT012
            for file in [*files, readme]:
                file.write_text("other")
            raise error
        assert [file.read_text() for file in files] == before
        assert readme.read_text() == "v0.12.4-p17"
    with refresh._restored(own):
        readme.write_text("v0.12.4-p18")
    assert readme.read_text() == "v0.12.4-p18"


def test_nothing_is_read_but_locks_of_packages(own: Settings, tmp_path: Path) -> None:
    (own.root / "images/upstream").mkdir()
    (own.root / "images/upstream/bases.lock").write_text("no package")
    assert not [item for item in refresh.packages(own) if "upstream" in item.lock]
