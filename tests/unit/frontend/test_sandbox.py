"""Code of other people sees the system, its work and nothing of ours; where that can't be had, it does not run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from front_ends import changed, requested
from helpers import Talk
from webui_fork.core import process
from webui_fork.core.errors import ToolError
from webui_fork.core.settings import Settings
from webui_fork.frontend import build, sandbox

NAMES = {"APP_BUILD_CHANNEL", "APP_BUILD_HASH", "HOME", "LANG", "PATH", "PWD", "OLDPWD", "TZ", "SHLVL", "_"}
SYSTEM = {"bin", "lib", "lib32", "lib64", "sbin", "usr"}


def test_the_build_sees_nothing_of_ours(private_settings: Settings, tmp_path: Path, talk: Talk) -> None:
    real = replace(private_settings, environ={**private_settings.environ, "TOKEN": "s3cret"})
    repo, one = requested(real, tmp_path)
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
    repo, one = requested(private_settings, tmp_path)
    with pytest.raises(ToolError, match="gives no sandbox") as raised:
        build.build(private_settings, repo, one, talk)
    assert "util-linux" in raised.value.why
    assert "WEBUI_FORK_SANDBOX=none" in raised.value.remedy
    assert not (private_settings.cache / "node_modules").exists()


def test_a_kernel_that_gives_none(
    private_settings: Settings, tmp_path: Path, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "_UNSHARE", ("sh", "-c", "echo unshare failed: Operation not permitted >&2; exit 1"))
    repo, one = requested(private_settings, tmp_path)
    with pytest.raises(ToolError, match="gives no sandbox") as raised:
        build.build(private_settings, repo, one, talk)
    assert raised.value.why == "unshare failed: Operation not permitted"


def test_who_wants_none_has_none(
    private_settings: Settings, tmp_path: Path, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    repo, one = requested(private_settings, tmp_path)
    assert build.build(replace(private_settings, sandbox=False), repo, one, talk).same == 2
    assert "WARNING" in talk.text


@pytest.fixture
def anybodys() -> Iterator[Path]:
    """A folder that another user than root can use."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="root can be another user, and nobody else can")
def test_as_another_user_than_root(anybodys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who owns the cache could write to it: only read-only mounts keep what is built from it."""
    place = sandbox.Sandbox(anybodys / "work", anybodys / "programs", anybodys / "packages")
    for name in ("work/node_modules", "programs", *(f"packages/{one}" for one in sandbox.MOUNTPOINTS)):
        (anybodys / name).mkdir(parents=True)
    script = place.programs / "curious"
    script.write_text(
        "#!/bin/sh\nid -u\n"
        "for place in /programs/curious node_modules/harm /harm; do echo x >> $place && echo $place; done\n"
        f"ls -d {anybodys} /proc/{os.getpid()} && echo seen\ntouch node_modules/.vite/fine fine && echo fine\n"
    )
    script.chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    command = [*place._enter(), "/programs/curious"]
    for path in (anybodys, *anybodys.rglob("*")):
        os.chown(path, 1000, 1000)
    as_user = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--", *command]
    done = process.run(as_user, env={"PATH": "/usr/bin:/bin"}, check=False)
    if done.code and "unshare" in done.stderr:
        pytest.skip(done.stderr)  # the kernel gives other users no namespaces
    assert done.stdout.split() == ["0", "fine"], done
    assert (place.work / "fine").stat().st_uid == 1000
