from __future__ import annotations

from pathlib import Path

import pytest

from helpers import Talk
from registries import image_of
from webui_fork.cli import load, main
from webui_fork.core.errors import VerifyError
from webui_fork.core.settings import Settings
from webui_fork.oci import layout
from webui_fork.trust.verify import Check, Verdict


def test_what_does_not_verify_never_reaches_the_engine(
    private_settings: Settings, talk: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout.write_layout(tmp_path / "image", "v1", image_of(private_settings.cache, b"x"), private_settings.cache)
    monkeypatch.setattr("webui_fork.cli.signer.verifier", lambda *_: None)
    monkeypatch.setattr("webui_fork.oci.engine.connect", lambda *_: pytest.fail("the engine was asked"))
    bad = (Check("signature", Verdict.BAD, "nobody signed it"),)
    monkeypatch.setattr("webui_fork.trust.verify.run", lambda *_: bad)
    with pytest.raises(VerifyError, match="signature"):
        load.run(private_settings, talk, main.parser("load").parse_args(["load", f"{tmp_path}/image"]))
