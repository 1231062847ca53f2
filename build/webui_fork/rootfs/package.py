"""A package that stands in an image, and its package URL. Pure.

Source: purl (https://github.com/package-url/purl-spec).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from packageurl import PackageURL
from packaging.utils import canonicalize_name


@dataclass(frozen=True, slots=True)
class Package:
    """A package that stands in an image.

    ``kind`` is its purl type (deb, pypi, npm), ``source`` the Debian source package (with its version where that is
    another), ``licenses`` as the package words them, ``paths`` where it was found, ``sha256`` or ``sha512`` (bare)
    of the archive it was installed from, where that is known.
    """

    kind: str
    name: str
    version: str
    licenses: tuple[str, ...] = ()
    architecture: str = ""
    source: str = ""
    paths: tuple[str, ...] = ()
    sha256: str = ""
    sha512: str = ""


def dump(packages: Iterable[Package]) -> bytes:
    """Return packages as JSON, for the cache."""
    return json.dumps([asdict(package) for package in packages]).encode()


def load(data: bytes) -> tuple[Package, ...]:
    """Return the packages that :func:`dump` wrote."""
    rows = json.loads(data)
    return tuple(Package(**{**row, "licenses": tuple(row["licenses"]), "paths": tuple(row["paths"])}) for row in rows)


def of(package: Package, distribution: str) -> PackageURL:
    """Return the purl of a package, in the canonical form of its type.

    Args:
        distribution: the Debian release that a Debian package is of, as `12`.
    """
    if package.kind == "deb":
        qualifiers = {"arch": package.architecture, "distro": f"debian-{distribution}"}
        if package.source:
            qualifiers["upstream"] = re.sub(r" \((.*)\)", r"@\1", package.source)
        return PackageURL("deb", "debian", package.name, package.version, qualifiers)
    if package.kind == "npm":
        group, _, name = package.name.rpartition("/")
        return PackageURL("npm", group or None, name, package.version or None)
    return PackageURL("pypi", None, canonicalize_name(package.name), package.version)
