from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from webui_fork.core.errors import UsageError
from webui_fork.core.settings import Settings
from webui_fork.core.text import without_secrets
from webui_fork.doctor import probe
from webui_fork.doctor.examine import checked_url, secret


def test_a_key_that_no_header_can_hold_is_refused_without_showing_it(private_settings: Settings) -> None:
    odd = replace(private_settings, environ={"X": "sk-sec\rret", "Y": "…", "Z": " sk-good\r\n"})
    for name in ("X", "Y"):
        with pytest.raises(UsageError, match="no token has") as caught:
            secret(odd, None, name)
        assert "sk-sec" not in str(caught.value)
    good = secret(odd, None, "Z")
    assert good
    assert good.reveal() == "sk-good"
    answer = probe.probe("http://127.0.0.1:9/", {"Authorization": "Bearer a\nb"}, 1)
    assert "a\nb" not in str(answer)


def test_secrets_stay_where_they_are(private_settings: Settings, tmp_path: Any) -> None:
    assert without_secrets("http://user:word@host:1/v1?key=x") == "http://host:1/v1"
    file = tmp_path / "token"
    file.write_text(" abc\n")
    token = secret(private_settings, str(file), "X")
    assert token
    assert (token.reveal(), "abc" in repr(token)) == ("abc", False)
    with pytest.raises(UsageError, match="can't be read"):
        secret(private_settings, str(tmp_path / "none"), "X")


@pytest.mark.parametrize("url", ["localhost:3000", "", "ftp://x", "http://", "http://x:99999"])
def test_a_url_is_checked(url: str) -> None:
    with pytest.raises(UsageError, match="is not a URL"):
        checked_url(url, "--webui")
