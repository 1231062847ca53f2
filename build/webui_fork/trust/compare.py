"""Two images side by side: which layer differs, in which file, in which field. Pure but for reading the layers."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from webui_fork.oci.content import read_entries
from webui_fork.oci.model import Image

Row = dict[str, Any]
_KINDS = {tarfile.REGTYPE: "file", tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "hard link"}


def values(one: Any, other: Any, where: str = "") -> Iterator[str]:
    """Yield a line for each place where two JSON values differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            yield from values(one.get(key), other.get(key), f"{where}.{key}" if where else key)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from values(*pair, f"{where}[{number}]")
    elif one != other:
        yield f"{where}: published {_short(one)}, rebuilt {_short(other)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}…"


def images(published: Image, rebuilt: Image) -> Iterator[str]:
    """Yield a line for each field of manifest and configuration that differs, layers' digests left out."""
    for name in ("manifest", "config"):
        pair = [getattr(image, name).parsed() for image in (published, rebuilt)]
        for document in pair:
            document.pop("layers", None)
            document.pop("rootfs", None)
            if name == "manifest":
                document.pop("config", None)
        for line in values(*pair):
            yield f"{name}: {line}"


def layers(name: str, published: Path, rebuilt: Path) -> Iterator[str]:
    """Yield a line for each entry of a layer that differs, and the field of it.

    Args:
        name: the layer's. published, rebuilt: both blobs.
    """
    one, other = _entries(published), _entries(rebuilt)
    before = len(one)
    for path in sorted(one.keys() | other.keys()):
        if path not in other:
            yield f"layer {name}: /{path} is only in the published one"
        elif path not in one:
            yield f"layer {name}: /{path} is only in the rebuilt one"
        else:
            for key, value in one[path].items():
                if value != other[path][key]:
                    yield f"layer {name}: /{path}: {key}: published {value}, rebuilt {other[path][key]}"
    if list(one) != list(other) and one == other:
        yield f"layer {name}: the {before} entries are the same, in another order"
    elif one == other:
        yield f"layer {name}: the {before} entries are the same; tar or gzip framing differs (another compressor?)"


def _entries(path: Path) -> Mapping[str, Row]:
    rows: dict[str, Row] = {}
    for info, data in read_entries(path):
        rows[info.name.rstrip("/")] = {
            "kind": _KINDS.get(info.type, str(info.type)),
            "mode": f"{info.mode:04o}",
            "owner": f"{info.uid}:{info.gid}",
            "time": int(info.mtime),
            "target": info.linkname,
            "size": info.size,
            "content": f"sha256:{hashlib.sha256(data).hexdigest()[:16]}…" if info.isreg() else "",
        }
    return rows
