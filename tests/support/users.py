"""A user of the tool: a checkout in another folder, and commands typed in it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from drift import copied
from webui_fork.config import upstream_lock
from webui_fork.config.image_toml import FRONT_END
from webui_fork.core import process, settings
from webui_fork.core.settings import Settings
from webui_fork.image import inputs
from webui_fork.series import apply


def checkout(folder: Path) -> Path:
    """Copy the checkout that the tests are of, as a clone in another folder would have it."""
    return copied(settings.load().root, folder)


def only_default(folder: Path) -> None:
    """Leave of an image its default flavour, for amd64: locking takes a fifth.

    Args:
        folder: `images/open-webui` of a checkout, or of one of its lines.
    """
    text = (folder / "image.toml").read_text()
    start, end = text.index("# Upstream's standard image."), text.index("# The places of upstream's")
    (folder / "image.toml").write_text((text[:start] + text[end:]).replace('["amd64", "arm64"]', '["amd64"]'))
    for lock in {*folder.glob("full.*.lock"), *folder.glob("*arm64.*.lock")}:
        lock.unlink()


class User:
    """A checkout, a cache and a key of one's own; ``run`` types a command."""

    def __init__(self, folder: Path, real: Settings, *, warm: bool = False, tools_only: bool = False) -> None:
        folder.mkdir(exist_ok=True)
        self.root = checkout(folder / "checkout")
        self.cache = folder / "cache"
        # what was downloaded before is not downloaded again; all else is made anew unless warm
        self.cache.mkdir()
        made = ("layers", "blobs", "source.git") if warm else ()
        # the front end takes minutes: a run builds it for the image, and again where deploy/ has no digest (test_drift)
        for name in ("tools", "frontend-changes", *(() if tools_only else ("downloads", "uv", *made))):
            if (real.cache / name).exists():
                subprocess.run(["cp", "-al", str(real.cache / name), str(self.cache / name)], check=True)
        self.env = {
            **os.environ,
            "PYTHONPATH": str(self.root / "build"),
            "WEBUI_FORK_ROOT": str(self.root),
            "WEBUI_FORK_CACHE": str(self.cache),
            "WEBUI_FORK_CONFIG": str(folder / "config"),
        }
        self.env.pop("COSIGN_PASSWORD", None)

    def with_one_image(self, real: Settings, *, whole: bool = False) -> User:
        """Leave the images beside the main one out, and what that one has beside its default.

        Args:
            whole: leave the main one every flavour and architecture.
        """
        for beside in ("backing", "vllm-cpu"):
            shutil.rmtree(self.root / "images" / beside)
        if not whole:
            only_default(self.root / "images/open-webui")
        return self._locked(real)

    def without_front_end(self, real: Settings) -> User:
        """Leave out of the series what changes the front end, where that would be built again for nothing new."""
        folder = self.root / "patches"
        files, patches = apply.read_series(folder)
        kept = [patch.name for patch in patches if not any(path.startswith(FRONT_END) for path in patch.paths)]
        (folder / "series").write_text("".join(f"{name}\n" for name in kept))
        for name in {name for name, _ in files[1:]} - set(kept):
            (folder / name).unlink()
        return self._locked(real)

    def _locked(self, real: Settings) -> User:
        own = replace(real, root=self.root)
        pinned = upstream_lock.read(own.lock_file)
        upstream_lock.write(own.lock_file, replace(pinned, inputs=inputs.lock_inputs(own)))
        return self

    def on_a_runner(self, home: Path) -> tuple[dict[str, str], dict[str, str]]:
        """Return the environment of a machine of a CI service, and the variables that its jobs get."""
        plain = {name: value for name, value in process.plain(os.environ).items() if not name.startswith("PYTHON")}
        env = {**plain, "HOME": str(home), "PATH": f"{sys.base_prefix}/bin:{os.environ['PATH']}"}
        mirrors = ("PIP_", "UV_", "WEBUI_FORK_DEBIAN")
        given = {name: value for name, value in plain.items() if name.startswith(mirrors)}
        return env, {**given, "WEBUI_FORK_CACHE": str(self.cache)}

    def git(self, *words: str) -> None:
        """Run git in the checkout, with an identity and without hooks."""
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "core.hooksPath=/dev/null"]
        subprocess.run(["git", "-C", str(self.root), *identity, *words], check=True)

    def git_output(self, *words: str) -> str:
        """Return what git says of the checkout."""
        done = subprocess.run(["git", "-C", str(self.root), *words], check=True, capture_output=True, text=True)
        return done.stdout.rstrip()

    def commit(self) -> None:
        """Commit everything; the first time makes it a repository."""
        if not (self.root / ".git").exists():
            self.git("init", "--quiet")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "x")

    @contextmanager
    def start(self, *arguments: str, umask: int = -1, **env: str) -> Iterator[subprocess.Popen[str]]:
        # a shell starts background jobs with SIGINT ignored, and children inherit that
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with subprocess.Popen(
            [sys.executable, "-m", "webui_fork", *arguments],
            cwd=self.root,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            umask=umask,
            start_new_session=True,
        ) as child:
            try:
                yield child
            except BaseException:  # a failing test must not wait for it
                os.killpg(child.pid, signal.SIGKILL)
                raise

    def run(self, *arguments: str, **env: str) -> tuple[int, str, str]:
        with self.start(*arguments, **env) as child:  # type: ignore[arg-type]
            out, err = child.communicate()
        assert "Traceback" not in err, err
        return child.returncode, out, err


def children(pid: int) -> list[int]:
    """Return the processes that a process started and that still run."""
    return [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
