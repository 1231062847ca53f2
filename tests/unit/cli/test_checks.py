from __future__ import annotations

import pytest

from webui_fork.cli import checks
from webui_fork.core.errors import VerifyError
from webui_fork.trust.verify import Check, Verdict

OK = Check("layers", Verdict.OK, "all hashed")
UNKNOWN = Check("patches", Verdict.UNKNOWN, "nothing to compare")
BAD = Check("signature", Verdict.BAD, "nobody's")


def test_a_line_a_check() -> None:
    assert [line.split()[1] for line in checks.lines((OK, UNKNOWN)).splitlines()] == ["layers", "patches"]


def test_what_fails_is_refused_and_named() -> None:
    with pytest.raises(VerifyError, match="x does not verify: signature") as caught:
        checks.refuse("x", (OK, UNKNOWN, BAD))
    assert caught.value.why == "signature: nobody's"
    assert "Do not run it" in caught.value.remedy


def test_what_could_not_be_checked_is_refused_only_if_that_is_asked_for() -> None:
    assert checks.refuse("x", (OK, UNKNOWN)) == 1
    assert checks.refuse("x", (OK,), strict=True) == 0
    with pytest.raises(VerifyError, match="x does not verify: patches"):
        checks.refuse("x", (OK, UNKNOWN), strict=True)
