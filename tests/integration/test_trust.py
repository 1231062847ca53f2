"""What is said of the real image, held against what others find in it, and against a second build."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from packageurl import PackageURL

from helpers import Talk, members, purls
from users import User
from webui_fork.cli import doctor
from webui_fork.config import requirements_lock
from webui_fork.core.settings import Settings
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
from webui_fork.oci import layout
from webui_fork.trust import attestations
from webui_fork.trust import keys as trust_keys
from webui_fork.trust.attestations import Statements

pytestmark = pytest.mark.minutes(2)


@pytest.fixture(scope="module")
def statements(real: Settings, inputs: image_inputs.Inputs, built: pipeline.Built) -> Statements:
    return attestations.of_build(real, pipeline.Assembly(built.image, ((inputs, built),)), Talk())


def test_an_independent_scanner_finds_nothing_that_the_sbom_lacks(
    real: Settings, built: pipeline.Built, statements: Statements, tmp_path: Path
) -> None:
    layout.write_layout(tmp_path / "layout", "v", built.image, real.cache)
    syft = Path(sys.executable).parent / "syft"
    argv = [str(syft), "scan", f"oci-dir:{tmp_path / 'layout'}", "--quiet", "--output", "json"]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "SYFT_CHECK_FOR_APP_UPDATE": "false"}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    scanned = set()
    for artifact in json.loads(done.stdout)["artifacts"]:
        assert artifact["purl"], artifact
        purl = PackageURL.from_string(artifact["purl"])
        if purl.type == "nuget":
            continue  # pip's launchers for Windows
        name = re.sub(r"[-_.]+", "-", purl.name).lower() if purl.type == "pypi" else purl.name
        scanned.add((purl.type, "/".join(filter(None, (purl.namespace, name))), purl.version))
    assert statements.sboms[0]
    ours = purls(json.loads(statements.sboms[0]))
    assert len(scanned) > 250
    assert scanned - ours == set()


def test_the_npm_packages_in_the_built_front_end_are_named(statements: Statements) -> None:
    rows = {row["purl"]: row for row in json.loads(statements.sboms[0])["components"]}
    npm = {PackageURL.from_string(purl).name: row for purl, row in rows.items() if purl.startswith("pkg:npm/")}
    assert {"dompurify", "katex", "marked", "socket.io-client", "svelte"} < npm.keys()
    assert not {"vite", "typescript", "eslint", "cypress"} & npm.keys()  # what only builds it
    front_end = [row for row in npm.values() if {"name": "webui_fork:path", "value": "/app/build"} in row["properties"]]
    assert len(front_end) > 250
    for row in front_end:
        assert row["version"], row
        assert [one["alg"] for one in row["hashes"]] == ["SHA-512"], row
    assert len([row for row in front_end if "licenses" not in row]) < 5  # upstream's lock has none for these


def test_every_package_has_the_digest_of_what_it_was_installed_from(
    inputs: image_inputs.Inputs, built: pipeline.Built, statements: Statements
) -> None:
    assert statements.sboms[0]
    rows = {row["purl"]: row for row in json.loads(statements.sboms[0])["components"]}
    debs = {row["hashes"][0]["content"] for purl, row in rows.items() if purl.startswith("pkg:deb/")}
    assert debs == {deb.digest.hex for deb in built.debs}
    hashes = {
        row["hashes"][0]["content"] for purl, row in rows.items() if purl.startswith("pkg:pypi/") and "hashes" in row
    }
    assert {digest.hex for _, _, digest in requirements_lock.pins(inputs.packaged.requirements)} <= hashes
    without = [purl for purl, row in rows.items() if "licenses" not in row]
    assert len(without) < len(rows) / 10, without


def test_the_provenance_names_every_input_by_digest(
    real: Settings, inputs: image_inputs.Inputs, built: pipeline.Built, statements: Statements
) -> None:
    definition = json.loads(statements.provenance)["buildDefinition"]
    digests = {value for row in definition["resolvedDependencies"] for value in row["digest"].values()}
    wanted = {inputs.lock.sdist.sha256, inputs.lock.wheel.sha256, *(deb.digest.hex for deb in built.debs)}
    wanted |= {digest.hex for _, _, digest in requirements_lock.pins(inputs.packaged.requirements)}
    assert wanted <= digests
    names = [row["name"] for row in definition["resolvedDependencies"]]
    assert {patch.name for patch in inputs.patches} <= set(names)
    assert {"upstream.lock", "images/open-webui/image.toml", "images/open-webui/entrypoint.sh"} <= set(names)


def test_both_are_the_same_when_they_are_written_again(
    real: Settings, inputs: image_inputs.Inputs, built: pipeline.Built, statements: Statements
) -> None:
    for name in ("inventory", "sbom"):
        shutil.rmtree(real.cache / name)
    assert attestations.of_build(real, pipeline.Assembly(built.image, ((inputs, built),)), Talk()) == statements


# --- nothing in a layer that does not belong there

_TOOLS = r"(apt(-[a-z]+)?|uv|npm|node|gcc|cc|g\+\+|c\+\+|cpp|ld|as|make|git|wget|ssh)(-[0-9.]+)?"
_UNWANTED = re.compile(
    rf"(usr/)?(local/)?s?bin/{_TOOLS}"
    r"|.*\.(deb|key|p12|pfx|jks|kdbx)|(.*/)?(\.netrc|\.pypirc|\.npmrc|\.git|\.env|\.ssh|\.docker|\.bash_history|\.cache|\.npm|id_[a-z0-9]+)(/.*)?"
    r"|(tmp|var/tmp|var/log|var/cache|var/lib/apt|run|root|home)/.+|etc/apt/.+|etc/(machine-id|hostname|resolv\.conf)"
    r"|.*/dist-packages/(setuptools|wheel|uv)/.*|.*/node_modules/.*|.*cosign.*\.(key|pub)"
)
_DEBIAN_S_OWN = re.compile(  # of base-files, debconf, libc-bin; and the folder for compiled modules
    r"root/\.(bashrc|profile)|etc/apt/apt\.conf\.d(/70debconf)?|var/cache/(debconf|ldconfig|python)"
)
_BYTE_CODE = re.compile(r"usr/(lib/python3(\.11)?|share/python3|share/gcc)/.*")  # Debian's packages make theirs
_PEM = re.compile(
    r"etc/ssl/certs/.*|usr/lib/ssl/cert\.pem|.*/(certifi|botocore|grpc/_cython/_credentials|pip/_vendor/certifi)/.*\.pem"
)
_SELF_TEST = re.compile(r"usr/lib/[^/]+/libgnutls\.so\.[0-9.]+")  # keys that everybody has, for its self-test
_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{200,}-----END")


def test_no_secret_cache_compiler_or_package_manager_is_left_in_a_layer(real: Settings, built: pipeline.Built) -> None:
    own_paths = (str(real.root).encode(), str(real.cache).encode())
    odd: list[str] = []
    seen = 0
    for layer, info, data in members(built.image, real.cache):
        seen += 1
        path = info.name.rstrip("/")
        where = f"{layer}: /{path}"
        if _UNWANTED.fullmatch(path) and not _DEBIAN_S_OWN.fullmatch(path):
            odd.append(f"{where}: does not belong in an image")
        if "__pycache__" in path and not _BYTE_CODE.fullmatch(path):
            odd.append(f"{where}: byte code")
        if path.endswith(".pem") and not _PEM.fullmatch(path):
            odd.append(f"{where}: a certificate or key")
        if info.isreg() and info.mode & 0o6000:
            odd.append(f"{where}: set-uid or set-gid")
        if info.mode & 0o002 and not info.issym() and not info.mode & 0o1000:
            odd.append(f"{where}: anybody may write to it")
        if _PRIVATE_KEY.search(data) and not _SELF_TEST.fullmatch(path):
            odd.append(f"{where}: holds a private key")
        odd += [
            f"{where}: names a path of this machine" for word in own_paths if word in data or word in info.name.encode()
        ]
    assert seen > 20_000
    assert odd == []


# --- again, from what the provenance says


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory, real: Settings, built: pipeline.Built) -> User:
    """A clone with a commit, and an image built and signed from it."""
    new_user = User(tmp_path_factory.mktemp("user"), real, warm=True)
    new_user.commit()
    code, _, err = new_user.run("build", "--locked")
    assert code == 0, err
    return new_user


def test_without_the_inputs_it_says_so(user: User) -> None:
    patch = next((user.root / "patches").glob("*.patch"))
    kept = patch.read_bytes()
    patch.write_bytes(kept + b"\n")
    (user.root / ".git").rename(user.root / "gone")
    code, _, err = user.run("reproduce", "oci:out/image")
    (user.root / "gone").rename(user.root / ".git")
    patch.write_bytes(kept)
    assert code == 21
    assert f"patches/{patch.name}" in err
    assert "git fetch" in err


def test_what_nobody_signed_is_not_built_again(user: User, tmp_path: Path) -> None:
    code, _, err = user.run("reproduce", "oci:out/image", "--key", other_key(user, tmp_path))
    assert code == 20
    assert "is not signed by" in err


def other_key(user: User, tmp_path: Path) -> str:
    cosign = next(user.cache.glob("tools/cosign/usr/bin/cosign"), None) or shutil.which("cosign")
    env = {**user.env, "COSIGN_PASSWORD": ""}
    subprocess.run([str(cosign), "generate-key-pair"], cwd=tmp_path, env=env, check=True, capture_output=True)
    return str(tmp_path / "cosign.pub")


def test_an_image_that_nobody_signed(real: Settings, cosign: Path, built: pipeline.Built, tmp_path: Path) -> None:
    own = replace(real, config=tmp_path / "config")
    trust_keys.signer(own, cosign, Talk())  # a key, with which nothing was signed
    layout.write_layout(tmp_path / "image", "v1", built.image, real.cache)
    image = doctor.verified(own, f"oci:{tmp_path / 'image'}", partial(trust_keys.verifier, own, cosign))
    assert any("signature" in line for line in image.bad)
