"""What stands in a layer, read off the layer itself: Debian packages, Python distributions, npm packages.

Sources: dpkg's status file; Core metadata for Python (packaging.python.org); DEP-5 copyright files; package.json.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from webui_fork.core import strict_json
from webui_fork.core.files import code_digest, sha256_bytes, write_atomic
from webui_fork.oci import content as oci_content
from webui_fork.oci import layout
from webui_fork.oci.model import Layer
from webui_fork.rootfs import package as image_package
from webui_fork.rootfs.package import Package
from webui_fork.sources.archive import ZIP_DAMAGES

_STATUS = "var/lib/dpkg/status"
_COPYRIGHT = re.compile(r"usr/share/doc/([^/]+)/copyright")
_METADATA = re.compile(r"(.*/)?[^/]+\.(dist-info/METADATA|egg-info/PKG-INFO)")
_LICENSE_FIELD = re.compile(r"^License: *(\S.*)$", re.MULTILINE)
_COMMON = re.compile(r"/usr/share/common-licenses/([A-Za-z0-9.+-]*[A-Za-z0-9+])")
_CLASSIFIER = "License :: "
_NPM_NAME = re.compile(r"[^/\s\ud800-\udfff]+(/[^/\s\ud800-\udfff]+)*")  # `preact/hooks` is one, in a folder of another
_LONG = 100  # characters: what is longer is a licence's text, not its name


@dataclass
class _Found:
    packages: list[Package] = field(default_factory=list)
    copyrights: dict[str, tuple[str, ...]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)


def of_layer(cache: Path, layer: Layer) -> tuple[Package, ...]:
    """Return what stands in a layer, from the cache where it was read before.

    Args:
        cache: the cache folder; it has the layer's blob.
    """
    key = sha256_bytes(f"{layer.digest} {code_digest('oci', 'trust')}".encode()).hex
    record = cache / "inventory" / f"{key}.json"
    if record.exists():
        return image_package.load(record.read_bytes())
    packages = read(layout.blob_path(cache, layer.digest))
    write_atomic(record, image_package.dump(packages))
    return packages


def read(path: Path) -> tuple[Package, ...]:
    """Read a layer's blob; the packages come in a fixed order."""
    gathered = _Found()
    for info, content in oci_content.read_entries(path, _may_hold_packages):
        name = info.name.rstrip("/")
        if info.issym():
            _alias(gathered, name, info.linkname)
        elif name == _STATUS:
            gathered.packages += _debian(content.decode())
        elif match := _COPYRIGHT.fullmatch(name):
            gathered.copyrights[match.group(1)] = copyright_licenses(content.decode(errors="replace"))
        elif _METADATA.fullmatch(name):
            gathered.packages += _python(name, content.decode(errors="replace"))
        elif name.endswith(".whl"):
            gathered.packages += _wheel(name, content)
        else:
            gathered.packages += _npm(name, content)
    ready = [_licensed(package, gathered) if package.kind == "deb" else package for package in gathered.packages]
    return tuple(sorted(ready, key=lambda package: (package.kind, package.name, package.version, package.paths)))


def _may_hold_packages(path: str) -> bool:
    name = PurePosixPath(path).name
    whole = path == _STATUS or name == "package.json" or name.endswith(".whl")
    return bool(whole or _COPYRIGHT.fullmatch(path) or _METADATA.fullmatch(path))


def _alias(gathered: _Found, name: str, target: str) -> None:
    """Remember that a package's documentation is another package's."""
    parts = PurePosixPath(name).parts
    if parts[:3] == ("usr", "share", "doc") and len(parts) == 4:
        gathered.aliases[parts[3]] = PurePosixPath(target).name


def _debian(text: str) -> Iterable[Package]:
    for stanza in text.split("\n\n"):
        fields = HeaderParser().parsestr(stanza)
        if fields["Package"]:
            yield Package(
                "deb",
                fields["Package"],
                fields["Version"],
                architecture=fields["Architecture"],
                source=fields.get("Source", ""),
                paths=(_STATUS,),
            )


def _licensed(package: Package, gathered: _Found) -> Package:
    name, seen = package.name, {package.name}
    while name not in gathered.copyrights and (target := gathered.aliases.get(name)) and target not in seen:
        seen.add(target)
        name = target
    return Package(**{**asdict(package), "licenses": gathered.copyrights.get(name, ())})


def copyright_licenses(text: str) -> tuple[str, ...]:
    """Return the licences that a Debian copyright file names: its License fields, else the common ones it points at."""
    if text.lstrip().startswith("Format:"):
        return tuple(sorted({match.strip() for match in _LICENSE_FIELD.findall(text)}))
    return tuple(sorted(set(_COMMON.findall(text))))


def _python(path: str, text: str) -> Iterable[Package]:
    fields = HeaderParser().parsestr(text)
    if fields["Name"] and fields["Version"]:
        yield Package("pypi", fields["Name"], fields["Version"], python_licenses(fields), paths=(path,))


def python_licenses(fields: Message) -> tuple[str, ...]:
    """Return the licences of a Python distribution: its expression, else its word, else its classifiers."""
    if expression := fields.get("License-Expression"):
        return (expression.strip(),)
    word = (fields.get("License") or "").strip()
    if word and word != "UNKNOWN" and "\n" not in word and len(word) <= _LONG:
        return (word,)
    listed = fields.get_all("Classifier", [])
    names = {row.rpartition(" :: ")[2] for row in listed if row.startswith(_CLASSIFIER)}
    return tuple(sorted(names))


def _wheel(path: str, content: bytes) -> Iterable[Package]:
    """Yield a wheel that stands in the image as a file: the front end installs some in the browser."""
    try:
        name, version, _, _ = parse_wheel_filename(PurePosixPath(path).name)
    except InvalidWheelFilename:
        return
    sha256 = sha256_bytes(content).hex
    yield Package("pypi", name, str(version), _wheel_licenses(content), paths=(path,), sha256=sha256)


def _wheel_licenses(content: bytes) -> tuple[str, ...]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as wheel:
            name = next(name for name in wheel.namelist() if _METADATA.fullmatch(name))
            return python_licenses(HeaderParser().parsestr(wheel.read(name).decode(errors="replace")))
    except (*ZIP_DAMAGES, KeyError, StopIteration):
        return ()


def _npm(path: str, content: bytes) -> Iterable[Package]:
    try:
        data = strict_json.plain(content)
    except ValueError:
        return
    if not isinstance(data, dict) or not isinstance(data.get("version"), str):
        return
    if isinstance(data.get("name"), str) and _NPM_NAME.fullmatch(data["name"]) and data["version"].isprintable():
        word = data.get("license")
        licenses = (word,) if isinstance(word, str) and word else ()
        yield Package("npm", data["name"], data["version"], licenses, paths=(path,))
