from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from webui_fork.config import overrides
from webui_fork.core.errors import LockError

GOOD = """[[override]]
package = "starlette"
version = "0.49.1"
advisory = "GHSA-7f5h-v6xp-fcq8"
reason = "A request can keep a core busy."
expires = 2027-01-31
"""
DAY = date(2027, 1, 31)


def read(folder: Path, text: str) -> tuple[overrides.Override, ...]:
    (folder / "overrides.toml").write_text(text)
    return overrides.read(folder)


def test_an_image_without_the_file_has_none(tmp_path: Path) -> None:
    assert overrides.read(tmp_path) == ()


def test_an_override_says_what_why_and_until_when(tmp_path: Path) -> None:
    (one,) = read(tmp_path, GOOD)
    assert (one.pin, one.expires) == ("starlette==0.49.1", DAY)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("starlette", "Starlette", ":2: .*package"),
        ('"0.49.1"', '">=0.49"', ":3: .*version"),
        ('"0.49.1"', '"0.49.1 --index-url x"', ":3: .*version"),
        ("GHSA-7f5h-v6xp-fcq8", "soon", ":4: .*advisory"),
        ("A request can keep a core busy.", "", ":5: .*reason"),
        ("2027-01-31", '"2027-01-31"', ":6: .*expires"),
        ("2027-01-31", "2027-01-31T00:00:00Z", ":6: .*expires"),
        ("reason", "because", "because"),
        (GOOD, GOOD + GOOD, "names a package twice"),
    ],
)
def test_an_odd_one_is_refused_with_its_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(LockError, match=words):
        read(tmp_path, GOOD.replace(old, new))


@pytest.mark.parametrize(
    "requirements",
    [
        "",
        "other==1\n",
        "starlette==0.48.0\n",
        "starlette==0.48.*\n",
        "starlette==0.49  # why\n",
        "starlette>=0.4,<0.49\n",
        "starlette\n",  # it may still be kept down by another package
        "-r x\nstarlette~=0.48.0\n",
    ],
)
def test_it_stands_while_the_release_asks_for_less(tmp_path: Path, requirements: str) -> None:
    overrides.refuse(read(tmp_path, GOOD), requirements, DAY)


@pytest.mark.parametrize(
    "requirement",
    [
        "starlette==0.49.1",
        "Starlette==0.50.*",
        "starlette>=0.49.1",
        "starlette[x]==0.49.1 ; os_name == 'x'\nstarlette==0.4",
    ],
)
def test_it_goes_when_the_release_has_caught_up(tmp_path: Path, requirement: str) -> None:
    with pytest.raises(LockError, match="1 overrides that should go") as caught:
        overrides.refuse(read(tmp_path, GOOD), f"{requirement}\n", DAY)
    assert "starlette==0.49.1 (GHSA-7f5h-v6xp-fcq8): the release itself asks for" in caught.value.why


def test_it_goes_when_its_day_has_passed(tmp_path: Path) -> None:
    with pytest.raises(LockError) as caught:
        overrides.refuse(read(tmp_path, GOOD), "", date(2027, 2, 1))
    assert caught.value.why == "starlette==0.49.1 (GHSA-7f5h-v6xp-fcq8) ended on 2027-01-31"


def test_it_goes_when_the_version_comes_by_itself_or_the_package_does_not_come(tmp_path: Path) -> None:
    one = read(tmp_path, GOOD)
    assert overrides.split(one, {"starlette": "0.49.0", "other": "9"}) == (one, ())
    for resolved, words in (
        ({"starlette": "0.49.1"}, "without it the release's requirements give 0.49.1"),
        ({"starlette": "0.50"}, "without it the release's requirements give 0.50"),
        ({"other": "9"}, "the release's requirements do not bring starlette"),
    ):
        assert overrides.split(one, resolved) == ((), (f"starlette==0.49.1 (GHSA-7f5h-v6xp-fcq8): {words}",))


def test_it_asks_for_the_extras_that_the_release_asks_for(tmp_path: Path) -> None:
    one = read(tmp_path, GOOD)
    assert overrides.constraints(one, "starlette==0.48\n") == "starlette==0.49.1\n"
    text = "starlette[full,b]==0.48 ; os_name == 'x'\nStarlette[a]==0.48\nother[z]==1\n"
    assert overrides.constraints(one, text) == "starlette[a,b,full]==0.49.1\n"
