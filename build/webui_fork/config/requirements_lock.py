"""Which wheel of a distribution a target takes, so that a lock can name that one and no other. Pure.

Sources: platform compatibility tags (packaging.python.org), pylock.toml (PEP 751).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from webui_fork.core.digest import Digest
from webui_fork.core.errors import LockError

GLIBC = 36  # Debian 12 and later have glibc 2.36
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)((?: ;[^\\\n]*)?) \\\n(?:    --hash=.*\n)+", re.MULTILINE)


def supported(version: str, machine: str) -> tuple[Tag, ...]:
    """Return the tags that CPython takes on a glibc Linux, best first.

    Args:
        version: as `3.11`. machine: the architecture in uname's words.
    """
    platforms = []
    for minor in range(GLIBC, 4, -1):
        platforms.append(f"manylinux_2_{minor}_{machine}")
        if minor in _LEGACY:
            platforms.append(f"{_LEGACY[minor]}_{machine}")
    platforms.append(f"linux_{machine}")
    python = tuple(int(part) for part in version.split("."))
    interpreter = "cp" + version.replace(".", "")
    return (
        *cpython_tags(python, abis=[interpreter], platforms=platforms),
        *compatible_tags(python, interpreter=interpreter, platforms=platforms),
    )


def pip_arguments(version: str, machine: str) -> list[str]:
    """Return what makes pip choose wheels for such a target, whatever it runs on itself.

    Args:
        version: as `3.11`. machine: the architecture in uname's words.
    """
    tags = supported(version, machine)
    arguments = ["--implementation", "cp", "--python-version", version]
    for option, values in (("--abi", [tag.abi for tag in tags]), ("--platform", [tag.platform for tag in tags])):
        for value in dict.fromkeys(values):
            if value != "any":  # pip takes those by itself
                arguments += [option, value]
    return arguments


def choose(pylock: Mapping[str, Any], version: str, machine: str) -> dict[str, str]:
    """Return the sha256 of the wheel that each package of a `pylock.toml` is installed from, by its name.

    Raises:
        LockError: a package has no wheel for the target, or no sha256.
    """
    rank = {tag: place for place, tag in enumerate(supported(version, machine))}
    chosen: dict[str, str] = {}
    for package in pylock.get("packages", ()):
        offered = [(_rank(_filename(wheel), rank), wheel) for wheel in package.get("wheels", ())]
        fitting = [(place, wheel) for place, wheel in offered if place is not None]
        if not fitting:
            raise LockError(f"{package['name']} has no wheel for Python {version} on {machine}.")
        _, wheel = min(fitting, key=lambda pair: pair[0])
        sha256 = wheel.get("hashes", {}).get("sha256")
        if not sha256:
            raise LockError(f"The index gives no sha256 for {_filename(wheel)}.", remedy="Use an index that does.")
        chosen[canonicalize_name(package["name"])] = str(sha256)
    return chosen


def _filename(wheel: Mapping[str, Any]) -> str:
    place = wheel.get("name") or wheel.get("url") or wheel.get("path") or ""
    return unquote(str(place).partition("#")[0].rpartition("/")[2])


def _rank(filename: str, rank: Mapping[Tag, int]) -> tuple[int, int, str] | None:
    """Return how well a wheel fits (less is better; a higher build number wins a tie), or None."""
    _, _, build, tags = parse_wheel_filename(filename)
    places = [rank[tag] for tag in tags if tag in rank]
    number, suffix = build or (0, "")
    return (min(places), -number, suffix) if places else None


def narrow(text: str, chosen: Mapping[str, str]) -> str:
    """Return the text of a hash-locked requirements file with one hash a package.

    Raises:
        LockError: a package's chosen wheel is not among its hashes.
    """

    def one(match: re.Match[str]) -> str:
        name, version, marker = match.group(1), match.group(2), match.group(3)
        line = f"    --hash=sha256:{chosen.get(canonicalize_name(name), '')}\n"
        if line not in match.group(0).replace(" \\\n", "\n"):
            raise LockError(f"The wheel of {name} {version} is not one that the index listed a moment ago.")
        return f"{name}=={version}{marker} \\\n{line}"

    return _PIN.sub(one, text)


def preferences(alike: str, own: str) -> str:
    """Return a lock whose versions are kept: those of another platform's lock, and where these don't do its own.

    A version that both have keeps its own hash; the other platform's hashes are of other wheels.

    Args:
        alike: the text of the other platform's lock.
        own: the text of the old lock, "" if there is none.
    """
    blocks: dict[str, tuple[str, str]] = {
        canonicalize_name(match.group(1)): (match.group(2), match.group(0)) for match in _PIN.finditer(own)
    }
    rows: list[str] = []
    for name, version in packages(alike):
        old_version, block = blocks.pop(name, ("", ""))
        if version == old_version:
            rows.append(block)
        else:  # uv takes the first that it can
            rows += [f"{name}=={version}\n", *([f"{name}=={old_version}\n"] if old_version else [])]
    return "".join([*rows, *(block for _, block in blocks.values())])


def exactly(text: str) -> str:
    """Return a lock whose pins are that version alone: `==1.0` would take `1.0+cpu`, too, of an index that has both."""
    return re.sub(r"^([A-Za-z0-9._-]+)==(?=[^\s;=]+(?: ;[^\\\n]*)? \\$)", r"\1===", text, flags=re.MULTILINE)


def pins(text: str) -> Iterable[tuple[str, str, Digest]]:
    """Yield name, version and digest of each distribution that a narrowed requirements file locks."""
    for match in re.finditer(r"^([A-Za-z0-9._-]+)==([^\s;]+)[^\n]*\\\n    --hash=sha256:([0-9a-f]{64})$", text, re.M):
        yield match.group(1), match.group(2), Digest.of_hex(match.group(3))


def packages(text: str) -> tuple[tuple[str, str], ...]:
    """Return name and version of each distribution that a lock names; one may have several, each for a marker."""
    pairs = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", text, re.MULTILINE)
    return tuple((canonicalize_name(name), number) for name, number in pairs)


def versions(text: str) -> dict[str, str]:
    """Return the version of each distribution that a lock names; of one with several, all, with commas between them."""
    by_name: dict[str, list[str]] = {}
    for name, number in packages(text):
        by_name.setdefault(name, []).append(number)
    return {name: ", ".join(sorted(numbers, key=Version)) for name, numbers in by_name.items()}


def differences(old: str, new: str) -> tuple[str, ...]:
    """Return a line for each distribution that has another version."""
    before, after = versions(old), versions(new)
    return tuple(
        f"{name}: {before.get(name, 'absent')} -> {after.get(name, 'absent')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )
