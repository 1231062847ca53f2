"""`upstream.lock`: the pinned release and the digests of what it was locked with.

Written by the tool in one canonical form, so that reading and writing it changes no byte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from webui_fork.config import toml
from webui_fork.config.toml import Table
from webui_fork.core.errors import LockError
from webui_fork.core.files import sha256_bytes, write_atomic

REMEDY = "Take it back with `git checkout upstream.lock`, or write it anew with `nox -s lock`."
MAX_FILE_SIZE = 2 << 30

_VERSION = re.compile(r"\d+(\.\d+){1,3}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,200}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# no credentials: a lock is published, and so are command lines
_REMOTE = re.compile(r"(https://[^\s@\"\\?#]+|ssh://([a-z]+@)?[^\s@\"\\?#]+|file:///[^\s\"\\]*)")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file of the release on the package index; ``size`` in bytes, ``sha256`` bare hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class GitPin:
    """A git remote and the full commit that holds the release's tree."""

    remote: str
    commit: str


@dataclass(frozen=True, slots=True)
class Lock:
    """The parsed `upstream.lock`.

    ``revision`` is the patchset revision: it starts at 1 with a release, and grows with what is changed
    on top of it (docs/adr/0007-patchset-revision.md).
    """

    version: str
    time: datetime
    sdist: PinnedFile
    wheel: PinnedFile
    git: GitPin | None
    inputs: tuple[tuple[str, str], ...]
    revision: int = 1

    @property
    def tag(self) -> str:
        """The version tag of what is built from it: release and patchset revision, as `v0.12.4-p3`."""
        return f"v{self.version}-p{self.revision}"

    @property
    def created(self) -> str:
        """The release's time, as RFC 3339 has it."""
        return self.time.strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def epoch(self) -> int:
        """The release's time in seconds since 1970 (SOURCE_DATE_EPOCH)."""
        return int(self.time.timestamp())

    def input(self, name: str) -> str | None:
        """Return the digest an input had when the lock was written."""
        return dict(self.inputs).get(name)


def _pinned(table: Table) -> PinnedFile:
    pinned = PinnedFile(
        name=table.string("name", pattern=_NAME),
        size=table.integer("size", 1, MAX_FILE_SIZE),
        sha256=table.digest(),
    )
    table.done()
    return pinned


def _inputs(table: Table) -> tuple[tuple[str, str], ...]:
    values = table.mapping("inputs")
    child = table.table("inputs")
    for name, digest in values.items():
        if not _DIGEST.fullmatch(digest):
            raise child.fail(name, f"{digest!r} is not a digest (sha256: and 64 hexadecimal digits)")
    return tuple(sorted(values.items()))


def _build(document: Table) -> Lock:
    if document.integer("schema", 1, 1 << 30) != 1:
        raise document.fail("schema", "only schema 1 is understood; this checkout's tool is older than the lock")
    release = document.table("release")
    git = release.table_or_none("git")
    pin = None
    if git is not None:
        pin = GitPin(git.string("remote", pattern=_REMOTE), git.string("commit", pattern=_COMMIT))
        git.done()
    lock = Lock(
        version=release.string("version", pattern=_VERSION),
        time=release.time("time"),
        sdist=_pinned(release.table("sdist")),
        wheel=_pinned(release.table("wheel")),
        git=pin,
        inputs=_inputs(document),
        revision=release.integer("revision", 1, 99999),
    )
    for key, pinned in (("sdist", lock.sdist), ("wheel", lock.wheel)):
        if f"-{lock.version}" not in pinned.name:
            raise release.fail(key, f"{pinned.name!r} is not a file of version {lock.version}")
    release.done()
    return lock


def parse(text: str, file: Path = Path("upstream.lock")) -> Lock:
    """Parse a lock's text.

    Raises:
        LockError: anything odd; the message has the file, the line and the remedy.
    """
    document = toml.parse(text, file, LockError, REMEDY)
    lock = _build(document)
    document.done()
    return lock


def read(file: Path) -> Lock:
    """Read a lock file.

    Raises:
        LockError: missing, unreadable or odd.
    """
    lock: Lock = toml.read(file, LockError, REMEDY, _build)
    return lock


def dump(lock: Lock) -> str:
    """Return the canonical text of a lock."""
    stamp = lock.time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = [
        "# The pinned release. Written by `nox -s lock`; a person reviews it, only the tool edits it.",
        "schema = 1",
        "",
        "[release]",
        f'version = "{lock.version}"',
        f"revision = {lock.revision}",
        f"time = {stamp}",
    ]
    for key, pinned in (("sdist", lock.sdist), ("wheel", lock.wheel)):
        lines += [
            "",
            f"[release.{key}]",
            f'name = "{pinned.name}"',
            f"size = {pinned.size}",
            f'sha256 = "{pinned.sha256}"',
        ]
    if lock.git:
        lines += ["", "[release.git]", f'remote = "{lock.git.remote}"', f'commit = "{lock.git.commit}"']
    lines += ["", "[inputs]", *(f'"{name}" = "{digest}"' for name, digest in lock.inputs)]
    return "\n".join(lines) + "\n"


def write(file: Path, lock: Lock) -> bool:
    """Write a lock atomically; return whether any byte changed.

    Raises:
        CacheError: the file can't be written; the old one stays.
    """
    text = dump(lock)
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return False
    write_atomic(file, text)
    return True


def series_digest(files: tuple[tuple[str, bytes], ...]) -> str:
    """Return one digest for the series: its order file and patches, by name and content."""
    listing = "".join(f"{sha256_bytes(data)} {name}\n" for name, data in files)
    return sha256_bytes(listing.encode())
