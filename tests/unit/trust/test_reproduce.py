from __future__ import annotations

from pathlib import Path

import pytest

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
