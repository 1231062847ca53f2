"""Code of other people sees the system, its work and nothing of ours; where that can't be had, it does not run."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from front_ends import changed, wish
from helpers import Talk
from webui_fork.core.errors import ToolError
from webui_fork.core.settings import Settings
from webui_fork.frontend import build, sandbox

NAMES = {"APP_BUILD_CHANNEL", "APP_BUILD_HASH", "HOME", "LANG", "PATH", "PWD", "OLDPWD", "TZ", "SHLVL", "_"}
SYSTEM = {"bin", "lib", "lib32", "lib64", "sbin", "usr"}


def test_the_build_sees_nothing_of_ours(private_settings: Settings, tmp_path: Path, talk: Talk) -> None:
    real = replace(private_settings, environ={**private_settings.environ, "TOKEN": "s3cret"})
    repo, one = wish(real, tmp_path)
    if os.geteuid() != 0:  # it depends on the kernel's settings
        try:
            sandbox.Sandbox(tmp_path / "work", tmp_path).check()
        except ToolError as error:
            pytest.skip(str(error))
    files = build.build(real, repo, changed(one, b"curious\n"), talk).files
    built = {file.path: (file.data or b"").decode() for file in files}
    assert int(built["uid"]) == (sandbox.NOBODY if os.geteuid() == 0 else 0)  # root of a namespace of its own
    assert built["net"].split() == ["lo"]
    assert "s3cret" not in built["env"]
    assert {line.partition("=")[0] for line in built["env"].splitlines()} <= {*NAMES, "npm_package_version"}
    assert set(built["root"].split()) - SYSTEM == {"dev", "etc", "home", "proc", "programs", "tmp", "work"}
    assert built["empty"].split() == ["/home:", "/tmp:"]
    assert str(os.getpid()) not in built["processes"].split()
    assert "written" not in built  # the packages and programs of the cache, the system, a terminal
    assert "could" in built
    (cached,) = (real.cache / "node_modules").glob("[0-9a-f]*")
    assert (cached / "vite/bin/vite.js").read_text() == "vite\n"
    assert not list((cached / ".vite").iterdir())


def test_without_namespaces_nothing_runs(
    private_settings: Settings, tmp_path: Path, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "unshare" else which(name))
    repo, one = wish(private_settings, tmp_path)
    with pytest.raises(ToolError, match="gives no sandbox") as raised:
        build.build(private_settings, repo, one, talk)
    assert "util-linux" in raised.value.why
    assert "WEBUI_FORK_SANDBOX=none" in raised.value.remedy
    assert not (private_settings.cache / "node_modules").exists()


def test_a_kernel_that_gives_none(
    private_settings: Settings, tmp_path: Path, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "_UNSHARE", ("sh", "-c", "echo unshare failed: Operation not permitted >&2; exit 1"))
    repo, one = wish(private_settings, tmp_path)
    with pytest.raises(ToolError, match="gives no sandbox") as raised:
        build.build(private_settings, repo, one, talk)
    assert raised.value.why == "unshare failed: Operation not permitted"


def test_who_wants_none_has_none(
    private_settings: Settings, tmp_path: Path, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    repo, one = wish(private_settings, tmp_path)
    assert build.build(replace(private_settings, sandbox=False), repo, one, talk).same == 2
    assert "WARNING" in talk.text
