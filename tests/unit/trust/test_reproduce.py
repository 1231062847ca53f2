from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from webui_fork.core.settings import Settings
from webui_fork.trust import reproduce
from webui_fork.trust.provenance import Claim


def claim(flavour: str = "", variant: str = "") -> Claim:
    return Claim("1.2.3", "v1.2.3-p1", variant, flavour, "", "x", "0" * 64, (), (), (), "", False, "")


@pytest.mark.parametrize(
    ("key", "added"),
    [('architectures = ["amd64", "arm64"]', ["--arch", "all"]), ('architecture = "amd64"', [])],
)
def test_a_commit_is_built_with_the_options_that_it_knows(tmp_path: Path, key: str, added: list[str]) -> None:
    folder = tmp_path / "images/x"
    folder.mkdir(parents=True)
    (folder / "image.toml").write_text(f"[image]\n{key}\n")
    build = ["build", "--locked", "--unsigned"]
    assert reproduce._arguments(claim(), tmp_path, "all") == [*build, *added]
    assert reproduce._arguments(claim("full"), tmp_path, "all") == [*build, "--flavour", "full", *added]


def test_a_variant_is_built_for_the_platforms_of_its_base(tmp_path: Path) -> None:
    words = ["build", "--image", "x", "--variant", "slim"]
    assert reproduce._arguments(claim(variant="slim"), tmp_path, "all") == words


def test_a_line_is_built_from_the_checkout_that_it_is_in(tmp_path: Path) -> None:
    for name in ("build/x.py", "tests/proofs/test_x.py", "lines/0.11/upstream.lock"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(name)
    for name in ("images", "patches"):
        (tmp_path / "lines/0.11" / name).mkdir()
    settings = Settings(tmp_path, tmp_path / "cache", tmp_path / "config", False).on_line("0.11")
    root, where = reproduce._inputs(settings, claim(), tmp_path / "work")
    assert root == tmp_path / "work/checkout/lines/0.11"
    assert "this checkout" in where
    copied = {path.relative_to(tmp_path / "work/checkout").as_posix() for path in root.parents[1].rglob("*.*")}
    assert {"build/x.py", "tests/proofs/test_x.py", "lines/0.11/upstream.lock"} <= copied
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True, check=True)
    root, where = reproduce._inputs(settings, replace(claim(), commit=head.stdout.strip()), tmp_path / "again")
    assert where == f"commit {head.stdout[:12]}"
    assert (root / "upstream.lock").read_text() == "lines/0.11/upstream.lock"
    assert (root.parents[1] / "build/x.py").exists()
