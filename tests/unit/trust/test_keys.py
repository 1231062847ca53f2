"""Whose signatures."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers import Talk
from webui_fork.core.errors import SigningError
from webui_fork.core.settings import Settings
from webui_fork.trust import keys as trust_keys


def test_the_public_key_that_is_trusted_is_never_replaced(private_settings: Settings) -> None:
    private_settings.config.mkdir(parents=True)
    (private_settings.config / "cosign.pub").write_text("trusted")
    with pytest.raises(SigningError, match="its public key is there"):
        trust_keys.signer(private_settings, Path("/bin/true"), Talk())
    assert (private_settings.config / "cosign.pub").read_text() == "trusted"
    found = trust_keys.verifier(private_settings, Path("/bin/true"))
    assert found.key == str(private_settings.config / "cosign.pub")
    (private_settings.config / "cosign.pub").unlink()
    with pytest.raises(SigningError, match="no public key"):
        trust_keys.verifier(private_settings, Path("/bin/true"))
