"""`upstream.lock`: the pinned release and the digests of what it was locked with.

Written by the tool in one canonical form, so that reading and writing it changes no byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from webui_fork.config import toml
from webui_fork.config.toml import Table, form
from webui_fork.core.digest import FORM, Digest
from webui_fork.core.errors import LockError
from webui_fork.core.files import sha256_bytes, write_atomic

REMEDY = "Take it back with `git checkout upstream.lock`, or write it anew with `nox -s lock`."
SCHEMA = 1
MAX_FILE_SIZE = 2 << 30

VERSION = r"\d{1,6}(\.\d{1,6}){1,3}"
_Version = Annotated[str, form(VERSION)]
_Digest = Annotated[str, form(FORM)]
# no credentials: a lock is published, and so are command lines
_Remote = Annotated[str, form(r"https://[^\s@\"\\?#]+|ssh://([a-z]+@)?[^\s@\"\\?#]+|file:///[^\s\"\\]*")]


class PinnedFile(Table, frozen=True):
    """A file of the release on the package index; ``size`` in bytes, ``sha256`` bare hex."""

    name: Annotated[str, form(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,200}")]
    size: Annotated[int, Meta(ge=1, le=MAX_FILE_SIZE)]
    sha256: Annotated[str, form(r"[0-9a-f]{64}")]

    @property
    def digest(self) -> Digest:
        """Its digest."""
        return Digest.of_hex(self.sha256)


class GitPin(Table, frozen=True):
    """A git remote and the full commit that holds the release's tree."""

    remote: _Remote
    commit: Annotated[str, form(r"[0-9a-f]{40}|[0-9a-f]{64}")]


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


class _Release(Table, frozen=True, kw_only=True):
    version: _Version
    revision: Annotated[int, Meta(ge=1, le=99999)]
    time: datetime
    sdist: PinnedFile
    wheel: PinnedFile
    git: GitPin | None = None

    def __post_init__(self) -> None:
        toml.check_time("time", self.time)
        for key, pinned in (("sdist", self.sdist), ("wheel", self.wheel)):
            if f"-{self.version}" not in pinned.name:
                raise ValueError(f"`{key}` {pinned.name!r} is not a file of version {self.version}")


class LockDocument(Table, frozen=True, kw_only=True):
    """The pinned release, and the digests of the files that were locked with it."""

    schema: int
    release: _Release
    inputs: dict[str, _Digest]


class _AnyDocument(msgspec.Struct):
    """A lock of any schema: what is new in another one is not called an error before that one is."""

    schema: int

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(
                f"`schema` {self.schema} is not understood: this checkout's tool understands {SCHEMA} alone"
            )


def _lock(document: LockDocument) -> Lock:
    release, inputs = document.release, tuple(sorted(document.inputs.items()))
    return Lock(
        release.version,
        release.time.astimezone(UTC),
        release.sdist,
        release.wheel,
        release.git,
        inputs,
        release.revision,
    )


def parse(text: str, file: Path = Path("upstream.lock")) -> Lock:
    """Parse a lock's text.

    Raises:
        LockError: anything odd; the message has the file, the line and the remedy.
    """
    toml.parse(text, file, _AnyDocument, LockError, REMEDY)
    return _lock(toml.parse(text, file, LockDocument, LockError, REMEDY))


def read(file: Path) -> Lock:
    """Read a lock file.

    Raises:
        LockError: missing, unreadable or odd.
    """
    return parse(toml.text_of(file, LockError, REMEDY), file)


def dump(lock: Lock) -> str:
    """Return the canonical text of a lock."""
    stamp = lock.time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = [
        "#:schema docs/schemas/upstream-lock.json",
        "# The pinned release. Written by `nox -s lock`; a person reviews it, only the tool edits it.",
        f"schema = {SCHEMA}",
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
        CacheError: the file can't be written. LockError: nobody could read it; the old one stays.
    """
    text = dump(lock)
    parse(text, file)
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return False
    write_atomic(file, text)
    return True


def series_digest(files: tuple[tuple[str, bytes], ...]) -> str:
    """Return one digest for the series: its order file and patches, by name and content."""
    listing = "".join(f"{sha256_bytes(data)} {name}\n" for name, data in files)
    return sha256_bytes(listing.encode())
