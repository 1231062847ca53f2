from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from debs import SPEC, deb, lock_of
from webui_fork.config import debian_lock
from webui_fork.core.digest import Digest
from webui_fork.core.errors import LockError


def test_the_lock_of_the_checkout_round_trips() -> None:
    file = SPEC.folder / "debian.lock"
    lock = debian_lock.read(file)
    assert debian_lock.dump(lock) == file.read_text()
    debian_lock.check_input(lock, SPEC, file)
    assert {"python3", "bash", "util-linux"} <= {item.name for item in lock.debs}
    assert "apt" not in {item.name for item in lock.debs}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("alpha 1", "is not `name version"),
        ("alpha 1 sha256:00 1 main pool/a.deb", "is not `name version"),
        (f"alpha 1 sha256:{'0' * 64} 1 main /etc/a.deb", "is not `name version"),
        (f"alpha 1 sha256:{'0' * 64} 1 main pool/../../a.deb", "is not `name version"),
        (f"alpha 1 sha256:{'0' * 64} 1 moon pool/a.deb", "is not `name version"),
    ],
)
def test_an_odd_row_names_its_line(row: str, words: str) -> None:
    text = debian_lock.dump(lock_of(deb("beta"))) + row + "\n"
    with pytest.raises(LockError, match=r"debian\.lock:4") as caught:
        debian_lock.parse(text, Path("debian.lock"))
    assert words in caught.value.what


def test_a_package_locked_twice_is_an_error() -> None:
    with pytest.raises(LockError, match="locked twice"):
        debian_lock.parse(debian_lock.dump(lock_of(deb("alpha"), deb("alpha"))), Path("x"))


def test_an_empty_or_headless_lock_is_an_error() -> None:
    for text in ("", debian_lock.dump(lock_of())):
        with pytest.raises(LockError):
            debian_lock.parse(text, Path("x"))


def test_a_changed_list_of_packages_makes_the_lock_stale() -> None:
    other = replace(SPEC, base=msgspec.structs.replace(SPEC.base, include=("curl",)))
    with pytest.raises(LockError, match="another list of packages"):
        debian_lock.check_input(lock_of(deb("alpha")), other, Path("x"))


def test_a_package_is_of_the_source_that_its_place_in_the_pool_names() -> None:
    path = "pool/main/u/util-linux/bsdutils_2.38.1-5_amd64.deb"
    bsd = debian_lock.Deb("bsdutils", "1:2.38.1-5", Digest.of_hex("a" * 64), 1, "main", path)
    assert bsd.source == "util-linux"
    assert (debian_lock.release("bookworm"), debian_lock.release("sid")) == ("12", "sid")
