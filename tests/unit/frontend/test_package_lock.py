"""npm takes what has no digest as it comes: a lock with such a package is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from webui_fork.core.errors import SourceError
from webui_fork.frontend import package_lock

GOOD = {
    "version": "1.0.0",
    "resolved": "https://registry.example/left-pad/-/left-pad-1.0.0.tgz",
    "integrity": "sha512-" + "A" * 86 + "==",
}


def lock(version: Any = 3, **rows: Any) -> bytes:
    packages = {"": {"name": "open-webui"}, **{name.replace("__", "/"): row for name, row in rows.items()}}
    return json.dumps({"lockfileVersion": version, "packages": packages}).encode()


def test_a_lock_whose_packages_have_digests() -> None:
    rows = {"node_modules__b": {**GOOD, "hasInstallScript": True}, "node_modules__a": GOOD}
    assert package_lock.check(lock(3, **rows)) == ("node_modules/b",)
    assert package_lock.check(lock(2, node_modules__a__node_modules__c=GOOD)) == ()


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({**GOOD, "integrity": None}, "has no sha512"),
        ({**GOOD, "integrity": "sha1-" + "A" * 27 + "="}, "has no sha512"),
        ({**GOOD, "integrity": GOOD["integrity"] + " sha1-abc"}, "has no sha512"),
        ({**GOOD, "resolved": "git+ssh://git@github.com/a/b.git#c"}, "not an archive of a registry"),
        ({**GOOD, "resolved": "http://registry.example/a.tgz"}, "not an archive of a registry"),
        ({**GOOD, "resolved": "file:../a.tgz"}, "not an archive of a registry"),
        ({"version": "1.0.0"}, "not an archive of a registry"),
        ({"resolved": "packages/a", "link": True}, "is not below node_modules"),
        ({**GOOD, "inBundle": True, "integrity": None}, "has no sha512"),  # npm heeds it in some places only
        ({**GOOD, "hasShrinkwrap": True}, "brings a lock of its own"),
    ],
)
def test_a_package_that_is_not_pinned(row: dict[str, Any], why: str) -> None:
    with pytest.raises(SourceError, match="does not pin every package that it names") as raised:
        package_lock.check(lock(node_modules__a=row, node_modules__b=GOOD))
    assert raised.value.why == f"node_modules/a: {raised.value.why.partition(': ')[2]}"
    assert why in raised.value.why


@pytest.mark.parametrize("folder", ["packages/a", "node_modules/../a", "../a"])
def test_a_package_elsewhere(folder: str) -> None:
    with pytest.raises(SourceError, match="not pin") as raised:
        package_lock.check(lock(3, **{folder: GOOD}))
    assert "is not below node_modules" in raised.value.why


def test_many_are_counted() -> None:
    rows = {f"node_modules__a{number}": {"version": "1"} for number in range(10)}
    with pytest.raises(SourceError) as raised:
        package_lock.check(lock(3, **rows))
    assert raised.value.why.splitlines()[-1] == "… and 2 more"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"[" * 100_000,
        lock(1),
        b'{"lockfileVersion": 3, "packages": []}',
        lock(node_modules__a=1),
    ],
)
def test_what_is_no_lock(data: bytes) -> None:
    with pytest.raises(SourceError, match=r"package-lock\.json"):
        package_lock.check(data)
