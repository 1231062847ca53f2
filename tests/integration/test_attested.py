"""What `publish` attests beside SBOM and provenance, and what it can ask for first. Real registry, real cosign."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import osv
import small
from helpers import Server, Talk
from registries import Proxy, tags_of
from small import Shop
from webui_fork.core.digest import Digest
from webui_fork.core.errors import AuditError, PublishError, VerifyError
from webui_fork.core.settings import Settings
from webui_fork.frontend import statement
from webui_fork.publish import promote, second_builder, vex
from webui_fork.trust import cosign as trust_cosign
from webui_fork.trust import keys as trust_keys
from webui_fork.trust import suite_result
from webui_fork.trust.verify import Verdict

TAG = "v0.12.4-p1"
NAMES = {TAG, "v0.12.4", "0.12", "latest"}


def with_result(what: promote.Candidate, **changes: Any) -> promote.Candidate:
    """Have another result of the tests attested."""
    (_, written), *_ = what.statements.others
    result = suite_result.read(json.loads(written))
    assert result
    others = ((trust_cosign.TESTS, suite_result.write(replace(result, **changes))),)
    return replace(what, statements=replace(what.statements, others=others))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image": Digest.of_hex("0" * 64)}, "tests: they ran on another image, sha256:000000000000…"),
        ({"passed": False}, "tests: they ran, and some failed"),
        ({"platform": "linux/arm64"}, "tests: the result says they ran on linux/arm64"),
        ({"count": 0}, "tests: the attested result of the tests is not one of this tool"),
        ({"platform": "linux"}, "tests: the attested result of the tests is not one of this tool"),
    ],
)
def test_a_result_of_other_tests(shop: Shop, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(VerifyError, match="no tag was touched") as caught:
        shop.publish(with_result(small.candidate(shop.settings), **changes))
    assert words in caught.value.why


def test_no_result_of_the_tests_is_unknown_and_of_an_index_as_a_whole(shop: Shop) -> None:
    what = small.candidate(shop.settings, architectures=("amd64", "arm64"))
    shop.publish(replace(what, statements=replace(what.statements, others=())))
    assert shop.checks(TAG)["tests"].verdict is Verdict.UNKNOWN
    assert "tests" not in shop.checks(what.image.images[0].digest)
    shop.publish(what)
    assert shop.checks(TAG)["tests"].verdict is Verdict.OK


def test_judgements_that_are_no_document(shop: Shop, published: promote.Published, tmp_path: Path) -> None:
    file = tmp_path / "vex.json"
    for statements in ("none", ["x", 3], [{"status": "fixed"}]):
        file.write_text(json.dumps({"statements": statements}))
        trust_cosign.attest(shop.settings, shop.signer, shop.ref(published.digest), trust_cosign.VEX, file)
        assert "no OpenVEX document" in shop.bad(TAG)["vex"]


def test_what_is_judged_of_vulnerabilities_is_attested(shop: Shop) -> None:
    """Of the index, and of each image: a scanner looks at the one that it was given."""
    what = small.candidate(shop.settings, architectures=("amd64", "arm64"))
    shop.publish(what)
    assert "vex" not in shop.checks(TAG)
    file = shop.settings.root / "images/open-webui" / vex.FILE
    file.write_text(json.dumps(osv.judgements(osv.judgement("pkg:pypi/pyyaml@6.0"))))
    shop.publish(what)
    for name in (TAG, *(image.digest for image in what.image.images)):
        checks = shop.checks(name)
        assert {check.verdict for check in checks.values()} == {Verdict.OK}, checks
        assert checks["vex"].words == "OpenVEX, 1 vulnerability judged"
    ref = shop.ref(what.image.images[1].digest)
    (seen,) = trust_cosign.attested(shop.settings, shop.verifier, ref, trust_cosign.VEX).predicates
    (product,) = seen["statements"][0]["products"]
    assert product["subcomponents"] == [{"@id": "pkg:pypi/pyyaml@6.0"}]
    assert product["@id"].endswith(f"?repository_url={shop.host}/{shop.name}")
    file.write_text(json.dumps(osv.judgements()))
    shop.publish(what)  # taken back: a scanner would go on to believe what stood there
    for name in (TAG, *(image.digest for image in what.image.images)):
        assert shop.checks(name)["vex"].words == "OpenVEX, 0 vulnerabilities judged"
    file.write_text("{")
    with pytest.raises(AuditError, match="can't be read"):
        shop.publish(what)


def test_a_plan_says_what_would_be_named_and_sends_nothing(shop: Shop, server: Server) -> None:
    proxy = Proxy(server, f"http://{shop.host}")
    target = promote.target_of(f"{proxy.host}/{shop.name}")
    what = small.candidate(shop.settings)
    refs, left = promote.plan(shop.settings, Talk(), what, target)
    assert ({ref.rpartition(":")[2] for ref in refs}, left) == (NAMES, ())
    small.pin(shop.settings, revision=10)
    shop.publish(small.candidate(shop.settings))
    refs, left = promote.plan(shop.settings, Talk(), what, target)
    assert refs == (f"{target.name}:{TAG}",)
    assert dict(left) == dict.fromkeys(NAMES - {TAG}, "v0.12.4-p10 is newer")
    assert not [line for line in proxy.seen if line.startswith(("PUT", "POST", "PATCH", "DELETE"))]
    small.pin(shop.settings, revision=1)
    shop.publish(small.candidate(shop.settings, b"another"))
    with pytest.raises(PublishError, match="names another image"):
        promote.plan(shop.settings, Talk(), what, target)


def test_a_line_of_an_older_release_is_never_the_latest(shop: Shop) -> None:
    what = replace(small.candidate(shop.settings), line=True)
    refs, _ = promote.plan(shop.settings, Talk(), what, promote.target_of(f"{shop.host}/{shop.name}"))
    assert {ref.rpartition(":")[2] for ref in refs} == NAMES - {"latest"}
    shop.publish(what)
    assert not NAMES - {"latest"} - tags_of(shop.host, shop.name).keys()
    assert "latest" not in tags_of(shop.host, shop.name)


def test_a_second_builder_has_to_have_signed_the_same_digest(shop: Shop, cosign: Path, tmp_path: Path) -> None:
    """It has a key and a name of its own; nothing is sent before its signature verifies."""
    what = small.candidate(shop.settings)
    stranger = replace(shop.settings, config=tmp_path / "second")
    second = replace(shop, settings=stranger, signer=trust_keys.signer(stranger, cosign, Talk()), name="second/x")
    witness = second_builder.Witness(
        str(tmp_path / "second/cosign.pub"), promote.target_of(f"{shop.host}/{second.name}")
    )
    target = promote.target_of(f"{shop.host}/{shop.name}")

    def publish(candidate: promote.Candidate) -> promote.Published:
        return promote.run(shop.settings, Talk(), candidate, target, witness)

    with pytest.raises(PublishError, match="No second builder signed"):
        publish(what)
    with pytest.raises(PublishError, match="No second builder signed"):
        promote.plan(shop.settings, Talk(), what, target, witness)
    second.publish(small.candidate(shop.settings, b"another"))
    with pytest.raises(PublishError, match="No second builder signed"):
        publish(what)
    assert tags_of(shop.host, shop.name) == {}
    small.pin(second.settings, revision=2)
    newer = small.candidate(shop.settings)
    second.publish(newer)
    copy = tmp_path / "copy.pub"
    copy.write_bytes((shop.settings.config / "cosign.pub").read_bytes())
    for own in (copy, shop.settings.config / "cosign.pub"):
        with pytest.raises(PublishError, match="this builder's own key"):
            promote.run(shop.settings, Talk(), newer, target, replace(witness, key=str(own)))
    assert publish(newer).refs


def test_a_statement_about_a_file_is_checked_with_the_command_of_the_docs(
    real: Settings, cosign: Path, tmp_path: Path
) -> None:
    own = replace(real, config=tmp_path / "config")
    signer = trust_keys.signer(own, cosign, Talk())
    wheel, bundle = tmp_path / "x.whl", tmp_path / "bundle"
    wheel.write_bytes(b"wheel")
    bundle.write_bytes(trust_cosign.attest_file(own, signer, wheel, "x.whl", statement.KIND, b'{"result": "PASSED"}'))
    argv: list[str | Path] = [
        cosign,
        "verify-blob-attestation",
        "--key",
        own.config / "cosign.pub",
        "--insecure-ignore-tlog",
    ]
    argv += ["--type", statement.KIND, "--bundle", bundle, wheel]
    assert subprocess.run(argv, env=own.environ, check=False, capture_output=True).returncode == 0
    wheel.write_bytes(b"another wheel")
    other = subprocess.run(argv, env=own.environ, check=False, capture_output=True, text=True)
    assert other.returncode
    assert "no matching subject digest found" in other.stderr
