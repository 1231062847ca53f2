"""Publishing to real registries, which fail at every request in turn: what has a name is whole and signed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

import small
from helpers import Server, Talk, hang_up
from registries import (
    Door,
    Proxy,
    answers_500,
    docker_login,
    image_of,
    noise,
    registry,
    tags_of,
    with_password,
    with_tls,
)
from small import Shop
from webui_fork.core.digest import Digest
from webui_fork.core.errors import ForkError, PublishError, RegistryError, UsageError
from webui_fork.core.settings import Settings
from webui_fork.image import inputs
from webui_fork.oci import layout, model, reader, transfer
from webui_fork.oci.registry import Registry
from webui_fork.publish import promote, tested
from webui_fork.publish.tested import OtherImage, PassedImage
from webui_fork.trust import attestations as trust_attestations
from webui_fork.trust import keys as trust_keys
from webui_fork.trust import sign, verify
from webui_fork.trust.verify import Verdict

TAG = "v0.12.4-p1"
NAMES = {TAG, "v0.12.4", "0.12", "latest"}


def named(shop: Shop) -> dict[str, str]:
    return {tag: digest for tag, digest in tags_of(shop.host, shop.name).items() if not tag.startswith("sha256-")}


def test_all_tags_name_the_image_and_cosign_verifies_it_by_hand(shop: Shop) -> None:
    done = shop.publish(small.candidate(shop.settings))
    assert named(shop) == dict.fromkeys(NAMES, done.digest)
    assert set(done.refs) == {shop.ref(tag) for tag in NAMES}
    key = str(shop.settings.config / "cosign.pub")
    common = ["--key", key, "--insecure-ignore-tlog=true", "--allow-http-registry", shop.ref(TAG)]
    kinds = ("slsaprovenance1", "cyclonedx", "https://in-toto.io/attestation/test-result/v0.1")
    attestations = [["verify-attestation", "--type", kind] for kind in kinds]
    for words in (["verify"], *attestations):
        ran = subprocess.run([shop.verifier.cosign, *words, *common], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        assert done.digest.removeprefix("sha256:") in ran.stdout or "payload" in ran.stdout


def test_an_unchanged_image_is_not_sent_again(shop: Shop, server: Server) -> None:
    what = small.candidate(shop.settings)
    first = shop.publish(what)
    proxy = Proxy(server, f"http://{shop.host}")
    again = shop.publish(what, proxy.host)
    assert (again.blobs, again.bytes, again.mounted) == (0, 0, 0)
    assert (first.digest, len(again.refs)) == (again.digest, len(first.refs))
    assert not [line for line in proxy.seen if line.startswith(("PUT", "POST", "PATCH"))]


def test_a_tag_that_stands_never_moves(shop: Shop) -> None:
    first = shop.publish(small.candidate(shop.settings))
    with pytest.raises(PublishError, match=f"{TAG} already exists, and names another image") as caught:
        shop.publish(small.candidate(shop.settings, b"another"))
    assert first.digest in caught.value.why
    assert "--revise" in caught.value.remedy
    assert named(shop) == dict.fromkeys(NAMES, first.digest)


def test_moving_tags_follow_the_newest_only(shop: Shop) -> None:
    old = shop.publish(small.candidate(shop.settings))
    small.pin(shop.settings, revision=10)
    new = shop.publish(small.candidate(shop.settings))
    small.pin(shop.settings, revision=9)
    between = shop.publish(small.candidate(shop.settings))
    assert dict(between.left) == dict.fromkeys(("v0.12.4", "0.12", "latest"), "v0.12.4-p10 is newer")
    assert named(shop) == {
        TAG: old.digest, "v0.12.4-p9": between.digest, "v0.12.4-p10": new.digest,
        **dict.fromkeys(("v0.12.4", "0.12", "latest"), new.digest),
    }  # fmt: skip


def test_who_may_not_list_tags_publishes_the_one_that_never_moves(shop: Shop, server: Server) -> None:
    proxy = Proxy(server, f"http://{shop.host}")

    def no_list(count: int, handler: BaseHTTPRequestHandler) -> bool:
        if handler.path.endswith("/tags/list"):
            answers_403(handler)
            return True
        return False

    proxy.fail = no_list
    done = shop.publish(small.candidate(shop.settings), proxy.host)
    assert named(shop) == {TAG: done.digest}
    assert {tag for tag, _ in done.left} == NAMES - {TAG}


def test_the_signature_that_the_build_made_is_promoted(shop: Shop, tmp_path: Path) -> None:
    what = small.candidate(shop.settings)
    with Registry(f"http://{shop.host}", "build") as built:
        transfer.push(built, what.image.images[0], TAG, shop.settings.cache, transfer.quiet)
        sign.seal(shop.settings, shop.signer, f"{shop.host}/build@{what.image.digest}", what.statements, tmp_path, "x")
        kept = transfer.attached(built, what.image.digest)
    layout.write_layout(tmp_path / "layout", TAG, what.image.images[0], shop.settings.cache, kept)
    shop.publish(replace(what, attached=kept, layout=f"oci:{tmp_path / 'layout'}"))
    with Registry(f"http://{shop.host}", shop.name) as there:
        assert transfer.attached(there, what.image.digest) == kept


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_is_sealed_is_not_sealed_again_wherever_cosign_keeps_it(
    shop: Shop, tmp_path: Path, elsewhere: bool
) -> None:
    more = {"COSIGN_REPOSITORY": f"{shop.host}/signatures/all"} if elsewhere else {}
    own, what = replace(shop.settings, environ={**shop.settings.environ, **more}), small.candidate(shop.settings)
    with Registry(f"http://{shop.host}", "build") as built:
        transfer.push(built, what.image.images[0], TAG, shop.settings.cache, transfer.quiet)
        ref = f"{shop.host}/build@{what.image.digest}"
        seals = [sign.seal(own, shop.signer, ref, what.statements, tmp_path, "x", registry=built) for _ in range(2)]
        assert seals == [True, False]
        assert bool(transfer.attached(built, what.image.digest)) is not elsewhere


def test_a_signature_of_another_key_is_not_promoted(shop: Shop, cosign: Path, tmp_path: Path) -> None:
    what = small.candidate(shop.settings)
    stranger = replace(shop.settings, config=tmp_path / "stranger")
    other = trust_keys.signer(stranger, cosign, Talk())
    with Registry(f"http://{shop.host}", "build") as built:
        transfer.push(built, what.image.images[0], TAG, shop.settings.cache, transfer.quiet)
        sign.seal(stranger, other, f"{shop.host}/build@{what.image.digest}", what.statements, tmp_path, "x")
        kept = transfer.attached(built, what.image.digest)
    layout.write_layout(tmp_path / "layout", TAG, what.image.images[0], shop.settings.cache, kept)
    shop.publish(replace(what, attached=kept, layout=f"oci:{tmp_path / 'layout'}"))
    assert shop.bad(TAG) == {}
    assert "signature" in shop.bad(TAG, verifier=other.verifier(stranger))


@pytest.mark.parametrize("text", ["ghcr.io/me/x:v1", "ghcr.io/me/x@sha256:" + "0" * 64, "ghcr.io/ME/x"])
def test_a_target_is_a_name_only(text: str) -> None:
    with pytest.raises(UsageError):
        promote.target_of(text)


def test_a_password_and_a_private_ca_reach_cosign_too(
    real: Settings, cosign: Path, program: Path, tmp_path: Path
) -> None:
    tls, door = with_tls(tmp_path / "tls"), with_password(tmp_path / "auth")
    with registry(program, tmp_path / "r", Door(door.config, tls.ca, tls.scheme, tls.http)) as host:
        own = small.shop(real, tmp_path / "shop", host, cosign)
        environ = {**real.environ, "DOCKER_CONFIG": str(docker_login(tmp_path / "docker", host))}
        own = replace(own, settings=replace(own.settings, environ={**environ, "SSL_CERT_FILE": str(tls.ca)}))
        done = own.publish(small.candidate(own.settings))
        assert {check.verdict for check in own.checks(TAG).values()} == {Verdict.OK}
        assert len(done.refs) == 4


# --- a registry that fails


def old_tags(shop: Shop) -> dict[str, str]:
    """Have an older image under the tags that move."""
    older = image_of(shop.settings.cache, b"older")
    with Registry(f"http://{shop.host}", shop.name) as there:
        for tag in NAMES - {TAG}:
            transfer.push(there, older, tag, shop.settings.cache, transfer.quiet)
    return dict.fromkeys(NAMES - {TAG}, older.digest)


def whole_or_old(shop: Shop, old: dict[str, str], new: str) -> bool:
    """Check that each tag names the old image, or the new one, which verifies; return whether all name the new."""
    found = named(shop)
    assert set(found.values()) <= {*old.values(), new}
    moved = {tag for tag, digest in found.items() if digest == new}
    if moved:
        assert TAG in moved, "a tag moved before the one that never moves stood"
        assert shop.bad(TAG) == {}
    return moved == NAMES


def failing(numbers: Collection[int], failed: set[int], proxy: Proxy) -> None:
    """Fail requests by their numbers, half of them with an answer, half by hanging up."""

    def fail(count: int, handler: BaseHTTPRequestHandler) -> bool:
        if count in numbers:
            failed.add(count)
            (answers_500, hang_up)[count % 2](handler)
        return count in numbers

    proxy.count, proxy.fail = 0, fail


@pytest.mark.alone
@pytest.mark.minutes(3)
@pytest.mark.parametrize("first", [1, 2, 3, 4])
def test_whatever_request_fails_it_ends_whole_or_as_it_was(shop: Shop, server: Server, first: int) -> None:
    """Every request fails once, two of a run that are far from each other: most are made again, and it goes on."""
    proxy = Proxy(server, f"http://{shop.host}")
    what = small.candidate(shop.settings, noise(5 << 20))  # with a blob that is streamed, too
    shop.publish(what, proxy.host)
    half, broken = (proxy.count + 1) // 2, 0
    assert half > 20
    runs = [{number, number + half} for number in range(first, half + 1, 4)]
    pairs = len(runs)
    for name, numbers in enumerate(runs):
        own_shop = replace(shop, name=f"me/run-{name}")
        old = old_tags(own_shop)
        failed: set[int] = set()
        while True:
            left = numbers - failed
            failing(left, failed, proxy)
            try:
                own_shop.publish(what, proxy.host)
                break
            except ForkError:  # again, and it goes on from there
                if not failed & left:
                    raise  # nothing failed that we had fail
                broken += 1
                whole_or_old(own_shop, old, what.image.digest)
        assert whole_or_old(own_shop, old, what.image.digest)
        if failed < numbers and len(numbers) > 1:  # what went on had fewer requests: the other one in a run of its own
            runs.append(numbers - failed)
        else:
            assert failed == numbers or min(numbers) > proxy.count  # beyond the last request
    assert broken < pairs


@pytest.mark.alone
@pytest.mark.minutes(3)
@pytest.mark.parametrize(("first", "step", "platforms"), [(1, 14, 1), (8, 42, 2)])
def test_a_registry_that_goes_and_comes_back(shop: Shop, server: Server, first: int, step: int, platforms: int) -> None:
    """From some request on each one fails, until somebody publishes again."""
    proxy = Proxy(server, f"http://{shop.host}")
    what = small.candidate(shop.settings, noise(5 << 20), architectures=("amd64", "arm64")[:platforms])
    shop.publish(what, proxy.host)
    broken = 0
    for number in range(first, proxy.count + 1, step):
        own_shop = replace(shop, name=f"me/run-{number}")
        old = old_tags(own_shop)
        failing(range(number, 1_000_000), set(), proxy)
        try:
            own_shop.publish(what, proxy.host)
        except ForkError:
            broken += 1
            whole_or_old(own_shop, old, what.image.digest)
            failing((), set(), proxy)
            own_shop.publish(what, proxy.host)
        assert whole_or_old(own_shop, old, what.image.digest)
    assert broken


# --- what `nox -s build` and `nox -s tests` left


def left_behind(shop: Shop, tmp_path: Path, **changes: object) -> None:
    """Write out/ as a build and a test run leave it."""
    what = small.candidate(shop.settings, architectures=("amd64", "arm64"))
    out = shop.settings.out / "full"
    layout.write_layout(out / "image", TAG, what.image, shop.settings.cache)
    for name, data in what.statements.documents().items():
        (out / name).write_bytes(data)
    record = {
        "schema": 3,
        "tag": TAG,
        "digest": what.image.digest,
        "platforms": {image.platform[1]: image.digest for image in what.image.images},
        "release": "0" * 40,
        "head": "0" * 40,
        "patches": [],
        "layers": [],
        "key": "cosign.pub",
        "inputs": dict(inputs.lock_inputs(shop.settings)),
        "drift": [],
        "commit": "0" * 40,
        "dirty": False,
        "statements": trust_attestations.digests(what.statements),
        **changes,
    }
    (out / "build.json").write_text(json.dumps(record))
    tested.write(shop.settings, PassedImage(what.image.images[0].digest, "0" * 40, 1))


def test_what_was_built_and_tested_is_what_is_published(shop: Shop, tmp_path: Path) -> None:
    left_behind(shop, tmp_path)
    what = promote.candidate(shop.settings, "full")
    done = shop.publish(what)
    assert named(shop)[TAG] == done.digest == json.loads((shop.settings.out / "published.json").read_text())["digest"]
    for name in (TAG, *(image.digest for image in what.image.images)):  # the index, and each image by itself
        with reader.opened(shop.settings, shop.ref(name)) as found:
            checks = verify.run(shop.settings, found, shop.verifier)
        assert {check.verdict for check in checks} == {Verdict.OK}, checks


def test_what_the_tests_said_is_attested(shop: Shop, tmp_path: Path) -> None:
    left_behind(shop, tmp_path)
    digest = small.candidate(shop.settings, architectures=("amd64", "arm64")).image.images[0].digest
    suites = ("tests/unit/a.py", "tests/unit/b.py")
    record = PassedImage(
        Digest.of_hex("2" * 64), "0" * 40, 2311, (), (OtherImage(digest, 9, suites),), (), "0.13.0+cpu"
    )
    tested.write(shop.settings, record)
    with pytest.raises(PublishError, match="tests that are not here") as caught:  # nobody's but the checkout's own
        promote.candidate(shop.settings, "full")
    assert "tests/unit/a.py" in caught.value.why
    for suite in suites:
        (shop.settings.root / suite).parent.mkdir(parents=True, exist_ok=True)
        (shop.settings.root / suite).touch()
    shop.publish(promote.candidate(shop.settings, "full"))
    # those that ran on it, and not the whole run's
    assert shop.checks(TAG)["tests"].words == "9 passed on linux/amd64, 2 files, vLLM 0.13.0+cpu"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dirty": True}, "uncommitted changes"),
        ({"commit": ""}, "in no commit"),
        ({"statements": {}}, "not the one that the build wrote"),
        ({"drift": ["libc6"]}, "drifted"),
        ({"platforms": {"amd64": "sha256:" + "0" * 64, "arm64": "sha256:" + "0" * 64}}, "not from the same build"),
        ({"platforms": {}}, "not from the same build"),
        ({"digest": "sha256:" + "0" * 64}, "not from the same build"),
        ({"inputs": {}}, "does not match the current locks and series"),
        ({"schema": 1}, "There is no build"),
        ({"inputs": []}, "There is no build"),
    ],
)
def test_what_may_not_be_published_is_refused(
    shop: Shop, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    left_behind(shop, tmp_path, **changes)
    with pytest.raises(PublishError, match=words):
        promote.candidate(shop.settings, "full")


def test_what_was_not_tested_is_refused(shop: Shop, tmp_path: Path) -> None:
    left_behind(shop, tmp_path)
    tested.write(shop.settings, PassedImage(Digest.of_hex("1" * 64), "0" * 40, 1))
    with pytest.raises(PublishError, match="not the one that passed the tests"):
        promote.candidate(shop.settings, "full")
    tested.forget(shop.settings)
    with pytest.raises(PublishError, match="No image has passed"):
        promote.candidate(shop.settings, "full")
    (shop.settings.out / "full/build.json").unlink()
    with pytest.raises(PublishError, match="There is no build"):
        promote.candidate(shop.settings, "full")


def test_a_registry_that_refuses_leaves_no_half(shop: Shop, server: Server) -> None:
    proxy = Proxy(server, f"http://{shop.host}")

    def read_only(count: int, handler: BaseHTTPRequestHandler) -> bool:
        if handler.command in ("GET", "HEAD"):
            return False
        answers_403(handler)
        return True

    proxy.fail = read_only
    with pytest.raises(RegistryError, match="denied access"):
        shop.publish(small.candidate(shop.settings), proxy.host)
    assert named(shop) == {}


def answers_403(handler: BaseHTTPRequestHandler) -> None:
    from helpers import reply

    handler.close_connection = True
    reply(handler, 403, b'{"errors": [{"code": "DENIED", "message": "read only"}]}', Connection="close")


def test_the_same_statement_of_another_run_is_the_same(shop: Shop) -> None:
    """Only what is said of the image counts, not which run said it."""
    what = small.candidate(shop.settings)
    shop.publish(what)
    said = json.loads(what.statements.provenance)
    said["runDetails"]["metadata"] = {"invocationId": "https://run.example/2"}
    again = replace(what, statements=trust_attestations.Statements(what.statements.sboms, model.canonical_json(said)))
    with Registry(f"http://{shop.host}", shop.name) as registry:
        before = transfer.attached(registry, what.image.digest)
        shop.publish(again)
        assert transfer.attached(registry, what.image.digest) == before
