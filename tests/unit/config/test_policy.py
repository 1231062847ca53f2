from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from webui_fork.config import policy
from webui_fork.core.errors import LockError

GOOD = """days = 3
only = "minor"

[[skip]]
version = "0.12.5"
reason = "It loses chats."
"""


def read(folder: Path, text: str) -> policy.PolicyDocument:
    (folder / "policy.toml").write_text(text)
    return policy.read(folder)


def test_without_one_every_release_is_admitted(tmp_path: Path) -> None:
    rules = policy.read(tmp_path)
    assert rules.refusal("0.12.4", "1.0.0") == ""
    assert rules.wait(timedelta()) == ""


def test_what_is_refused_says_why(tmp_path: Path) -> None:
    rules = read(tmp_path, GOOD)
    assert rules.refusal("0.12.4", "0.12.5") == "policy.toml skips it: It loses chats."
    assert rules.refusal("0.12.4", "0.13.0") == ""
    assert rules.refusal("0.12.4", "1.0.0") == "policy.toml takes minor releases only"


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (-1, "it is 0 days old, and policy.toml waits for 3"),
        (71, "it is 2 days old, and policy.toml waits for 3"),
        (72, ""),
    ],
)
def test_a_young_release_waits(tmp_path: Path, hours: int, words: str) -> None:
    assert read(tmp_path, GOOD).wait(timedelta(hours=hours)) == words


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("days = 3", "days = -1", ":1: days"),
        ("days = 3", "days = 3.5", ":1: days"),
        ("minor", "major", ":2: only"),
        ("0.12.5", "0.12.x", ":5: .*version"),
        ("It loses chats.", "", ":6: .*reason"),
        ("reason", "because", "because"),
        ("days", "weeks", "weeks"),
    ],
)
def test_an_odd_one_is_refused_with_its_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(LockError, match=words):
        read(tmp_path, GOOD.replace(old, new))
