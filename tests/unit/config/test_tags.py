from __future__ import annotations

import pytest

from webui_fork.config import tags
from webui_fork.config.tags import Fixed


@pytest.mark.parametrize(
    ("tag", "fixed"),
    [
        ("v0.12.4-p3", Fixed("0.12.4", 3)),
        ("v0.12.4-p12-slim", Fixed("0.12.4", 12, "slim")),
        ("v0.12.4", None),
        ("latest", None),
        ("v0.12.4-p3-", None),
        ("0.12.4-p3", None),
        ("v0.12.4-p3\n", None),
    ],
)
def test_only_a_revision_s_tag_never_moves(tag: str, fixed: Fixed | None) -> None:
    assert tags.parse(tag) == fixed
    assert fixed is None or str(fixed) == tag


def test_what_moves_to_a_revision() -> None:
    assert tags.moving(Fixed("0.12.4", 3)) == ("v0.12.4", "0.12", "latest")
    assert tags.moving(Fixed("0.12.4", 3, "slim")) == ("v0.12.4-slim", "0.12-slim", "latest-slim")


def test_a_tag_covers_its_own_revisions_only() -> None:
    fixed = Fixed("0.12.4", 3)
    assert all(tags.covers(tag, fixed) for tag in ("v0.12.4-p3", "v0.12.4", "0.12", "latest"))
    assert not any(
        tags.covers(tag, fixed) for tag in ("v0.12.4-p4", "v0.12.5", "0.13", "latest-slim", "v0.12.4-p3-slim")
    )


def test_newer_counts_releases_then_revisions_as_numbers() -> None:
    present = ("v0.12.4-p9", "v0.12.4-p10", "v0.9.9-p1", "v0.13.0-p1-slim", "latest", "v0.12.10-p1")
    assert tags.newer(Fixed("0.12.4", 9), "v0.12.4", present) == Fixed("0.12.4", 10)
    assert tags.newer(Fixed("0.12.4", 10), "v0.12.4", present) is None
    assert tags.newer(Fixed("0.12.4", 10), "latest", present) == Fixed("0.12.10", 1)
    assert tags.newer(Fixed("0.12.10", 1), "latest", present) is None
    assert tags.newer(Fixed("0.9.9", 1), "0.9", present) is None


def test_a_number_that_no_tag_has_is_no_tag() -> None:
    assert tags.parse("v0.1-p" + "9" * 5000) is None
    assert tags.parse("v0.1-p\u0663") is None
