from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from helpers import Talk
from webui_fork.core.digest import Digest
from webui_fork.core.errors import PassphraseError, SigningError
from webui_fork.core.settings import Secret, Settings
from webui_fork.trust import cosign
from webui_fork.trust import cosign as trust_cosign
from webui_fork.trust.cosign import Verifier


def fake_cosign(folder: Path, body: str) -> Path:
    path = folder / "cosign"
    path.write_text(f'#!/bin/sh\necho "$@" >> {folder}/argv\n{body}\n')
    path.chmod(0o755)
    return path


def signer(private_settings: Settings, tmp_path: Path, body: str, major: int = 2) -> cosign.Signer:
    return cosign.Signer(fake_cosign(tmp_path, body), major, str(tmp_path / "cosign.key"))


REF = "127.0.0.1:5000/x@sha256:" + "0" * 64


def test_the_passphrase_is_never_on_a_command_line(private_settings: Settings, tmp_path: Path) -> None:
    own = replace(private_settings, cosign_password=Secret("hunter2"))
    cosign.sign(own, signer(own, tmp_path, f'echo "$COSIGN_PASSWORD" > {tmp_path}/given'), REF)
    assert (tmp_path / "given").read_text() == "hunter2\n"
    assert "hunter2" not in (tmp_path / "argv").read_text()


def test_what_verifies_gets_no_passphrase(private_settings: Settings, tmp_path: Path) -> None:
    own = replace(private_settings, cosign_password=Secret("hunter2"))
    program = fake_cosign(tmp_path, f'echo "${{COSIGN_PASSWORD-none}}" > {tmp_path}/given; exit 1')
    cosign.verify(own, Verifier(program, 2, "/key.pub"), REF)
    assert (tmp_path / "given").read_text() == "none\n"


def test_only_digests_are_signed(private_settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(SigningError, match="is a tag"):
        cosign.sign(private_settings, signer(private_settings, tmp_path, "exit 0"), "127.0.0.1:5000/x:latest")
    assert not (tmp_path / "argv").exists()


@pytest.mark.parametrize(("password", "word"), [(None, "missing"), (Secret("x"), "wrong")])
def test_a_missing_and_a_wrong_passphrase_are_told_apart(
    private_settings: Settings, tmp_path: Path, password: Secret | None, word: str
) -> None:
    own = replace(private_settings, cosign_password=password)
    with pytest.raises(PassphraseError, match=word):
        cosign.sign(
            own, signer(own, tmp_path, "echo 'reading key: decrypt: encrypted: decryption failed' >&2; exit 1"), REF
        )


def test_cosign_3_gets_its_own_flags(private_settings: Settings, tmp_path: Path) -> None:
    cosign.sign(private_settings, signer(private_settings, tmp_path, "exit 0", major=3), REF)
    assert "--use-signing-config=false" in (tmp_path / "argv").read_text()


def test_cosign_ended_by_a_signal_has_said_nothing(private_settings: Settings, tmp_path: Path) -> None:
    cosign = tmp_path / "cosign"
    cosign.write_text("#!/bin/sh\nkill -KILL $$\n")
    cosign.chmod(0o755)
    with pytest.raises(SigningError, match="terminated by signal 9"):
        trust_cosign.verify(private_settings, Verifier(cosign, 2, "key"), "oci:x", Digest.of_hex("1" * 64))
    (tmp_path / "wheel").write_bytes(b"wheel")
    killed = 'case "$1" in verify*) kill -KILL $$ ;; esac'
    own = signer(private_settings, tmp_path, killed)
    with pytest.raises(SigningError, match=r"terminated by signal 9 while it verified x\.whl"):
        trust_cosign.attest_file(private_settings, own, tmp_path / "wheel", "x.whl", trust_cosign.TESTS, b"{}")


def test_the_public_key_that_is_trusted_is_never_replaced(private_settings: Settings, talk: object) -> None:

    private_settings.config.mkdir(parents=True)
    (private_settings.config / "cosign.pub").write_text("trusted")
    with pytest.raises(SigningError, match="its public half is there"):
        trust_cosign.signer(private_settings, Path("/bin/true"), Talk())
    assert (private_settings.config / "cosign.pub").read_text() == "trusted"
    found = trust_cosign.verifier(private_settings, Path("/bin/true"))
    assert found.key == str(private_settings.config / "cosign.pub")
    (private_settings.config / "cosign.pub").unlink()
    with pytest.raises(SigningError, match="no public key"):
        trust_cosign.verifier(private_settings, Path("/bin/true"))


# signs what it is given; verifies what has the digest that was signed
BLOB = """
case "$1" in
attest-blob) while [ "$1" != --predicate ]; do last=$1; [ "$last" = --bundle ] && bundle=$2; shift; done
  cat "$2" > "$bundle"; echo "$4" > {folder}/digest ;;
*) for file; do :; done; [ "$(sha256sum < "$file" | cut -c1-64)" = "$(cat {folder}/digest)" ] {more} ;;
esac
"""


def test_a_file_is_attested_and_verified(private_settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "wheel").write_bytes(b"wheel")
    own = signer(private_settings, tmp_path, BLOB.format(folder=tmp_path, more=""), major=3)
    bundle = cosign.attest_file(private_settings, own, tmp_path / "wheel", "x.whl", cosign.TESTS, b"{}")
    assert bundle == b"{}"
    signing, verifying = (tmp_path / "argv").read_text().splitlines()
    assert signing.endswith(
        f"--key {own.key} --tlog-upload=false --use-signing-config=false --new-bundle-format=false x.whl"
    )
    assert f"--key {own.public_key} --insecure-ignore-tlog=true --new-bundle-format=false" in verifying
    assert all(f"--type {cosign.TESTS}" in line for line in (signing, verifying))


def test_a_file_whose_attestation_does_not_verify(private_settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "wheel").write_bytes(b"wheel")
    own = signer(private_settings, tmp_path, BLOB.format(folder=tmp_path, more="&& echo Error: no >&2; exit 1"))
    with pytest.raises(SigningError, match=r"x\.whl was attested, but .* does not verify it") as raised:
        cosign.attest_file(private_settings, own, tmp_path / "wheel", "x.whl", cosign.TESTS, b"{}")
    assert raised.value.why == "no"
