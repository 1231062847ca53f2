"""How a built front end differs from the one in upstream's wheel, file by file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from webui_fork.config.image_toml import BUILT_FRONT_END
from webui_fork.core.digest import Digest, decode
from webui_fork.core.errors import ImageError
from webui_fork.core.files import sha256_bytes
from webui_fork.series.branding import protected_path
from webui_fork.sources import archive
from webui_fork.sources.archive import WheelFile

# of the wheel: upstream's build fetches its packages live, so nobody can build it again
TAKEN = "pyodide/"
_NAME = re.compile(rb"Open WebUI")
NAMED_BY_CONTENT = "_app/immutable/"


@dataclass(frozen=True, slots=True)
class BuiltFile:
    """A file that differs: its digest in the wheel (None: it is not there), its bytes now (None: it is gone)."""

    path: str
    before: Digest | None
    data: bytes | None

    def __str__(self) -> str:
        return f"{self.path} ({'added' if self.before is None else 'gone' if self.data is None else 'changed'})"


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs, in path order, and how many files are the same.

    ``names`` counts how often the product's name is in the files that differ: in the wheel, and now.
    """

    same: int
    files: tuple[BuiltFile, ...]
    names: tuple[int, int]

    def brand_problems(self) -> list[str]:
        """Return how the branding is not upstream's any more (clause 4 of its licence), nothing where it is."""
        problems = [f"{file} is a licence text or a brand asset" for file in self.files if protected_path(file.path)]
        if self.names[1] < self.names[0]:
            problems.append(f"the product's name occurs {self.names[0]} times in the wheel, and {self.names[1]} now")
        return problems

    def dump(self) -> bytes:
        """Return them as bytes for the cache."""
        return msgspec.msgpack.encode(self, enc_hook=str)


def load(data: bytes) -> Changes:
    """Return what was dumped.

    Raises:
        msgspec.MsgspecError: it is damaged.
    """
    return msgspec.msgpack.decode(data, type=Changes, dec_hook=decode)


def between(wheel: Path, name: str, built: Path) -> Changes:
    """Compare the front end in a wheel with a folder.

    Args:
        wheel: of the release.
        name: of the wheel, for messages.
        built: what was built; it has nothing of :data:`TAKEN`.

    Raises:
        ArchiveError: the wheel is bad. ImageError: the folder has something else than files.
    """
    outputs = dict(_outputs(built))
    same = 0
    changed = []
    names = [0, 0]
    with archive.wheel_files(wheel, name, BUILT_FRONT_END) as files:
        originals: dict[str, WheelFile] = {file.path: file for file in files if not file.path.startswith(TAKEN)}
        for path in sorted(outputs.keys() | originals.keys()):
            before = originals[path].read() if path in originals else None
            after = outputs[path].read_bytes() if path in outputs else None
            if before == after:
                same += 1
            else:
                changed.append(BuiltFile(path, None if before is None else sha256_bytes(before), after))
                if not path.endswith(".map"):  # no browser shows what is in one
                    names[0] += len(_NAME.findall(before or b""))
                    names[1] += len(_NAME.findall(after or b""))
    return Changes(same, tuple(changed), (names[0], names[1]))


def _outputs(built: Path) -> Iterator[tuple[str, Path]]:
    for place, folders, names in os.walk(built):
        for name in (*names, *folders):
            path = Path(place) / name
            inside = archive.safe_path(path.relative_to(built).as_posix(), "The built front end")
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise ImageError(f"The built front end has {inside}, which is no plain file.")
            if path.is_file() and not inside.startswith(TAKEN):
                yield inside, path
