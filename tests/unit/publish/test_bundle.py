from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

import layouts
from helpers import Talk
from registries import image_of
from webui_fork.core.errors import UsageError
from webui_fork.core.settings import Settings
from webui_fork.oci import layout, reader
from webui_fork.publish import bundle
from webui_fork.trust.keys import Verifier


def test_only_what_a_registry_has_is_bundled(private_settings: Settings, tmp_path: Path, talk: Talk) -> None:
    """A folder has no inputs beside it, and is one already."""
    image = image_of(private_settings.cache, b"x")
    layout.write_layout(tmp_path / "image", "v1", image, private_settings.cache)
    layouts.verify(tmp_path / "image")
    with reader.opened(private_settings, f"oci:{tmp_path}/image") as store, pytest.raises(UsageError, match="registry"):
        bundle.write(private_settings, talk, store, Verifier(tmp_path / "cosign", 2, None), tmp_path / "x.tar")
    assert not (tmp_path / "x.tar").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_nobody_s_name_is_in_a_bundle() -> None:
    info = tarfile.TarInfo("x")
    info.uid, info.gid, info.uname, info.gname = 1234, 1234, "me", "us"
    plain = bundle._plain(info)
    assert (plain.uid, plain.gid, plain.uname, plain.gname) == (0, 0, "", "")
