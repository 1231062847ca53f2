from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from helpers import Talk, make_patch, release_repo
from registries import image_of
from webui_fork.core.settings import CHECKOUT, Secret, Settings
from webui_fork.oci import layout
from webui_fork.rebase import gate
from webui_fork.rebase.gate import Step
from webui_fork.sources.interface import Difference

FINE, FAILS = ("-c", "print('fine')"), ("-c", "raise SystemExit('no')")


def test_what_comes_after_a_failure_is_not_run(private_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "STEPS", (Step("lint", FINE), Step("style", FAILS), Step("build", FINE)))
    checks, digest = gate.run(private_settings, Talk())
    assert [(check.name, check.passed) for check in checks] == [("lint", True), ("style", False), ("build", None)]
    assert checks[0].detail == "fine"
    assert "no" in checks[1].detail
    assert digest == ""


def test_a_build_that_dies_half_way_is_a_failed_check(
    private_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (private_settings.out / "image/blobs").mkdir(parents=True)
    monkeypatch.setattr(gate, "STEPS", (Step("build", FAILS),))
    checks, digest = gate.run(private_settings, Talk())
    assert [check.passed for check in checks] == [False]
    assert digest == ""


def test_the_build_alone_has_what_signs(private_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other steps run upstream's code, and that of every dependency."""
    tells = ("-c", "import os; print(*[key for key in ('COSIGN_PASSWORD', 'GITHUB_TOKEN') if key in os.environ], '-')")
    monkeypatch.setattr(gate, "STEPS", tuple(Step(name, tells) for name in ("lint", "build", "proofs", "integration")))
    environ = {**private_settings.environ, "GITHUB_TOKEN": "t"}
    own = replace(private_settings, environ=environ, cosign_password=Secret("word"))
    image = image_of(own.cache, b"x")
    layout.write_layout(own.out / "image", "v1", image, own.cache)
    checks, digest = gate.run(own, Talk())
    assert digest == image.digest
    assert [check.detail for check in checks] == ["-", "COSIGN_PASSWORD GITHUB_TOKEN -", "-", "-"]


@pytest.mark.parametrize(("series", "names"), [("a.patch", ["lint"]), ("b.patch", ["lint", gate.FRONT_END])])
def test_upstream_s_front_end_is_built_where_the_series_changes_it(
    private_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, series: str, names: list[str]
) -> None:
    repo, release = release_repo(tmp_path)
    changed = {"a.patch": {"backend/open_webui/new.py": b"x = 1\n"}, "b.patch": {"src/app.html": b"<p></p>\n"}}
    (private_settings.patches).mkdir()
    (private_settings.patches / series).write_bytes(make_patch(repo, release, changed[series], "Do a thing")[0])
    (private_settings.patches / "series").write_text(f"{series}\n")
    shutil.copytree(CHECKOUT / "images/open-webui", private_settings.root / "images/open-webui")
    monkeypatch.setattr(gate, "STEPS", (Step("lint", FINE), Step(gate.FRONT_END, FINE)))
    checks, _ = gate.run(private_settings, Talk())
    assert [check.name for check in checks] == names


@pytest.mark.parametrize(
    ("code", "row"),
    [
        (
            "import json, sys\nprint(json.dumps([['measure', 'list', '1', sys.argv[1]]]))",
            Difference("measure", "list", "1", "/old"),
        ),
        (
            "import os\nraise SystemExit('no mirror ' + os.environ.get('GITHUB_TOKEN', '-'))",
            Difference("measure", "images, old and new", "", "not compared: no mirror -"),
        ),
    ],
)
def test_the_new_images_are_held_against_the_old(private_settings: Settings, code: str, row: Difference) -> None:
    script = private_settings.root / "tests/bench/bump.py"
    script.parent.mkdir(parents=True)
    script.write_text(code)
    old = replace(private_settings, root=Path("/old"))
    own = replace(private_settings, environ={**private_settings.environ, "GITHUB_TOKEN": "t"})
    assert gate.differences(old, own, Talk()) == (row,)
