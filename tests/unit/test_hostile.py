"""A registry or a layout that means harm, or is merely broken: an error in words, and nothing given away."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from helpers import Server, hang_up, reply
from registries import image_of
from webui_fork.config import reference as reference_module
from webui_fork.config import tags
from webui_fork.core import git
from webui_fork.core.errors import ForkError, ImageError, RegistryError, SigningError, ToolError
from webui_fork.core.settings import Secret, Settings
from webui_fork.oci import connect, model, reader, transfer
from webui_fork.oci import layout as oci_layout
from webui_fork.oci import registry as oci_registry
from webui_fork.oci.auth import Credentials
from webui_fork.oci.model import Blob
from webui_fork.oci.registry import Registry
from webui_fork.trust import cosign as trust_cosign
from webui_fork.trust import provenance, verify
from webui_fork.trust.cosign import Attested, Verifier

ME = Credentials("me", Secret("pw"))
BASIC = 'Basic realm="x"'


def test_credentials_go_to_the_registry_and_nowhere_else(server: Server) -> None:
    with Server() as other:

        def asks_for_a_password(handler: BaseHTTPRequestHandler) -> None:
            handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
            reply(handler, 401, WWW_Authenticate=BASIC)

        other.answer = asks_for_a_password

        def answer(handler: BaseHTTPRequestHandler) -> None:
            if not handler.headers.get("Authorization"):
                reply(handler, 401, WWW_Authenticate=BASIC)
            elif handler.path.endswith("/tags/list"):
                reply(handler, 200, b'{"tags": ["a"]}', Link=f'<{other.url}/v2/x/tags/list>; rel="next"')
            elif handler.command == "POST":
                reply(handler, 202, Location=f"{other.url}/upload")
            else:
                reply(handler, 307, Location=f"{other.url}/elsewhere")

        server.answer = answer
        with Registry(server.url, "x", pause=0, known=ME) as registry:
            with pytest.raises(RegistryError, match="lead elsewhere"):
                registry.tags()
            with pytest.raises(RegistryError):
                registry.put_blob(Blob("x", b"data"))
            with pytest.raises(RegistryError):
                registry.manifest("v1")
            with pytest.raises(RegistryError):
                b"".join(registry.blob("sha256:" + "0" * 64))
        assert len(other.requests) >= 3
        assert not [headers for _, _, headers in other.requests if "Authorization" in headers]


@pytest.mark.parametrize(
    ("url", "own"),
    [("https://reg.example/x", True), ("https://REG.example:443/x", True), ("http://reg.example/x", False),
     ("https://reg.example:444/x", False), ("https://reg.example.evil/x", False), ("https://u@evil/x", False)],
)  # fmt: skip
def test_the_registry_s_own_address_has_several_forms(url: str, own: bool) -> None:
    with Registry("https://Reg.example", "x") as registry:
        assert registry._own(url) is own


def test_a_token_may_come_in_pieces_and_for_several_scopes(server: Server) -> None:
    token = "t" * 9000

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.startswith("/token"):
            body = json.dumps({"token": token}).encode()
            handler.send_response(200)
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            for part in (body[:100], body[100:], b""):
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        elif handler.headers.get("Authorization") == f"Bearer {token}":
            reply(handler, 404)
        else:
            challenge = f'Bearer realm="{server.url}/token",scope="repository:a:pull repository:b:pull,push"'
            reply(handler, 401, WWW_Authenticate=challenge)

    server.answer = answer
    with Registry(server.url, "x", pause=0, known=ME) as registry:
        assert registry.manifest("v1") is None
    (asked,) = [path for _, path, _ in server.requests if path.startswith("/token")]
    assert asked.count("scope=") == 2


def test_no_cookie_is_kept(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 404, Set_Cookie="sid=1")
    with Registry(server.url, "x", pause=0) as registry:
        assert registry.manifest("a") is registry.manifest("b") is None
    assert not [headers for _, _, headers in server.requests if "Cookie" in headers]


def test_a_mount_that_may_not_be_is_none(server: Server) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.startswith("/token"):
            reply(handler, 403)
        else:
            reply(handler, 401, WWW_Authenticate=f'Bearer realm="{server.url}/token"')

    server.answer = answer
    with Registry(server.url, "x", pause=0, known=ME) as registry:
        assert not registry.mount("sha256:" + "0" * 64, "other")


def test_a_link_that_is_no_address_is_an_error_in_words(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 200, b'{"tags": []}', Link='<http://[x>; rel="next"')
    with Registry(server.url, "x", pause=0) as registry, pytest.raises(RegistryError, match="lead elsewhere"):
        registry.tags()


def test_a_base_s_blob_is_never_longer_than_it_says(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 200, b"0123456789PUT /evil")
    with Registry(server.url, "x", pause=0) as registry, pytest.raises(RegistryError, match="more than the 10 bytes"):
        b"".join(oci_registry.BlobContent(registry, "sha256:" + "0" * 64, 10).read(0))


def test_cosign_ended_by_a_signal_has_said_nothing(private_settings: Settings, tmp_path: Path) -> None:
    cosign = tmp_path / "cosign"
    cosign.write_text("#!/bin/sh\nkill -KILL $$\n")
    cosign.chmod(0o755)
    with pytest.raises(SigningError, match="ended by signal 9"):
        trust_cosign.verification_error(private_settings, Verifier(cosign, 2, "key"), "oci:x", "sha256:this")


def test_a_token_server_that_redirects_gets_nobody_s_secret_carried_on(server: Server) -> None:
    with Server() as other:
        other.answer = lambda handler: reply(handler, 200, b'{"token": "t"}')

        def answer(handler: BaseHTTPRequestHandler) -> None:
            if handler.path.startswith("/token"):
                reply(handler, 307, Location=f"{other.url}/token")
            else:
                reply(handler, 401, WWW_Authenticate=f'Bearer realm="{server.url}/token"')

        server.answer = answer
        known = Credentials("", Secret(""), Secret("identity"))
        with Registry(server.url, "x", pause=0, known=known) as registry, pytest.raises(RegistryError):
            registry.manifest("v1")
        assert other.requests == []


def test_a_list_of_tags_that_never_ends_is_ended(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 200, b'{"tags": ["a"]}', Link='</v2/x/tags/list>; rel="next"')
    with Registry(server.url, "x", pause=0) as registry, pytest.raises(RegistryError, match="no list of tags"):
        registry.tags()
    assert len(server.requests) == 1


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(64):
            handler.wfile.write(bytes(1 << 20))
    finally:
        hang_up(handler)


def test_an_answer_that_never_ends_is_not_read_to_its_end(server: Server) -> None:
    server.answer = endless
    with Registry(server.url, "x", pause=0) as registry:
        with pytest.raises(RegistryError, match="does not stop answering"):
            registry.manifest("v1")
        with pytest.raises(RegistryError, match="gives more than the 100 bytes"):
            registry.small_blob(model.Descriptor("x", "sha256:" + "0" * 64, 100))


DEEP = b"[" * 100_000
HOSTILE = [
    b"{}", b"[]", b"5", b"null", b"", b"\xff", DEEP, b'{"config": 5}', b'{"manifests": 5}', b'{"manifests": [5]}',
    b'{"manifests": [{"digest": "sha256:/../../etc", "size": 1, "mediaType": "x"}]}',
    b'{"manifests": [{"digest": 5}], "mediaType": "application/vnd.oci.image.index.v1+json"}',
    b'{"config": {"mediaType": "x", "digest": "sha256:' + b"0" * 64 + b'", "size": -1}}',
    b'{"config": {"mediaType": "x", "digest": "sha256:' + b"0" * 64 + b'", "size": 1e400}}',
    b'{"mediaType": 5, "layers": {}}',
]  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE)
def test_a_malformed_manifest_is_an_error_in_words(
    server: Server, private_settings: Settings, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if it were signed: what is read must stand on its own."""
    claim = provenance.Claim("1.2.3", "v1.2.3-p1", "", "x", "0" * 64, (), (), (), "", False, "")
    monkeypatch.setattr(trust_cosign, "verification_error", lambda *_: "")
    monkeypatch.setattr(trust_cosign, "attested", lambda *_: Attested(({},)))
    monkeypatch.setattr(provenance, "read", lambda _: claim)
    server.answer = lambda handler: reply(handler, 200, body)
    name = server.url.removeprefix("http://")
    who = Verifier(Path("/bin/false"), 2, "key")
    with pytest.raises(ForkError), reader.opened(private_settings, f"{name}/x:v1") as found:
        verify.run(private_settings, found, who)
    with connect.connect(private_settings, reference_module.parse(f"{name}/x:v1"), pause=0) as registry:
        assert registry.tags() == ()


@pytest.mark.parametrize("header", ["\u00b2", "soon", "-1", "1" * 400, "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_an_odd_retry_after_is_no_reason_to_fail(server: Server, header: str) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if len(server.requests) == 1:
            handler.send_response_only(503)
            handler.wfile.write(b"")
            handler.send_header("Retry-After", header.encode().decode("latin-1"))
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        else:
            reply(handler, 404)

    server.answer = answer
    with Registry(server.url, "x", pause=0) as registry:
        assert registry.manifest("v1") is None


@pytest.mark.parametrize("location", ["", "http://[x", "//"])
def test_an_upload_without_a_place_is_an_error_in_words(server: Server, location: str) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if location:
            reply(handler, 202, Location=location)
        else:
            reply(handler, 202)

    server.answer = answer
    with Registry(server.url, "x", pause=0) as registry, pytest.raises(RegistryError):
        registry.put_blob(Blob("x", b"data"))


def test_what_a_registry_says_can_not_paint_on_the_terminal(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 400, b'{"errors": [{"code": "\\u001b[2J", "message": "Verified."}]}')
    with Registry(server.url, "x", pause=0) as registry, pytest.raises(RegistryError) as caught:
        registry.manifest("v1")
    assert "\x1b" not in str(caught.value)


# --- layouts


def layout(tmp_path: Path, change: Callable[[list[dict[str, object]]], object]) -> Path:
    root = tmp_path / "layout"
    made = image_of(tmp_path / "cache", b"one")
    oci_layout.write_layout(root, "v1", made, tmp_path / "cache")
    index = json.loads((root / "index.json").read_bytes())
    change(index["manifests"])
    (root / "index.json").write_text(json.dumps(index))
    return root


def other_kind(rows: list[dict[str, object]]) -> None:
    """Add an index beside the image: cosign would verify that one."""
    rows.insert(0, {**rows[0], "annotations": {"kind": "dev.cosignproject.cosign/imageIndex"}})


@pytest.mark.parametrize(
    "change",
    [
        other_kind,
        lambda rows: rows.append(dict(rows[0])),
        lambda rows: rows.clear(),
        lambda rows: rows[0].update(annotations=None),
        lambda rows: rows[0].update(digest="sha256:/dev/zero"),
        lambda rows: rows[0].update(digest=5),
        lambda rows: rows.append(5),
    ],
)
def test_a_layout_holds_one_image_and_nothing_that_leads_out_of_it(
    tmp_path: Path, change: Callable[[list[dict[str, object]]], object]
) -> None:
    with pytest.raises(ImageError):
        oci_layout.read_layout(layout(tmp_path, change))


def test_a_damaged_last_layer_is_said(tmp_path: Path, private_settings: Settings) -> None:
    root = layout(tmp_path, lambda rows: None)
    read = oci_layout.read_layout(root)
    blob = oci_layout.blob_path(root, read.image.layers[-1].layer.digest)
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 255
    blob.unlink()
    blob.write_bytes(data)
    found = reader.Store(str(root), "v1", read.image.manifest, f"oci:{root}", layout=read)
    said = verify._inside(private_settings, found, next(verify._images(found)))
    assert isinstance(said, str)
    assert "can't be read" in said


# --- what was verified, and who by


def test_a_signature_of_something_else_in_the_layout_does_not_count(private_settings: Settings, tmp_path: Path) -> None:
    cosign = tmp_path / "cosign"
    cosign.write_text(
        "#!/bin/sh\n" + 'echo \'[{"critical": {"image": {"docker-manifest-digest": "sha256:other"}}}]\'\n'
    )
    cosign.chmod(0o755)
    who = Verifier(cosign, 2, "key")
    assert "the signature is of sha256:other" in trust_cosign.verification_error(
        private_settings, who, "oci:x", "sha256:this"
    )
    assert trust_cosign.verification_error(private_settings, who, "oci:x", "sha256:other") == ""
    with pytest.raises(SigningError, match="which digest"):
        trust_cosign.verification_error(private_settings, who, "oci:x")


def test_the_public_key_that_is_trusted_is_never_replaced(private_settings: Settings, talk: object) -> None:
    from helpers import Talk

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


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("commit", "--output=/tmp/x"),
        ("image", "../../x"),
        ("variant", "a b"),
        ("layers", "sha256:x"),
        ("patch", "../x"),
    ],
)
def test_a_signed_word_that_is_no_name_is_not_taken(place: str, value: str) -> None:
    digest = {"sha256": "0" * 64}
    rows = [
        {"uri": "git+x", "name": "repository", "digest": {"gitCommit": value if place == "commit" else "0" * 40}},
        {"uri": "pkg:pypi/open-webui@1", "name": "x.tar.gz", "digest": digest},
        {"uri": "patches/x.patch", "name": value if place == "patch" else "x.patch", "digest": digest},
    ]
    outside = {"release": "1", "tag": "v1-p1", "image": "x", "variant": ""}
    if place in outside:
        outside[place] = value
    layer = {"sha256": "x" if place == "layers" else "0" * 64}
    said = {
        "buildDefinition": {
            "buildType": provenance.BUILD_TYPE, "externalParameters": outside, "resolvedDependencies": rows,
        },
        "runDetails": {"builder": {"id": "x"}, "byproducts": [{"digest": layer}]},
    }  # fmt: skip
    assert provenance.read(said) is None
    good = json.loads(json.dumps(said).replace(json.dumps(value), json.dumps("x.patch" if place == "patch" else "x")))
    if place in ("image", "variant", "patch"):
        assert provenance.read(good)


def test_a_clone_that_git_can_not_read_is_not_taken_for_clean(private_settings: Settings) -> None:
    assert git.checkout(private_settings) == ("", False)
    (private_settings.root / ".git").mkdir()
    with pytest.raises(ToolError, match="can't tell"):
        git.checkout(private_settings)


def test_a_number_that_no_tag_has_is_no_tag() -> None:
    assert tags.parse("v0.1-p" + "9" * 5000) is None
    assert tags.parse("v0.1-p\u0663") is None


def test_quiet_progress_takes_whatever_comes() -> None:
    with transfer.quiet("layer", 3) as advance:
        advance(3)
