"""Wheels of pure Python distributions that the index has as source only, made without running their setup code.

The package's files and the metadata that the source distribution carries are all that such a wheel has, so the same
source gives the same bytes everywhere. Source: binary distribution format (packaging.python.org).
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from webui_fork.config.image_tables import Sdist
from webui_fork.core.errors import SourceError
from webui_fork.core.files import link_or_copy, sha256_bytes, write_atomic
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.sources import archive, download, package_index

_WHEEL = b"Wheel-Version: 1.0\nGenerator: webui_fork\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def obtain(settings: Settings, sources: Iterable[Sdist], folder: Path, ui: Terminal) -> None:
    """Make the wheels of an image that have to be made, as files with their names; the cache has them, too.

    Args:
        settings: have the index and the cache.
        sources: the distributions.
        folder: where the wheels go.
        ui: says what is downloaded.

    Raises:
        SourceError, DigestError: a source can't be obtained, or is another one. ArchiveError: it is damaged.
    """
    for source in sources:
        sdist = package_index.sdist(settings, source, ui)
        files = {member.path: member.data for member in archive.sdist_members(sdist, source.name)}
        data = build(source, files)
        cached = download.cached(settings.cache, sha256_bytes(data))
        write_atomic(cached, data)
        stem = source.name.replace("-", "_")
        link_or_copy(cached, folder / f"{stem}-{source.version}-py3-none-any.whl")


def build(source: Sdist, files: Mapping[str, bytes]) -> bytes:
    """Return the wheel of a source distribution.

    Args:
        source: which one, and which package of it.
        files: of the source distribution, by path.

    Raises:
        SourceError: it has no such package, or is not pure Python, or is another distribution.
    """
    stem = f"{source.name.replace('-', '_')}-{source.version}"
    inside = {path: data for path, data in files.items() if path.startswith(f"{source.package}/")}
    foreign = [path for path in inside if path.endswith((".c", ".pyx", ".so", ".rs", ".f"))]
    if f"{source.package}/__init__.py" not in inside or foreign:
        why = f"It holds {foreign[0]}." if foreign else f"It has no package {source.package}."
        raise SourceError(f"{source.name} {source.version} is not a pure Python package.", why=why)
    terms = {path: data for path, data in files.items() if path.startswith(("LICENSE", "NOTICE", "COPYING"))}
    inside |= {f"{stem}.dist-info/{path}": data for path, data in terms.items() if "/" not in path}
    inside |= {f"{stem}.dist-info/METADATA": _metadata(source, files), f"{stem}.dist-info/WHEEL": _WHEEL}
    record = f"{stem}.dist-info/RECORD"
    rows = [f"{path},{_hash(data)},{len(data)}\n" for path, data in sorted(inside.items())]
    inside[record] = "".join([*rows, f"{record},,\n"]).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as wheel:  # stored: compressed bytes would be those of one zlib
        for path, data in sorted(inside.items()):
            wheel.writestr(zipfile.ZipInfo(path), data)
    return out.getvalue()


def _hash(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _metadata(source: Sdist, files: Mapping[str, bytes]) -> bytes:
    """Return PKG-INFO, with the requirements that setuptools keeps beside it where they are not in it."""
    text = files.get("PKG-INFO", b"").decode("utf-8", "replace")
    # old ones have the description as a field of many lines, newer ones after the first empty line
    place = min(place for place in (text.find("\nDescription:"), text.find("\n\n"), len(text)) if place >= 0)
    head, rest = text[:place].rstrip("\n"), text[place:] or "\n"
    fields = dict(line.partition(": ")[::2] for line in head.splitlines())
    if (fields.get("Name", "").lower().replace("_", "-"), fields.get("Version")) != (source.name, source.version):
        raise SourceError(f"The source of {source.name} {source.version} contains another package than that.")
    beside = files.get(f"{source.name.replace('-', '_')}.egg-info/requires.txt", b"").decode("utf-8", "replace")
    requires = [line for line in beside.partition("[")[0].splitlines() if line.strip()]
    rows = [] if "\nRequires-Dist:" in head else [f"\nRequires-Dist: {line}" for line in requires]
    return (head + "".join(rows) + rest).encode()
