from __future__ import annotations

from pathlib import Path

import pytest

from helpers import Talk
from webui_fork.cli import bundle, main
from webui_fork.core.errors import UsageError
from webui_fork.core.settings import Settings


def test_a_key_and_an_identity_exclude_each_other(
    private_settings: Settings, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webui_fork.sources.programs.find", lambda *_: Path("/bin/true"))
    monkeypatch.setattr("webui_fork.trust.keys.major", lambda *_: 2)
    words = ["bundle", "localhost:1/x:v1", "x.tar", "--key", "k", "--identity", "me", "--issuer", "https://x"]
    with pytest.raises(UsageError, match="can't be combined"):
        bundle.run(private_settings, talk, main.parser("bundle").parse_args(words))
