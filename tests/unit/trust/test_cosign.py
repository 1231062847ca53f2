from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from webui_fork.core.digest import Digest
from webui_fork.core.errors import PassphraseError, SigningError
from webui_fork.core.settings import Secret, Settings
from webui_fork.trust import cosign
from webui_fork.trust import cosign as trust_cosign
from webui_fork.trust import keys as trust_keys
from webui_fork.trust.keys import Verifier


def fake_cosign(folder: Path, body: str) -> Path:
    path = folder / "cosign"
    path.write_text(f'#!/bin/sh\necho "$@" >> {folder}/argv\n{body}\n')
    path.chmod(0o755)
    return path


def signer(private_settings: Settings, tmp_path: Path, body: str, major: int = 2) -> trust_keys.Signer:
    return trust_keys.Signer(fake_cosign(tmp_path, body), major, str(tmp_path / "cosign.key"))


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


SIGNATURE, STATEMENT = "https://sigstore.dev/cosign/sign/v1", "https://openvex.dev/ns"
# finds nothing in the old format
BUNDLES = """
case "$*" in *--new-bundle-format=false*) echo "Error: no signatures found" >&2; exit 1 ;; esac
echo '{rows}'
"""


def bundles(*types: str) -> str:
    digest = REF.partition("@")[2]
    rows = [{"critical": {"image": {"docker-manifest-digest": digest}, "type": one}} for one in types]
    return BUNDLES.format(rows=json.dumps(rows))


@pytest.mark.parametrize(
    ("major", "types", "why"),
    [
        (3, (STATEMENT, SIGNATURE), ""),
        (3, (STATEMENT,), "it has attestations, and no signature"),
        (2, (SIGNATURE,), "no signatures found"),
    ],
)
def test_a_signature_that_is_a_bundle(
    private_settings: Settings, tmp_path: Path, major: int, types: tuple[str, ...], why: str
) -> None:
    """cosign 3 lists attestations beside the signatures: they vouch for nothing."""
    program = fake_cosign(tmp_path, bundles(*types) if major == 3 else "echo 'Error: no signatures found' >&2; exit 1")
    who = Verifier(program, major, "/key.pub", bundles=True)
    assert cosign.verify(private_settings, who, REF) == cosign.Verification(not why, why)
    assert len((tmp_path / "argv").read_text().splitlines()) == (2 if major == 3 else 1)
    tags_alone = cosign.verify(private_settings, replace(who, bundles=False), REF)
    assert tags_alone == cosign.Verification(False, "no signatures found")


def test_what_neither_format_verifies_is_told_in_the_words_of_the_old(
    private_settings: Settings, tmp_path: Path
) -> None:
    words = 'case "$*" in *--new-bundle-format=false*) echo Error: old >&2 ;; *) echo Error: new >&2 ;; esac; exit 1'
    who = Verifier(fake_cosign(tmp_path, words), 3, "/key.pub", bundles=True)
    assert cosign.verify(private_settings, who, REF).why == "old"
    assert cosign.attested(private_settings, who, REF, cosign.VEX).why == "old"
    assert cosign.verify(private_settings, who, "oci:x", Digest.of_hex("0" * 64)).why == "old"
    assert len((tmp_path / "argv").read_text().splitlines()) == 2 + 2 + 1  # a layout has no referrers
