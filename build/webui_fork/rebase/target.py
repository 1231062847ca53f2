"""Find the release that a rebase goes to."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from webui_fork.config import debian_lock, image_toml, policy
from webui_fork.config.upstream_lock import GitPin, Lock
from webui_fork.core import git
from webui_fork.core.errors import SourceError
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image.inputs import IMAGE
from webui_fork.sources import changelog, package_index, release
from webui_fork.sources.package_index import Release


def target(settings: Settings, old: Lock, version: str | None, ui: Terminal) -> Lock | None:
    """Find the release to go to, as a lock without inputs; None when there is none that the policy admits.

    Args:
        settings: of the checkout.
        old: what is pinned.
        version: the release to go to, whatever the policy says; None: the newest that it admits.
        ui: says which newer ones it leaves out, and why.

    Raises:
        SourceError: the index can't be read. LockError: it has no such release, or the policy is odd.
    """
    where = package_index.configured(settings)
    with ui.step("index", "Asking the index for releases"):
        releases, _ = package_index.listing(where, package_index.session(where))
    picked: Release | None = package_index.pick(releases, version)
    if version is None:
        picked = _newest(settings, releases, old.version, ui)
    if picked is None or picked.version == old.version:
        return None
    pin = None
    if old.git:
        pin = GitPin(old.git.remote, _tag(settings, old.git.remote, picked.version))
    return replace(picked.lock, git=pin)


def _newest(settings: Settings, releases: Sequence[Release], pinned: str, ui: Terminal) -> Release | None:
    """Return the newest release that is newer than the pinned one, and that the policy admits."""
    from packaging.version import Version

    rules = policy.read(settings.root)
    for one in reversed(releases):
        if Version(one.version) <= Version(pinned):
            break
        why = rules.refusal(pinned, one.version)
        wait = "" if why else rules.wait(datetime.now(UTC) - one.time)
        if wait and not _is_urgent(settings, one, ui):
            why = wait
        if not why:
            return one
        ui.say(f"Open WebUI {one.version} is left out: {why}.")
    return None


def _is_urgent(settings: Settings, one: Release, ui: Terminal) -> bool:
    """Tell whether a release says of itself that it fixes a vulnerability."""
    text = git.repository(settings).read_file(release.release_commit(settings, one.lock, ui), "CHANGELOG.md") or b""
    return changelog.fixes_a_vulnerability(text.decode("utf-8", "replace"), one.version)


def left_behind(pyproject: bytes, version: str, python: str) -> str:
    """Return why an image's interpreter can't run a release, or "".

    Args:
        pyproject: the release's `pyproject.toml`.
        version: the release.
        python: the interpreter's version, as 3.11.2.
    """
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        asked_for = str(tomllib.loads(pyproject.decode()).get("project", {}).get("requires-python", ""))
        fits = SpecifierSet(asked_for).contains(python, prereleases=True)
    except (ValueError, AttributeError, InvalidSpecifier, RecursionError):
        return ""  # what can't be read decides nothing: the gate will
    return "" if fits else f"Open WebUI {version} needs Python {asked_for}; the image's base has {python}."


def interpreter(settings: Settings) -> str:
    """Return the version of the Python that is locked for the image, as 3.11.2.

    Raises:
        ImageError, LockError: the description or the lock is odd.
    """
    spec = image_toml.read(settings.root / "images" / IMAGE)
    name = f"python{spec.python.version}"
    debs = debian_lock.read(spec.lock("debian")).debs
    return next((deb.version.partition("-")[0] for deb in debs if deb.name == name), spec.python.version)


def _tag(settings: Settings, remote: str, version: str) -> str:
    """Return the commit of a release's tag on the git remote."""
    tag = f"v{version}"
    done = git.in_checkout(settings, "ls-remote", "--tags", "--", remote, tag, f"{tag}^{{}}", check=False)
    rows = [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]
    if done.code or not rows:
        raise SourceError(f"The git remote has no tag v{version}.", why=done.tail(), remedy="Name another with --to.")
    return max(rows, key=lambda row: row[1].endswith("^{}"))[0]
