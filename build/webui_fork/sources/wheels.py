"""Wheels as files in the cache: the exact ones of a lock, under their digests.

uv keeps what it installed unpacked; who passes inputs on needs the files themselves, and their names.
"""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

from webui_fork.config import requirements_lock
from webui_fork.core import process
from webui_fork.core.errors import SourceError
from webui_fork.core.files import link_or_copy, sha256_file, temp_folder
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.sources import download, package_index
from webui_fork.sources.archive import ZIP_DAMAGES

_NAME = re.compile(r"([A-Za-z0-9_.]+-[A-Za-z0-9_.!+]+)\.dist-info/WHEEL")
_TAG = re.compile(r"^Tag: *([A-Za-z0-9_.]+)-([A-Za-z0-9_.]+)-([A-Za-z0-9_.]+) *$", re.MULTILINE)
_BUILD = re.compile(r"^Build: *([0-9][A-Za-z0-9_.]*) *$", re.MULTILINE)


def filename(file: Path) -> str:
    """Return the name that a wheel has by what it says of itself: the cache knows it by its digest only.

    Source: binary distribution format (packaging.python.org).

    Raises:
        SourceError: it is not a wheel.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            inside, stem = next((name, match[1]) for name in archive.namelist() if (match := _NAME.fullmatch(name)))
            text = archive.read(inside).decode().replace("\r\n", "\n")  # of wheels that were made on Windows
    except (*ZIP_DAMAGES, KeyError, StopIteration) as error:
        raise SourceError(f"{file} is not a wheel.", why=str(error)) from error
    tags = _TAG.findall(text)
    if not tags:
        raise SourceError(f"{file} is not a wheel.", why="It names no tag.")
    build = "".join(f"-{number}" for number in _BUILD.findall(text)[:1])
    parts = [".".join(dict.fromkeys(column)) for column in zip(*tags, strict=True)]
    return f"{stem}{build}-{'-'.join(parts)}.whl"


def at_hand(settings: Settings, lock: str, folder: Path) -> int:
    """Give those wheels of a lock that the cache has as files their names in a folder; return how many.

    Raises:
        SourceError: a file that should be a wheel is none. CacheError: the folder can't be written.
    """
    files = [download.cached(settings.cache, digest) for _, _, digest in requirements_lock.pins(lock)]
    present = [file for file in files if file.exists()]
    for file in present:
        link_or_copy(file, folder / filename(file))
    return len(present)


def obtain(settings: Settings, lock: str, version: str, machine: str, ui: Terminal) -> tuple[Path, ...]:
    """Have every wheel of a lock in the cache, as files; pip fetches those that are missing, from its own index.

    Args:
        lock: the text of `requirements.lock`.
        version: of Python, as 3.11.
        machine: as uname has it.
        ui: says what is fetched.

    Raises:
        ToolError: pip can't get one. SourceError: the index gives another.
    """
    pins = {digest: f"{name}=={number}" for name, number, digest in requirements_lock.pins(lock)}
    locked_files = {digest: download.cached(settings.cache, digest) for digest in pins}
    missing = {digest for digest, file in locked_files.items() if not file.exists()}
    if missing:
        with (
            temp_folder(settings.cache / "tmp", "wheels") as work,
            ui.step("wheels", f"Downloading {len(missing)} wheels as files"),
        ):
            rows = [f"{pins[digest]} --hash={digest}\n" for digest in sorted(missing)]
            (work / "requirements.lock").write_text("".join(rows), encoding="utf-8")
            argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
            argv += ["--only-binary", ":all:", "--dest", str(work / "wheels"), "-r", str(work / "requirements.lock")]
            argv += requirements_lock.pip_arguments(version, machine)
            where = package_index.configured(settings).pip_variables()
            process.run(argv, env={**settings.environ, **where}, doing="download the wheels")
            for file in (work / "wheels").iterdir():
                digest = sha256_file(file)
                if digest in missing:
                    link_or_copy(file, locked_files[digest])
                    missing.discard(digest)
    if missing:
        raise SourceError(
            f"The index no longer has {len(missing)} of the locked wheels.", why=", ".join(sorted(missing))
        )
    return tuple(locked_files.values())
