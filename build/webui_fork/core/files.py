"""Files: atomic writes, digests, locks between processes. Nothing here is ever half-written."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

from webui_fork.core.digest import Digest
from webui_fork.core.errors import DigestError, from_os_error

_OURS = ".webui-fork-"


def sha256_bytes(data: bytes) -> Digest:
    """Return the ``sha256:…`` digest of some bytes."""
    return Digest.of_hex(hashlib.sha256(data).hexdigest())


@cache
def code_digest(*rooms: str) -> Digest:
    """Return a digest of all modules of rooms of this package: code is an input of what it writes."""
    package = Path(__file__).parents[1]
    modules = [module for room in rooms for module in sorted((package / room).glob("*.py"))]
    rows = [f"{module.relative_to(package)} {sha256_bytes(module.read_bytes())}" for module in modules]
    return sha256_bytes("\n".join(rows).encode())


def sha256_file(path: Path) -> Digest:
    """Return the ``sha256:…`` digest of a file, read in bounded memory."""
    with path.open("rb") as file:
        return Digest.of_hex(hashlib.file_digest(file, "sha256").hexdigest())


def ensure_folder(path: Path, mode: int = 0o755) -> Path:
    """Create a folder with its parents; return it.

    Raises:
        CacheError: it can't be created or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=mode)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied", str(path))
    except OSError as error:
        raise from_os_error(error, "use the folder") from error
    return path


@contextmanager
def temp_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a private folder beside its destination, removed at the end whatever happens."""
    ensure_folder(parent)
    sweep(parent)
    path, handle = _held_folder(parent, prefix)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


def _held_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    """Make a folder and lock it: a number of a process says nothing to another container with the same cache."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=f"{_OURS}{prefix}-", dir=parent))
        with suppress(FileNotFoundError):  # a sweep may be quicker than the lock, at each step
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            if _locked(handle) and path.exists():
                return path, handle
            os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def sweep(parent: Path) -> None:
    """Remove the private folders of runs that were killed: those that nobody has locked, and with no mount inside."""
    mounts = Path("/proc/mounts").read_text() if Path("/proc/mounts").exists() else ""
    for path in parent.glob(f"{_OURS}*"):
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        if _locked(handle) and f" {path}/" not in mounts:
            shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


def write_atomic(path: Path, data: bytes | str, mode: int = 0o644) -> None:
    """Write a file beside its place, then rename it there.

    Raises:
        DiskFullError: no space is left. CacheError: it can't be written. The old file stays.
    """
    payload = data.encode() if isinstance(data, str) else data
    ensure_folder(path.parent)
    temp: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temp = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(payload)
        temp.chmod(mode)
        temp.replace(path)
    except OSError as error:
        raise from_os_error(error, f"write {path}") from error
    finally:
        if temp is not None:
            with suppress(OSError):
                temp.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a content-addressed file a second name: a hard link where possible, else a copy.

    Raises:
        DiskFullError, CacheError: the copy can't be made.
    """
    ensure_folder(target.parent)
    temp = target.parent / f".{target.name}.{secrets.token_hex(8)}"  # two containers may have one process ID
    try:
        try:
            os.link(source, temp)
        except OSError:
            shutil.copyfile(source, temp)
        temp.replace(target)
    except OSError as error:
        raise from_os_error(error, f"write {target}") from error
    finally:
        with suppress(OSError):
            temp.unlink(missing_ok=True)


def open_plain(path: Path) -> BinaryIO:
    """Open a file that may be somebody else's: a pipe or a device would never end.

    Raises:
        OSError: it is none, or not a plain file.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "Not a plain file", str(path))
    return os.fdopen(handle, "rb")


def read_plain(path: Path, limit: int) -> bytes:
    """Return what is in a file that may be somebody else's.

    Args:
        path: the file.
        limit: bytes that it may have.

    Raises:
        OSError: it can't be read, is not a plain file, or has more.
    """
    with open_plain(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, "File too large", str(path))
    return data


def take_over(source: Path, target: Path, digest: Digest) -> None:
    """Copy a file that somebody else can change; it gets its name when it is what its digest says, and stays so.

    Raises:
        DigestError: it is another. DiskFullError, CacheError: it can't be copied.
    """
    with temp_folder(target.parent, "copy") as work:
        try:
            with open_plain(source) as file, (work / "file").open("wb") as out:
                shutil.copyfileobj(file, out)
            if sha256_file(work / "file") != digest:
                raise DigestError(
                    f"{source} does not match the digest in its name.", remedy="Get it again from its source."
                )
            (work / "file").replace(target)
        except OSError as error:
            raise from_os_error(error, f"copy {source}") from error


@contextmanager
def exclusive(path: Path, what: str, say: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold an advisory lock on a file, so that two runs do not tread on each other.

    The kernel releases it when the process ends, however it ends.

    Args:
        path: the lock file.
        what: what is locked, as "this checkout", for the message.
        say: told once when another run is waited for.
    """
    ensure_folder(path.parent)
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)  # else anybody can hold it
    except OSError as error:
        raise from_os_error(error, f"lock {what}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = path.read_text(errors="replace").strip() or "another process"
            if say:
                say(f"Another run ({holder}) is using {what}; waiting for it to end.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def check(path: Path, digest: Digest) -> None:
    """Check a cached file before it is used; a damaged one is removed.

    Raises:
        DigestError: it is not what its name says.
    """
    if sha256_file(path) != digest:
        path.unlink()
        raise DigestError(
            f"The cached file {path} was damaged.", why="It is removed.", remedy="Run this again to download it anew."
        )
