"""What an attacker with a registry could try: each is refused, in the right words. Real registry, real cosign."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import requests

import small
from helpers import Server, Talk
from registries import Proxy, noise, registry
from small import Shop
from webui_fork.cli.main import main
from webui_fork.config import reference
from webui_fork.core.digest import Digest
from webui_fork.core.errors import ImageError, RegistryError, VerifyError
from webui_fork.oci import connect, layout, model, reader, transfer
from webui_fork.oci.model import Attached
from webui_fork.oci.registry import Registry
from webui_fork.publish import promote
from webui_fork.series import apply
from webui_fork.series import patch as series_patch
from webui_fork.trust import cosign as trust_cosign
from webui_fork.trust import keys as trust_keys
from webui_fork.trust import sign, verify
from webui_fork.trust.verify import Verdict

TAG = "v0.12.4-p1"


def opened(shop: Shop) -> Registry:
    return connect.connect(shop.settings, reference.parse(shop.ref("x")))


def test_an_index_whose_image_nobody_listed(shop: Shop) -> None:
    """Each image of an index has an SBOM of its own: one for the first says nothing of the second."""
    what = small.candidate(shop.settings, architectures=("amd64", "arm64"))
    partly = replace(what.statements, sboms=what.statements.sboms[:1])
    with pytest.raises(VerifyError, match="no tag was touched") as caught:
        shop.publish(replace(what, statements=partly))
    assert f"sbom: it is of another image, {what.image.images[0].digest[:19]}" in caught.value.why
    done = shop.publish(what)
    assert shop.checks(TAG)["sbom"].words.count("components") == 2
    with opened(shop) as there:
        assert {item.kind for image in what.image.images for item in transfer.attached(there, image.digest)} == {
            "sig",
            "att",
        }
    assert done.digest == what.image.digest


def test_an_sbom_that_was_superseded_does_not_stay(shop: Shop) -> None:
    """One of two changed: both are attested anew, for cosign replaces all of a kind or none."""
    what = small.candidate(shop.settings, architectures=("amd64", "arm64"))
    shop.publish(what)
    first, second = what.statements.sboms
    newer = second.replace(b"Terms of the release", b"Other terms")
    assert newer != second
    done = shop.publish(replace(what, statements=replace(what.statements, sboms=(first, newer))))
    seen = trust_cosign.attested(shop.settings, shop.verifier, shop.ref(done.digest), trust_cosign.SBOM).predicates
    written = [json.loads(sbom) for sbom in (first, newer)]
    assert len(seen) == 2
    assert all(one in seen for one in written)


def test_a_tag_that_names_one_platform_of_several(shop: Shop) -> None:
    """Each image of an index is signed; under the tag of all it leaves the other machines without one."""
    what = small.candidate(shop.settings, architectures=("amd64", "arm64"))
    shop.publish(what)
    with opened(shop) as there:
        there.put_manifest(TAG, what.image.images[1].manifest)
    assert list(shop.bad(TAG)) == ["tag"]
    assert "the image for arm64 alone" in shop.bad(TAG)["tag"]
    assert shop.bad(what.image.images[1].digest) == {}


def test_an_index_that_calls_an_image_another_platform_s(shop: Shop) -> None:
    """Even where it is signed: an engine takes the image by the row, and would run the other one."""
    what = small.candidate(shop.settings, architectures=("amd64", "arm64"))
    rows = [dict(row) for row in what.image.root.parsed()["manifests"]]
    rows[0]["platform"], rows[1]["platform"] = rows[1]["platform"], rows[0]["platform"]
    root = model.Blob(model.INDEX, model.canonical_json({**what.image.root.parsed(), "manifests": rows}))
    with pytest.raises(ImageError, match="another platform than it says"):
        shop.publish(replace(what, image=model.Index(root, what.image.images)))
    assert named_tags(shop) == ()


def named_tags(shop: Shop) -> tuple[str, ...]:
    with opened(shop) as there:
        return tuple(tag for tag in there.tags() if not tag.startswith("sha256-"))


def stored(shop: Shop, tmp_path: Path, digest: str) -> Path:
    """Return where the registry keeps a blob on its disk."""
    name = digest.removeprefix("sha256:")
    return tmp_path / f"registry/store/docker/registry/v2/blobs/sha256/{name[:2]}/{name}/data"


def attached(shop: Shop, digest: Digest) -> dict[str, Attached]:
    with opened(shop) as there:
        return {item.kind: item for item in transfer.attached(there, digest)}


def test_untouched_it_verifies_by_tag_digest_and_layout(
    shop: Shop, published: promote.Published, tmp_path: Path
) -> None:
    for tag in (TAG, "v0.12.4", "0.12", "latest", published.digest):
        found = shop.checks(tag)
        assert {check.verdict for check in found.values()} == {Verdict.OK}, found
    what = small.candidate(shop.settings)
    with opened(shop) as there:
        kept = transfer.attached(there, published.digest)
    layout.write_layout(tmp_path / "layout", TAG, what.image.images[0], shop.settings.cache, kept)
    with reader.opened(shop.settings, f"oci:{tmp_path / 'layout'}") as found_:
        checks = verify.run(shop.settings, found_, shop.verifier)
    assert {check.verdict for check in checks} == {Verdict.OK}, checks


def test_a_flipped_byte_in_a_layer(shop: Shop, published: promote.Published, tmp_path: Path) -> None:
    layer = small.candidate(shop.settings).image.images[0].layers[0].layer
    blob = stored(shop, tmp_path, layer.digest)
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)
    bad = shop.bad(TAG)
    assert list(bad) == ["layers"]
    assert "gave other bytes than" in bad["layers"]


def test_a_flipped_byte_in_a_layout(shop: Shop, published: promote.Published, tmp_path: Path) -> None:
    what = small.candidate(shop.settings)
    with opened(shop) as there:
        kept = transfer.attached(there, published.digest)
    root = tmp_path / "layout"
    layout.write_layout(root, TAG, what.image.images[0], shop.settings.cache, kept)
    blob = layout.blob_path(root, what.image.images[0].layers[0].layer.digest)
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.unlink()  # a hard link into the cache
    blob.write_bytes(data)
    with reader.opened(shop.settings, f"oci:{root}") as found:
        checks = {check.name: check for check in verify.run(shop.settings, found, shop.verifier)}
    assert checks["layers"].verdict is Verdict.BAD
    assert "does not match its digest" in checks["layers"].words


def test_a_manifest_swapped_under_the_tag(shop: Shop, published: promote.Published) -> None:
    other = small.candidate(shop.settings, b"something else")
    with opened(shop) as there:
        transfer.push(there, other.image.images[0], TAG, shop.settings.cache, transfer.quiet)
    bad = shop.bad(TAG)
    assert "did not sign this digest" in bad["signature"]
    assert {"provenance", "sbom"} < set(bad)
    assert shop.bad(published.digest) == {}


def test_a_signature_of_another_digest(shop: Shop, published: promote.Published) -> None:
    other = small.candidate(shop.settings, b"something else")
    with opened(shop) as repository:
        transfer.push(repository, other.image.images[0], TAG, shop.settings.cache, transfer.quiet)
        for item in attached(shop, published.digest).values():
            transfer.attach(repository, other.image.digest, item)
    bad = shop.bad(TAG)
    assert "did not sign this digest" in bad["signature"]
    assert "no attestation that verifies" in bad["provenance"]


def test_an_attestation_of_another_image(shop: Shop, published: promote.Published) -> None:
    """The image is signed by us, its attestations are those of another of ours."""
    other = small.candidate(shop.settings, b"something else")
    with opened(shop) as repository:
        transfer.push(repository, other.image.images[0], TAG, shop.settings.cache, transfer.quiet)
        trust_cosign.sign(shop.settings, shop.signer, shop.ref(other.image.digest))
        transfer.attach(repository, other.image.digest, attached(shop, published.digest)["att"])
    bad = shop.bad(TAG)
    assert "signature" not in bad
    assert "no attestation that verifies" in bad["provenance"]
    assert "no attestation that verifies" in bad["sbom"]
    assert "no trusted attestation says what is in it" in bad["contents"]


def test_a_true_statement_about_another_image(shop: Shop, tmp_path: Path) -> None:
    """Signed and attested by us, with the SBOM and provenance of another build: the contents give it away."""
    this, other = small.candidate(shop.settings, b"this"), small.candidate(shop.settings, b"other")
    with opened(shop) as there:
        transfer.push(there, this.image.images[0], TAG, shop.settings.cache, transfer.quiet)
    sign.seal(shop.settings, shop.signer, shop.ref(this.image.digest), other.statements, tmp_path, "x")
    bad = shop.bad(TAG)
    assert "is of another image" in bad["sbom"]
    assert "does not name the layer" in bad["provenance of layers"]


def test_a_wrong_key(shop: Shop, published: promote.Published, cosign: Path, tmp_path: Path) -> None:
    stranger = replace(shop.settings, config=tmp_path / "stranger")
    other = trust_keys.signer(stranger, cosign, Talk()).verifier(stranger)
    bad = shop.bad(TAG, verifier=other)
    assert other.who in bad["signature"]
    assert {"signature", "provenance", "sbom", "contents"} == set(bad)


def test_a_stripped_signature(shop: Shop, published: promote.Published) -> None:
    item = attached(shop, published.digest)["sig"]
    url = f"http://{shop.host}/v2/{shop.name}/manifests/{item.manifest.digest}"
    assert requests.delete(url, timeout=10).status_code == 202
    bad = shop.bad(TAG)
    assert list(bad) == ["signature"]
    assert "no signatures found" in bad["signature"]


def test_stripped_attestations(shop: Shop, published: promote.Published) -> None:
    item = attached(shop, published.digest)["att"]
    url = f"http://{shop.host}/v2/{shop.name}/manifests/{item.manifest.digest}"
    assert requests.delete(url, timeout=10).status_code == 202
    assert set(shop.bad(TAG)) == {"provenance", "sbom", "contents"}


def edited(shop: Shop) -> tuple[series_patch.Patch, ...]:
    _, patches = apply.read_series(shop.settings.patches)
    return (series_patch.parse(patches[0].name, patches[0].data.replace(b"+", b"+ ", 1)), *patches[1:])


def test_a_patch_edited_in_the_image_after_signing(shop: Shop, published: promote.Published) -> None:
    other = small.candidate(shop.settings, inside=edited(shop))
    assert other.image.digest != published.digest
    with opened(shop) as there:
        transfer.push(there, other.image.images[0], TAG, shop.settings.cache, transfer.quiet)
    assert "did not sign this digest" in shop.bad(TAG)["signature"]


def test_an_image_that_holds_another_patch_than_was_attested(shop: Shop) -> None:
    patches = edited(shop)
    shop_ = small.candidate(shop.settings, inside=patches)
    with pytest.raises(VerifyError, match="no tag was touched") as caught:
        shop.publish(shop_)
    assert f"the image holds other patches than signed: {patches[0].name}" in caught.value.why


def test_a_series_that_was_edited_after_publishing(shop: Shop, published: promote.Published) -> None:
    patch = edited(shop)[0]
    (shop.settings.patches / patch.name).write_bytes(patch.data)
    bad = shop.bad(TAG)
    assert bad == {"patches": f"not those of series of this checkout: {patch.name}"}


def test_an_older_signed_image_under_a_newer_tag(shop: Shop, published: promote.Published) -> None:
    small.pin(shop.settings, revision=2)
    newer = shop.publish(small.candidate(shop.settings, b"newer"))
    with opened(shop) as repository:
        older = repository.manifest(published.digest)
        assert older
        repository.put_manifest("v0.12.4-p2", older)
        repository.put_manifest("latest", older)
    bad = shop.bad("v0.12.4-p2")
    assert "v0.12.4-p2 names an image that was signed as v0.12.4-p1: a replay" in bad["tag"]
    assert "latest names v0.12.4-p1, but v0.12.4-p2 is there: an older image replayed" in shop.bad("latest")["tag"]
    assert shop.bad(newer.digest) == {}


def test_a_reference_without_a_tag_is_latest_s(shop: Shop, published: promote.Published) -> None:
    small.pin(shop.settings, revision=2)
    shop.publish(small.candidate(shop.settings, b"newer"))
    with opened(shop) as repository:
        older = repository.manifest(published.digest)
        assert older
        repository.put_manifest("latest", older)
    with reader.opened(shop.settings, f"{shop.host}/{shop.name}") as found:
        checks = {check.name: check for check in verify.run(shop.settings, found, shop.verifier)}
    assert checks["tag"].verdict is Verdict.BAD
    assert "an older image replayed" in checks["tag"].words


def test_a_registry_that_lists_no_tags_leaves_the_newest_unknown(
    shop: Shop, published: promote.Published, server: Server
) -> None:
    proxy = Proxy(server, f"http://{shop.host}")
    proxy.change = lambda path, body: b'{"tags": []}' if path.endswith("/tags/list") else body
    assert shop.checks("latest", proxy.host)["tag"].verdict is Verdict.UNKNOWN
    assert shop.checks(TAG, proxy.host)["tag"].verdict is Verdict.OK


def test_an_older_release_s_image_under_a_newer_release_s_tag(shop: Shop, published: promote.Published) -> None:
    with opened(shop) as repository:
        older = repository.manifest(published.digest)
        assert older
        repository.put_manifest("v0.12.5", older)
    assert "a replay" in shop.bad("v0.12.5")["tag"]


def test_a_registry_that_lies_about_a_manifest(shop: Shop, published: promote.Published, server: Server) -> None:
    proxy = Proxy(server, f"http://{shop.host}")
    proxy.change = lambda path, body: body + b" " if path.endswith(published.digest) else body
    with pytest.raises(RegistryError, match=f"gave other bytes than {published.digest}"):
        shop.bad(published.digest, proxy.host)


def test_a_registry_that_lies_about_a_blob(shop: Shop, published: promote.Published, server: Server) -> None:
    layer = small.candidate(shop.settings).image.images[0].layers[0].layer.digest
    proxy = Proxy(server, f"http://{shop.host}")
    proxy.change = lambda path, body: body[:-1] + b"x" if path.endswith(layer) else body
    assert "gave other bytes than" in shop.bad(TAG, proxy.host)["layers"]


def test_a_registry_that_keeps_something_else_than_it_was_given(shop: Shop, server: Server, tmp_path: Path) -> None:
    """It answers 201 to a blob and keeps nothing: no tag is put."""
    other = small.candidate(shop.settings, noise(5 << 20))
    proxy = Proxy(server, f"http://{shop.host}")

    def swallows(number: int, handler: object) -> bool:
        from http.server import BaseHTTPRequestHandler

        from helpers import reply

        assert isinstance(handler, BaseHTTPRequestHandler)
        if handler.command == "PUT" and "/blobs/uploads/" in handler.path:
            handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
            reply(handler, 201)
            return True
        return False

    proxy.fail = swallows
    with pytest.raises(RegistryError, match="accept the manifest"):
        shop.publish(other, proxy.host)
    with opened(shop) as there:
        assert there.tags() == ()


def test_a_mirror_that_has_only_the_image(
    shop: Shop, published: promote.Published, program: Path, tmp_path: Path
) -> None:
    what = small.candidate(shop.settings)
    with registry(program, tmp_path / "mirror") as mirror:
        with Registry(f"http://{mirror}", shop.name) as there:
            transfer.push(there, what.image.images[0], TAG, shop.settings.cache, transfer.quiet)
        bad = shop.bad(TAG, mirror)
        assert "no signatures found" in bad["signature"]
        assert {"signature", "provenance", "sbom", "contents"} == set(bad)


def test_a_mirror_without_referrers_that_has_all_tags(
    shop: Shop, published: promote.Published, program: Path, tmp_path: Path
) -> None:
    """docker-registry 2.8 knows no referrers API: signatures are kept as tags, and that is enough."""
    what = small.candidate(shop.settings)
    with registry(program, tmp_path / "mirror") as mirror, Registry(f"http://{mirror}", shop.name) as repository:
        transfer.push(repository, what.image.images[0], TAG, shop.settings.cache, transfer.quiet)
        for item in attached(shop, published.digest).values():
            transfer.attach(repository, published.digest, item)
        assert (
            requests.get(f"http://{mirror}/v2/{shop.name}/referrers/{published.digest}", timeout=10).status_code == 404
        )
        assert shop.bad(TAG, mirror) == {}


def test_the_command_s_exit_code_and_words(
    shop: Shop, published: promote.Published, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("ROOT", shop.settings.root), ("CACHE", shop.settings.cache), ("CONFIG", shop.settings.config)):
        monkeypatch.setenv(f"WEBUI_FORK_{name}", str(value))
    assert main(["verify", shop.ref("latest")]) == 0
    said = capsys.readouterr().out
    assert said.rstrip().endswith("Verified.")
    assert said.count("\nok ") == 10
    with opened(shop) as there:
        there.put_manifest("v0.12.4-p9", small.candidate(shop.settings).image.root)
    assert main(["verify", shop.ref("v0.12.4-p9")]) == 20
    output = capsys.readouterr()
    assert "BAD" in output.out
    assert "error: " in output.err
    assert "a replay" in output.err
    assert main(["verify", shop.ref("v9.9.9")]) == 20
    assert "has no v9.9.9" in capsys.readouterr().err
    assert main(["verify", "--no-layers", "--strict", shop.ref("latest")]) == 20
    assert main(["verify", "--key", "/nowhere", shop.ref("latest")]) == 2
