"""What is no digest can't become one: paths in caches and addresses in registries are made of it alone."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import msgspec
import pytest

from webui_fork.core.digest import Digest, decode
from webui_fork.oci import layout
from webui_fork.sources import download

DIGITS = "0123456789abcdef" * 4
ODD = ["", "../../victim", "/etc/passwd", "a" * 63, "a" * 65, "A" * 64, "g" * 64, DIGITS + "\n", "\u0661" * 64]


@pytest.mark.parametrize("text", [*ODD, None, 7, b"a" * 64, [DIGITS]])
def test_what_is_not_64_hexadecimal_digits_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is not a"):
        Digest.of_hex(text)


@pytest.mark.parametrize("text", [*("sha256:" + text for text in ODD), DIGITS, "sha512:" + DIGITS * 2, None, 7])
def test_what_is_not_sha256_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is not a digest"):
        Digest(text)


def test_it_is_text_and_stays_a_digest() -> None:
    digest = Digest.of_hex(DIGITS)
    assert digest == f"sha256:{DIGITS}"
    assert digest.hex == DIGITS
    assert Digest(digest) is digest
    assert json.loads(json.dumps({"digest": digest})) == {"digest": digest}
    assert [type(one) for one in (copy.deepcopy(digest), pickle.loads(pickle.dumps(digest)))] == [Digest, Digest]


def test_a_file_gives_it_or_is_refused() -> None:
    text = msgspec.json.encode({"amd64": Digest.of_hex(DIGITS)}, enc_hook=str)
    value = msgspec.json.decode(text, type=dict[str, Digest], dec_hook=decode)
    assert type(value["amd64"]) is Digest
    with pytest.raises(msgspec.ValidationError, match="is not a digest"):
        msgspec.json.decode(b'{"amd64":"sha256:../../victim"}', type=dict[str, Digest], dec_hook=decode)


def test_the_paths_made_of_it(tmp_path: Path) -> None:
    digest = Digest.of_hex(DIGITS)
    assert download.cached(tmp_path, digest) == tmp_path / "downloads" / DIGITS
    assert layout.blob_path(tmp_path, digest) == tmp_path / "blobs/sha256" / DIGITS
