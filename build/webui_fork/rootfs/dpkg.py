"""dpkg's database of what is installed, as dpkg itself would have written it (dpkg(1), deb-triggers(5)).

Scanners name packages by it, and whoever builds on the image can go on installing packages.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from webui_fork.core.errors import ArchiveError
from webui_fork.rootfs import layers
from webui_fork.rootfs.deb import Package
from webui_fork.rootfs.layers import Entry

FOLDER = "var/lib/dpkg"
# The order in which dpkg writes fields (lib/dpkg/parse.c); others follow as the package has them.
_ORDER = (
    "Package", "Essential", "Protected", "Status", "Priority", "Section", "Installed-Size", "Origin", "Maintainer",
    "Bugs", "Architecture", "Multi-Arch", "Source", "Version", "Replaces", "Provides", "Depends", "Pre-Depends",
    "Recommends", "Suggests", "Breaks", "Conflicts", "Enhances", "Conffiles", "Description",
)  # fmt: skip


def entries(packages: Sequence[Package], architecture: str) -> Iterator[Entry]:
    """Yield the database's files.

    Args:
        packages: those that are installed, in the order of their names.
        architecture: of the system, in Debian's word.
    """
    yield layers.file_entry(f"{FOLDER}/status", "".join(_stanza(package) for package in packages).encode())
    yield layers.file_entry(f"{FOLDER}/arch", f"{architecture}\n".encode())
    yield layers.file_entry(f"{FOLDER}/info/format", b"1\n")
    for name in ("alternatives", "parts", "triggers", "updates"):
        yield layers.folder_entry(f"{FOLDER}/{name}")
    for package in packages:
        stem = f"{FOLDER}/info/{_qualified(package)}"
        paths = ["/.", *(f"/{entry.path}" for entry in package.entries)]
        yield layers.file_entry(f"{stem}.list", "".join(f"{path}\n" for path in paths).encode())
        for name, data in package.control:
            script = name in ("config", "postinst", "postrm", "preinst", "prerm")
            yield layers.file_entry(f"{stem}.{name}", data, executable=script)
    yield from _triggers(packages)


def _qualified(package: Package) -> str:
    """Return a package's name, with its architecture where those of two may be installed side by side."""
    same = package.field("Multi-Arch") == "same"
    return f"{package.deb.name}:{package.field('Architecture')}" if same else package.deb.name


def _stanza(package: Package) -> str:
    fields = dict(package.fields) | {"Status": "install ok installed"}
    if conffiles := _conffiles(package):
        fields["Conffiles"] = "".join(f"\n {path} {md5}" for path, md5 in conffiles)
    rank = {name: place for place, name in enumerate(_ORDER)}
    ordered = sorted(fields.items(), key=lambda pair: rank.get(pair[0], len(rank)))
    return "".join(f"{name}:{'' if value[:1] == chr(10) else ' '}{value}\n" for name, value in ordered) + "\n"


def _conffiles(package: Package) -> list[tuple[str, str]]:
    by_path = {f"/{entry.path}": entry for entry in package.entries if entry.kind == tarfile.REGTYPE}
    lines = dict(package.control).get("conffiles", b"").decode("utf-8", "replace").splitlines()
    return [
        (line, hashlib.md5(layers.content(by_path[line]), usedforsecurity=False).hexdigest())
        for line in lines
        if line in by_path  # not `remove-on-upgrade /path`
    ]


def _triggers(packages: Iterable[Package]) -> Iterator[Entry]:
    """Yield who is told when something is installed: `ldconfig` of libc-bin, say."""
    files: list[str] = []
    named: dict[str, list[str]] = defaultdict(list)
    for package in packages:
        for line in dict(package.control).get("triggers", b"").decode("utf-8", "replace").splitlines():
            directive, _, name = line.partition("#")[0].strip().partition(" ")
            if not directive.startswith("interest"):
                continue
            row = _qualified(package) + ("/noawait" if directive.endswith("noawait") else "")
            if not re.fullmatch(r"/[^\0]*|[A-Za-z0-9][A-Za-z0-9+._:-]*", name):
                raise ArchiveError(f"{package.deb.name} names a malformed trigger: {name!r}.")
            if name.startswith("/"):
                files.append(f"{name} {row}\n")
            else:
                named[name].append(f"{row}\n")
    yield layers.file_entry(f"{FOLDER}/triggers/File", "".join(files).encode())
    for name, rows in sorted(named.items()):
        yield layers.file_entry(f"{FOLDER}/triggers/{name}", "".join(rows).encode())
