"""cosign 2 and 3: what is signed by one is verified by the other, and so are the bundles that 3 makes by itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import small
import tools
from helpers import Talk
from small import Shop
from webui_fork.core.errors import PublishError
from webui_fork.core.settings import Settings
from webui_fork.publish import promote, second_builder
from webui_fork.trust import cosign as trust_cosign
from webui_fork.trust import keys as trust_keys
from webui_fork.trust import sign
from webui_fork.trust.cosign import Verification
from webui_fork.trust.keys import Signer, Verifier
from webui_fork.trust.verify import Verdict

TAG = "v0.12.4-p1"


@pytest.fixture(scope="session")
def cosign_3(real: Settings) -> Path:
    return tools.cosign_3(real)


def with_cosign(shop: Shop, cosign: Path) -> Shop:
    """Return a shop whose commands find another cosign first."""
    path = f"{cosign.parent}:{shop.settings.environ.get('PATH', os.defpath)}"
    own = replace(shop.settings, environ={**shop.settings.environ, "PATH": path})
    return replace(shop, settings=own, signer=trust_keys.signer(own, cosign, Talk()))


def test_the_versions_are_told_apart(real: Settings, cosign: Path, cosign_3: Path) -> None:
    assert [trust_keys.major(real, program) for program in (cosign, cosign_3)] == [2, 3]


@pytest.mark.parametrize("newer", [False, True])
def test_what_one_publishes_the_other_verifies(shop: Shop, cosign: Path, cosign_3: Path, newer: bool) -> None:
    """Signature, SBOM, provenance, judgements, the result of the tests."""
    older, by_3 = shop, with_cosign(shop, cosign_3)
    author, other = (by_3, older) if newer else (older, by_3)
    assert author.signer.cosign != other.signer.cosign
    author.publish(small.candidate(author.settings))
    for reader in (other, author):
        assert reader.bad(TAG) == {}
        assert reader.checks(TAG)["tests"].verdict is Verdict.OK
    other.publish(small.candidate(other.settings))  # again, and nothing is sent twice
    assert author.bad(TAG) == {}


def test_a_statement_about_a_file(shop: Shop, cosign_3: Path, tmp_path: Path) -> None:
    by_3 = with_cosign(shop, cosign_3)
    (tmp_path / "wheel").write_bytes(b"wheel")
    for author, other in ((shop, by_3), (by_3, shop)):
        bundle = tmp_path / "bundle"
        bundle.write_bytes(
            trust_cosign.attest_file(
                author.settings, author.signer, tmp_path / "wheel", "x.whl", trust_cosign.TESTS, b'{"result": "PASSED"}'
            )
        )
        argv: list[str | Path] = [other.signer.cosign, "verify-blob-attestation", *other.verifier.options]
        argv += ["--type", trust_cosign.TESTS]
        argv += ["--bundle", bundle, tmp_path / "wheel"]
        done = subprocess.run(argv, env=other.settings.environ, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


Run = Callable[..., None]


@pytest.fixture
def by_hand(shop: Shop, cosign_3: Path, tmp_path: Path) -> tuple[Run, Verifier]:
    """What runs cosign 3 as somebody with another key does, in the form that is its own; and who trusts that key."""
    env = {**shop.settings.environ, "COSIGN_PASSWORD": ""}

    def run(*arguments: str) -> None:
        options = ["--allow-http-registry", "--yes", "--tlog-upload=false", "--use-signing-config=false"]
        argv: list[str | Path] = [cosign_3, arguments[0], *options, "--key", "cosign.key", *arguments[1:]]
        subprocess.run(argv, cwd=tmp_path, env=env, check=True, capture_output=True)

    subprocess.run([cosign_3, "generate-key-pair"], cwd=tmp_path, env=env, check=True, capture_output=True)
    return run, Verifier(cosign_3, 3, str(tmp_path / "cosign.pub"), bundles=True)


def test_bundles_of_cosign_3(
    shop: Shop, published: promote.Published, by_hand: tuple[Run, Verifier], cosign: Path, tmp_path: Path
) -> None:
    """The registry knows no referrers: cosign 3 keeps them in an index under a tag."""
    run, who = by_hand
    ref = shop.ref(str(published.digest))

    def verified() -> Verification:
        return trust_cosign.verify(shop.settings, who, ref)

    assert not verified().verified  # it is signed, by another key
    (tmp_path / "predicate").write_text('{"judgement": 1}')
    run("attest", "--type", trust_cosign.VEX, "--predicate", "predicate", ref)
    assert verified() == Verification(False, "it has attestations, and no signature")
    by_3 = replace(shop.signer, cosign=who.cosign, major=3)
    witness = second_builder.Witness(str(tmp_path / "cosign.pub"), promote.target_of(f"{shop.host}/{shop.name}"))
    with pytest.raises(PublishError, match="No second builder signed"):
        second_builder.require(shop.settings, by_3, witness, published.digest)
    run("sign", ref)
    assert verified() == Verification(True)
    second_builder.require(shop.settings, by_3, witness, published.digest)
    seen = trust_cosign.attested(shop.settings, who, ref, trust_cosign.VEX)
    assert seen.predicates == ({"judgement": 1},)
    assert not trust_cosign.attested(shop.settings, who, ref, trust_cosign.SBOM).predicates
    assert shop.bad(TAG) == {}  # of whoever published it nothing has changed
    other = replace(who, cosign=cosign, major=2)
    assert not trust_cosign.verify(shop.settings, other, ref).verified  # which is why we sign in the old form
    assert not trust_cosign.verify(shop.settings, replace(who, bundles=False), ref).verified
    # who seals goes by that form alone, whatever bundles of the same key are there
    env = {**shop.settings.environ, "COSIGN_PASSWORD": ""}
    author = replace(shop.settings, environ=env, cosign_password=None)
    key = Signer(who.cosign, 3, str(tmp_path / "cosign.key"))
    assert sign.seal(author, key, ref, small.candidate(shop.settings).statements, tmp_path, "x")
    assert trust_cosign.verify(shop.settings, other, ref).verified
