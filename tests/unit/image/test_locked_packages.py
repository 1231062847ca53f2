"""Which packages two checkouts lock otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from webui_fork.core.settings import Settings
from webui_fork.image import locked_packages
from webui_fork.sources.interface import Difference

HEAD = "# suite=bookworm architecture=amd64 input=sha256:" + "1" * 64 + " snapshot=20260101T000000Z\n"


def checkout(settings: Settings, root: Path, **locks: str) -> Settings:
    folder = root / "images/open-webui"
    folder.mkdir(parents=True)
    for name, text in locks.items():
        (folder / f"{name.replace('_', '.')}.lock").write_text(text)
    return replace(settings, root=root)


def deb(name: str, version: str) -> str:
    return f"{name} {version} sha256:{'2' * 64} 10 main pool/{name}.deb\n"


def test_packages_of_every_lock_of_the_main_image(private_settings: Settings, tmp_path: Path) -> None:
    before = {"requirements": "a==1\nb==1\n", "full_requirements": "a==1\nc==1\n", "debian": HEAD + deb("curl", "7")}
    after = {"requirements": "a==2\nb==1\n", "full_requirements": "a==2\nd==1\n", "debian": HEAD + deb("curl", "8")}
    arm64 = HEAD + deb("curl", "7") + deb("jq", "1")
    old = checkout(private_settings, tmp_path / "old", **before, arm64_debian=arm64)
    new = checkout(private_settings, tmp_path / "new", **after, arm64_debian=arm64)
    assert locked_packages.differences(old, old) == ()
    assert locked_packages.differences(old, new) == (
        Difference("wheel", "a", "1", "2"),
        Difference("wheel", "c", "1", ""),
        Difference("wheel", "d", "", "1"),
        Difference("Debian package", "curl", "7", "7, 8"),
    )
    assert not any(row.needs_attention for row in locked_packages.differences(old, new))
