"""The whole build, as a user runs it: a process, a checkout, a cache."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import layouts
from users import User
from webui_fork.core.digest import Digest
from webui_fork.core.settings import Settings
from webui_fork.image import pipeline
from webui_fork.oci import layout

DIGEST = re.compile(r"^digest\s+(sha256:[0-9a-f]{64})$", re.MULTILINE)

pytestmark = pytest.mark.minutes(3)


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory, real: Settings, built: pipeline.Built) -> User:
    return User(tmp_path_factory.mktemp("user"), real).with_one_image(real)


@pytest.fixture(scope="module")
def first_build(user: User) -> str:
    """Build in another folder with a cold cache, after a run that was killed in the middle; returns its output."""
    with user.start("build", "--locked") as child:
        deadline = time.monotonic() + 120
        while not list(user.cache.glob("tmp/.webui-fork-base-*/*.tar")) and time.monotonic() < deadline:
            assert child.poll() is None, child.communicate()
            time.sleep(0.05)
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
    assert not (user.root / "out/build.json").exists()
    assert not (user.root / "out/image").exists()
    code, out, err = user.run("build", "--locked")
    assert code == 0, err
    return out


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    """A very small disk."""
    folder = tmp_path / "small"
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)  # a minimal machine has no mount(8)
    if os.geteuid() != 0 or libc.mount(b"none", bytes(folder), b"tmpfs", 0, b"size=3m"):
        pytest.skip("only root can mount a small disk")
    yield folder
    libc.umount2(bytes(folder), 2)  # MNT_DETACH


def test_another_folder_and_a_cold_cache_give_the_same_digest_after_a_killed_run(
    first_build: str, built: pipeline.Built, user: User
) -> None:
    found = DIGEST.search(first_build)
    assert found
    assert found.group(1) == built.image.digest
    assert "signature  verified with" in first_build
    assert not list((user.cache / "tmp").iterdir()), "a killed run's folders are swept by the next"


def test_the_layout_holds_what_the_record_says(first_build: str, user: User) -> None:
    layouts.verify(user.root / "out/image")
    record = json.loads((user.root / "out/build.json").read_text())
    entry, *attached = json.loads((user.root / "out/image/index.json").read_text())["manifests"]
    assert [row["annotations"]["kind"].rpartition("/")[2] for row in attached] == ["sigs", "atts"]
    assert record["digest"] == entry["digest"]
    manifest = json.loads(layout.blob_path(user.root / "out/image", Digest(entry["digest"])).read_text())
    keys = {key.removeprefix("org.opencontainers.image.") for key in manifest["annotations"]}
    wanted = {"title", "version", "revision", "source", "licenses", "base.name", "base.digest", "created"}
    assert wanted <= keys
    assert manifest["annotations"]["org.opencontainers.image.created"] == "2026-10-25T08:09:34Z"


def test_a_second_build_does_nothing_and_needs_no_network(first_build: str, user: User) -> None:
    nowhere = dict.fromkeys(
        ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9"
    )
    code, out, err = user.run("build", "--locked", **nowhere)
    assert code == 0, err
    assert out.startswith("Nothing changed")
    assert DIGEST.findall(out) == DIGEST.findall(first_build)


def test_layers_are_made_again_offline_whatever_the_umask_the_time_zone_and_the_locale(
    first_build: str, user: User
) -> None:
    elsewhere = {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "LANG": "de_DE.UTF-8"}
    elsewhere |= dict.fromkeys(
        ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9"
    )
    for name in ("layers", "blobs", "source.git"):
        shutil.rmtree(user.cache / name)
    with user.start("build", "--locked", umask=0o077, **elsewhere) as child:
        out, err = child.communicate()
    assert child.returncode == 0, err
    assert out.startswith("Built and signed")
    assert DIGEST.findall(out) == DIGEST.findall(first_build)


def test_the_locks_can_be_resolved_again(first_build: str, user: User) -> None:
    kept = {name: (user.root / name).read_bytes() for name in ("upstream.lock", "images/open-webui/debian.lock")}
    (user.root / "images/open-webui/debian.lock").unlink()
    code, _, err = user.run("lock")
    assert code == 0, err
    debian = (user.root / "images/open-webui/debian.lock").read_text()
    assert debian.count(" sha256:") > 100
    code, out, err = user.run("lock")
    assert (code, out) == (0, "Nothing changed: the locks already match the mirrors and the index.\n"), err
    for name, data in kept.items():
        (user.root / name).write_bytes(data)


def test_the_key_is_the_user_s_alone(first_build: str, user: User) -> None:
    key = Path(user.env["WEBUI_FORK_CONFIG"]) / "cosign.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert "ENCRYPTED" in key.read_text()


def test_an_edited_patch_changes_one_small_layer(first_build: str, user: User) -> None:
    before = json.loads((user.root / "out/build.json").read_text())
    *others, name, last = before["patches"]  # the last one is of the front end, which takes minutes
    original = (user.root / "patches" / name).read_bytes()
    edited_patch = original.replace(b'+"""', b'+"""Edited. ', 1)  # the docstring of its new file
    assert edited_patch != original
    kept = {path: (user.root / path).read_bytes() for path in ("patches/series", "upstream.lock")}
    try:
        (user.root / "patches" / name).write_bytes(edited_patch)
        code, _, err = user.run("build")
        assert code == 7, err  # the hunk's blob names no longer fit: not canonical
        assert "lint --write" in err
        code, out, err = user.run("patches", "lint", "--write")
        assert code == 0, err
        assert f"{name}: written in canonical form" in out
        code, out, err = user.run("build", "--locked")
        assert code == 0, err
        edited = json.loads((user.root / "out/build.json").read_text())
        assert edited["digest"] != before["digest"]
        (user.root / "patches/series").write_text("\n".join([*others, last]) + "\n")
        (user.root / "patches" / name).unlink()
        code, _, err = user.run("build")
        assert code == 0, err
        after = json.loads((user.root / "out/build.json").read_text())
        assert after["tag"] != before["tag"]
        layers, others = ({row["name"]: row for row in record["layers"]} for record in (before, after))
        assert layers.keys() == others.keys() == {"base", "python", "application", "frontend", "patches"}
        assert [name for name, row in layers.items() if row["digest"] != others[name]["digest"]] == ["patches"]
        assert others["patches"]["size"] < 400_000  # bytes
        code, _, err = user.run("build", "--locked")
        assert code == 3
        assert "--locked" in err
    finally:
        (user.root / "patches" / name).write_bytes(original)
        for path, data in kept.items():
            (user.root / path).write_bytes(data)


def test_an_unlisted_patch_stops_the_build(first_build: str, user: User) -> None:
    stray = user.root / "patches/stray.patch"
    stray.write_text("x")
    try:
        code, _, err = user.run("build")
    finally:
        stray.unlink()
    assert code == 7
    assert "stray.patch: unlisted" in err


def test_two_builds_at_once_take_turns_in_a_cache_behind_a_link(first_build: str, user: User, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(user.cache)
    shutil.rmtree(user.cache / "layers")
    with user.start("build", "--locked", WEBUI_FORK_CACHE=str(link)) as one:
        while not (user.root / "out/.lock").exists():
            time.sleep(0.01)
        time.sleep(1)
        code, out, err = user.run("build", "--locked", WEBUI_FORK_CACHE=str(link))
        first = one.communicate()
    assert one.returncode == 0, first
    assert DIGEST.findall(first[0]) == DIGEST.findall(first_build)
    assert code == 0, err
    assert "is using this checkout; waiting" in err
    assert out.startswith("Nothing changed")


def test_ctrl_c_is_words_and_the_next_run_goes_on(first_build: str, user: User) -> None:
    shutil.rmtree(user.cache / "layers")
    with user.start("build", "--locked") as child:
        while not list(user.cache.glob("tmp/.webui-fork-base-*")):
            time.sleep(0.05)
        os.killpg(child.pid, signal.SIGINT)
        _, err = child.communicate()
    assert child.returncode == 130, err
    assert "Interrupted" in err
    assert "Traceback" not in err
    code, out, err = user.run("build", "--locked")
    assert code == 0, err
    assert DIGEST.findall(out) == DIGEST.findall(first_build)


def test_a_missing_and_a_wrong_passphrase(first_build: str, user: User, tmp_path: Path) -> None:
    config = {"WEBUI_FORK_CONFIG": str(tmp_path / "config")}
    code, out, err = user.run("build", "--locked", COSIGN_PASSWORD="hunter2", **config)
    assert code == 0, err
    assert "with the passphrase in COSIGN_PASSWORD" in err
    assert "hunter2" not in out + err
    # another digest in the registry, so that there is something to sign
    shutil.rmtree(user.cache / "registry")
    code, _, err = user.run("build", "--locked", **config)
    assert code == 13
    assert "is missing" in err
    code, _, err = user.run("build", "--locked", COSIGN_PASSWORD="hunter3", **config)
    assert code == 13
    assert "is wrong" in err
    code, _, err = user.run("build", "--locked", COSIGN_PASSWORD="hunter2", **config)
    assert code == 0, err


def test_a_full_disk(first_build: str, user: User, tmpfs: Path) -> None:
    code, _, err = user.run("build", "--locked", WEBUI_FORK_CACHE=str(tmpfs))
    assert code == 17, err
    assert "The disk is full" in err
    assert "WEBUI_FORK_CACHE" in err


def test_an_unwritable_cache(user: User) -> None:
    code, _, err = user.run("build", WEBUI_FORK_CACHE="/proc/webui-fork")
    assert code == 16, err
    assert "WEBUI_FORK_CACHE" in err
