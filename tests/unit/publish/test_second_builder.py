from __future__ import annotations

from pathlib import Path

import pytest

from webui_fork.config import reference
from webui_fork.core.digest import Digest
from webui_fork.core.errors import PublishError
from webui_fork.core.settings import Settings
from webui_fork.publish import second_builder
from webui_fork.publish.second_builder import Witness
from webui_fork.trust.keys import Signer

PEM = "-----BEGIN PUBLIC KEY-----\nMFkw\nEwYH\n-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize("text", [PEM, PEM.replace("\n", "\r\n"), f"cosign.pub of the team\n{PEM}\n"])
def test_the_first_builder_s_own_key_is_no_second_one(private_settings: Settings, tmp_path: Path, text: str) -> None:
    (tmp_path / "cosign.pub").write_text(PEM)
    (tmp_path / "copy.pub").write_bytes(text.encode())
    signer = Signer(tmp_path / "cosign", 2, str(tmp_path / "cosign.key"))
    witness = Witness(str(tmp_path / "copy.pub"), reference.parse("ghcr.io/other/open-webui"))
    with pytest.raises(PublishError, match="this builder's own key"):
        second_builder.require(private_settings, signer, witness, Digest.of_hex("a" * 64))


def test_another_key_is_another_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(PEM)
    (tmp_path / "b").write_text(PEM.replace("MFkw", "MFkx"))
    assert not second_builder._same_key(str(tmp_path / "a"), str(tmp_path / "b"))
    assert not second_builder._same_key("awskms:///alias/x", str(tmp_path / "a"))
