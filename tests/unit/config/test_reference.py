from __future__ import annotations

import pytest

from webui_fork.config import reference
from webui_fork.core.digest import Digest
from webui_fork.core.errors import UsageError

DIGEST = Digest.of_hex("a" * 64)


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        ("ghcr.io/me/open-webui:v0.12.4-p3", "ghcr.io", "me/open-webui", "v0.12.4-p3", None),
        ("127.0.0.1:5000/x", "127.0.0.1:5000", "x", "", None),
        ("localhost/x@" + DIGEST, "localhost", "x", "", DIGEST),
        ("[::1]:5000/a/b:t@" + DIGEST, "[::1]:5000", "a/b", "t", DIGEST),
        ("me/open-webui", "docker.io", "me/open-webui", "", None),
        ("debian:12", "docker.io", "library/debian", "12", None),
    ],
)
def test_it_is_read_as_docker_reads_it(
    text: str, registry: str, repository: str, tag: str, digest: Digest | None
) -> None:
    found = reference.parse(text)
    assert (found.registry, found.repository, found.tag, found.digest) == (registry, repository, tag, digest)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ghcr.io/Me/x", "capital letters"),
        ("ghcr.io/x:", "can't be a tag"),
        ("ghcr.io/x:a b", "can't be a tag"),
        ("ghcr.io/x@sha256:abc", "digest"),
        ("-bad.host/x", "can't be a host"),
        ("", "name"),
    ],
)
def test_what_is_no_reference_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        reference.parse(text)


def test_only_this_machine_is_loopback() -> None:
    names = {"127.0.0.1:5000/x": True, "localhost:1/x": True, "[::1]:5/x": True, "ghcr.io/x": False}
    names |= {"127.0.0.1.example.org/x": False, "localhost.example.org/x": False, "10.0.0.1:5000/x": False}
    assert {name: reference.parse(name).loopback for name in names} == names


def test_docker_hub_answers_elsewhere() -> None:
    assert reference.parse("debian").host == "registry-1.docker.io"
    assert reference.parse("ghcr.io/x").at(DIGEST).pinned == f"ghcr.io/x@{DIGEST}"
    with pytest.raises(UsageError, match="names no digest"):
        _ = reference.parse("ghcr.io/x:v1").pinned
