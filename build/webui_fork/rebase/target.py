"""Find the release that a rebase goes to."""

from __future__ import annotations

from webui_fork.config.upstream_lock import GitPin, Lock
from webui_fork.core import git
from webui_fork.core.errors import SourceError
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.sources import package_index


def target(settings: Settings, old: Lock, version: str | None, ui: Terminal) -> Lock | None:
    """Find the release to go to, as a lock without inputs; None when the pinned one is the newest.

    Raises:
        SourceError: the index can't be read. LockError: it has no such release.
    """
    from packaging.version import Version

    where = package_index.configured(settings)
    with ui.step("index", "Asking the index for releases"):
        releases, _ = package_index.listing(where, package_index.session(where))
    picked = package_index.pick(releases, version)
    if picked.version == old.version or (version is None and Version(picked.version) < Version(old.version)):
        return None
    pin = None
    if old.git:
        pin = GitPin(old.git.remote, _tag(settings, old.git.remote, picked.version))
    return Lock(picked.version, picked.time, picked.sdist, picked.wheel, pin, ())


def _tag(settings: Settings, remote: str, version: str) -> str:
    """Return the commit of a release's tag on the git remote."""
    tag = f"v{version}"
    done = git.in_checkout(settings, "ls-remote", "--tags", "--", remote, tag, f"{tag}^{{}}", check=False)
    rows = [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]
    if done.code or not rows:
        raise SourceError(f"The git remote has no tag v{version}.", why=done.tail(), remedy="Name another with --to.")
    return max(rows, key=lambda row: row[1].endswith("^{}"))[0]
