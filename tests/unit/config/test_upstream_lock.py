from __future__ import annotations

from pathlib import Path

import pytest

from webui_fork.config import upstream_lock
from webui_fork.core.errors import LockError
from webui_fork.core.settings import CHECKOUT

GOOD = (CHECKOUT / "upstream.lock").read_text()
SHA = "04bff683181768a4c0ab32cd7b4f208f512622fe0066b4e5df22a05a96ac4628"


def test_a_round_trip_changes_no_byte() -> None:
    assert upstream_lock.dump(upstream_lock.parse(GOOD)) == GOOD


def test_the_pinned_release_is_the_known_one() -> None:
    found = upstream_lock.parse(GOOD)
    assert (found.version, found.sdist.sha256) == ("0.12.4", SHA)
    assert found.epoch == 1792915774


def test_a_git_pin_survives_a_round_trip() -> None:
    pin = '\n[release.git]\nremote = "https://example.org/webui.git"\ncommit = "' + "a" * 40 + '"\n'
    text = GOOD.replace("\n[inputs]", pin + "\n[inputs]")
    found = upstream_lock.parse(text)
    assert found.git == upstream_lock.GitPin("https://example.org/webui.git", "a" * 40)
    assert upstream_lock.dump(found) == text


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("schema = 1", "schema = 1\nextra = 2", 4, "is not a known key"),
        ("schema = 1", "schema = 2\nchannel = 1", 3, "schema: 2 is not understood"),
        ("schema = 1", "schema = 0", 3, "schema: 0 is not understood"),
        ("schema = 1", 'schema = "1"', 3, "should be `int`, not '1'"),
        (f'sha256 = "{SHA}"\n', "", 10, "is missing"),
        (SHA, SHA[:-1], 13, "is not of the form"),
        (SHA, SHA.upper(), 13, "is not of the form"),
        ("size = 14970405", "size = true", 12, "should be `int`, not True"),
        ("size = 14970405", "size = -1", 12, "should be `int` >= 1, not -1"),
        ("time = 2026-10-25T08:09:34Z", "time = 2026-10-25", 8, "should be `datetime`, not"),
        ("time = 2026-10-25T08:09:34Z", "time = 2026-10-25T08:09:34+02:00", 8, "should be UTC"),
        ('version = "0.12.4"', 'version = "../x"', 6, "is not of the form"),
        ('version = "0.12.4"', 'version = "0.12.5"', 10, "is not a file of version 0.12.5"),
        ("[release.wheel]", "[release.sdist]", 15, "is not TOML"),
        ("[release.wheel]", "[release.weel]", 15, "weel: is not a known key"),
        (
            "\n[inputs]",
            '\n[release.git]\nremote = "https://u:p@h/x"\ncommit = "' + "a" * 40 + '"\n[inputs]',
            21,
            "not of the form",
        ),
        ('"series" = "sha256:', '"series" = "md5:', 32, "[inputs] series: 'md5:"),
    ],
)
def test_anything_odd_names_line_and_remedy(old: str, new: str, line: int, words: str) -> None:
    assert old in GOOD
    with pytest.raises(LockError) as caught:
        upstream_lock.parse(GOOD.replace(old, new, 1), Path("upstream.lock"))
    assert words in caught.value.what
    assert "nox -s lock" in caught.value.remedy
    assert caught.value.what.startswith(f"upstream.lock:{line}: ")


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="is missing"):
        upstream_lock.read(tmp_path / "upstream.lock")


def test_writing_the_same_lock_touches_nothing(tmp_path: Path) -> None:
    file = tmp_path / "upstream.lock"
    assert upstream_lock.write(file, upstream_lock.parse(GOOD))
    before = file.stat().st_mtime_ns
    assert not upstream_lock.write(file, upstream_lock.parse(GOOD))
    assert file.stat().st_mtime_ns == before
