from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from webui_fork.config import upstream_lock
from webui_fork.core.digest import Digest
from webui_fork.core.errors import SigningError
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.series import apply
from webui_fork.trust import cosign as trust_cosign
from webui_fork.trust import provenance, verify
from webui_fork.trust.keys import Verifier
from webui_fork.trust.provenance import Claim

OTHER = Digest.of_hex("2" * 64)


def test_a_signature_of_something_else_in_the_layout_does_not_count(private_settings: Settings, tmp_path: Path) -> None:
    cosign = tmp_path / "cosign"
    row = {"type": "cosign container image signature", "image": {"docker-manifest-digest": str(OTHER)}}
    cosign.write_text(f"#!/bin/sh\necho '{json.dumps([{'critical': row}])}'\n")
    cosign.chmod(0o755)
    who = Verifier(cosign, 2, "key")
    another = trust_cosign.verify(private_settings, who, "oci:x", Digest.of_hex("1" * 64))
    assert another == trust_cosign.Verification(False, f"the signature is of {OTHER}")
    assert trust_cosign.verify(private_settings, who, "oci:x", OTHER).verified
    with pytest.raises(SigningError, match="which digest"):
        trust_cosign.verify(private_settings, who, "oci:x")


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
    statement = {
        "buildDefinition": {
            "buildType": provenance.BUILD_TYPE, "externalParameters": outside, "resolvedDependencies": rows,
        },
        "runDetails": {"builder": {"id": "x"}, "byproducts": [{"digest": layer}]},
    }  # fmt: skip
    assert provenance.read(statement) is None
    good = json.loads(
        json.dumps(statement).replace(json.dumps(value), json.dumps("x.patch" if place == "patch" else "x"))
    )
    if place in ("image", "variant", "patch"):
        assert provenance.read(good)


def test_the_image_of_a_line_is_held_against_the_series_of_the_line(tmp_path: Path) -> None:
    line = tmp_path / "lines/0.11"
    shutil.copytree(CHECKOUT / "lines/0.11", line, ignore=shutil.ignore_patterns("out"))
    for name in ("upstream.lock", "patches"):
        copy = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy2
        copy(CHECKOUT / name, tmp_path / name)
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True, check=True)
    tag = upstream_lock.read(line / "upstream.lock").tag
    claim = Claim("0.11.4", tag, "", "", "", "x", "0" * 64, (), (), (), head.stdout.strip(), False, "")
    names = [patch.name for patch in apply.read_series(line / "patches")[1]]
    settings = Settings(tmp_path, tmp_path / "cache", tmp_path / "config", False)
    for one in (settings, settings.on_line("0.11")):
        series, where = verify._series(one, claim)
        assert ([name for name, _ in series or ()], where) == (names, "series of this checkout, line 0.11")
    (line / "upstream.lock").write_text(
        (line / "upstream.lock").read_text().replace("revision = 1\n", "revision = 99\n")
    )
    assert upstream_lock.read(line / "upstream.lock").tag != tag  # the line went on
    series, where = verify._series(settings, claim)
    assert ([name for name, _ in series or ()], where) == (names, f"series at commit {head.stdout[:12]}")
