"""The bytes of a blob, on their way to a registry or out of a layer."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from webui_fork.core.digest import Digest
from webui_fork.core.errors import ImageError
from webui_fork.core.files import check, open_plain

CHUNK = 1 << 20


class Content(Protocol):
    """A blob's bytes, wherever they are."""

    @property
    def size(self) -> int:
        """How many there are."""

    def read(self, start: int) -> Iterator[bytes]:
        """Yield them from an offset on."""


@dataclass(frozen=True, slots=True)
class FileContent:
    """Bytes in a file."""

    path: Path

    @property
    def size(self) -> int:
        """How many there are."""
        return self.path.stat().st_size

    def read(self, start: int) -> Iterator[bytes]:
        """Yield them from an offset on."""
        with open_plain(self.path) as file:
            file.seek(start)
            while data := file.read(CHUNK):
                yield data


class Body:
    """A request's body of known length: requests asks its length, and reads on."""

    def __init__(self, pieces: Iterator[bytes], length: int) -> None:
        self._pieces, self._length = pieces, length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


def checked(path: Path, digest: Digest) -> FileContent:
    """Return a file as content, once it is what its digest says.

    Raises:
        DigestError: it was damaged; it is removed.
    """
    check(path, digest)
    return FileContent(path)


def read_entries(
    path: Path, selects: Callable[[str], bool] = lambda _path: True, limit: int = 1 << 30
) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Yield each member of a layer with its content; files that are not wanted are passed over.

    Args:
        path: the layer's blob. selects: tells whether a file's path is. limit: bytes that a wanted file may have.
    """
    with gzip.open(path, "rb") as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
        for info in tar:
            if info.isreg():
                if selects(info.name) and (file := tar.extractfile(info)):
                    if info.size > limit:
                        raise ImageError(f"/{info.name} has {info.size} bytes, more than the {limit} it may have.")
                    yield info, file.read()
            else:
                yield info, b""
