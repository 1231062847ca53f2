from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helpers import Talk
from webui_fork.cli import main, verify
from webui_fork.core.settings import Settings


def test_a_signature_that_is_a_bundle_counts_for_whoever_verifies(
    private_settings: Settings, talk: Talk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[Any] = []

    def run(_settings: Settings, _image: object, verifier: Any, **_options: bool) -> None:
        seen.append(verifier)
        raise KeyboardInterrupt

    class Opened:
        def __enter__(self) -> None: ...
        def __exit__(self, *exc: object) -> None: ...

    (tmp_path / "cosign.pub").write_text("a key")
    monkeypatch.setattr("webui_fork.sources.programs.find", lambda *_: Path("/bin/true"))
    monkeypatch.setattr("webui_fork.trust.keys.major", lambda *_: 3)
    monkeypatch.setattr("webui_fork.oci.reader.opened", lambda *_: Opened())
    monkeypatch.setattr("webui_fork.trust.verify.run", run)
    words = ["verify", "localhost:1/x:v1", "--key", str(tmp_path / "cosign.pub")]
    with pytest.raises(KeyboardInterrupt):
        verify.run(private_settings, talk, main.parser("verify").parse_args(words))
    assert [verifier.bundles for verifier in seen] == [True]
