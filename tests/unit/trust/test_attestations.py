"""The SBOM and the provenance as values: one input, one byte form, and read back what was said."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from front_ends import requested, wheel
from helpers import purls
from webui_fork.config import upstream_lock
from webui_fork.core.digest import Digest
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.frontend.changes import BuiltFile
from webui_fork.oci import model
from webui_fork.rootfs.package import Package
from webui_fork.series import apply
from webui_fork.series import patch as series_patch
from webui_fork.trust import attestations, provenance, sbom
from webui_fork.trust.provenance import Input
from webui_fork.trust.sbom import Material

LOCK = upstream_lock.read(CHECKOUT / "upstream.lock")
PATCHES = apply.read_series(CHECKOUT / "patches")[1][:2]
LAYER = model.Layer(Digest.of_hex("1" * 64), 10, Digest.of_hex("2" * 64))
IMAGE = model.image(
    [model.NamedLayer("base", LAYER)], platform=("linux", "amd64"), created=LOCK.created, run={}, annotations={}
)
PACKAGES = (
    Package(
        "deb", "libc6", "2.36-9", ("GPL-2+", "LGPL-2.1"), "amd64", "glibc (2.36-8)", ("var/lib/dpkg/status",), "3" * 64
    ),
    Package("pypi", "PyYAML", "6.0", ("MIT",), paths=("a/PyYAML-6.0.dist-info/METADATA",), sha256="4" * 64),
    Package("pypi", "pyyaml", "6.0", paths=("b/_vendor/pyyaml-6.0.dist-info/METADATA",)),
    Package("npm", "@scope/p", "1.0", ("Apache-2.0 OR MIT",), paths=("app/build",), sha512="6" * 128),
    Package("npm", "@scope/p", "1.0", paths=("app/package.json",)),
)
COMPONENTS = sbom.components(PACKAGES, "12")


def material(**changes: object) -> Material:
    defaults = Material(
        "open-webui", LOCK.tag, "https://fork.invalid/x", "1.0", LOCK, IMAGE, PATCHES, COMPONENTS, "Terms"
    )
    return replace(defaults, **changes)  # type: ignore[arg-type]


def test_the_same_material_gives_the_same_sbom_in_any_order() -> None:
    one = sbom.write(material())
    assert one == sbom.write(material())
    assert one == sbom.write(material(components=sbom.components(PACKAGES[::-1], "12")))
    other = model.image([], platform=("linux", "amd64"), created=LOCK.created, run={}, annotations={})
    assert json.loads(one)["serialNumber"] != json.loads(sbom.write(material(image=other)))["serialNumber"]


def test_it_has_no_clock_and_names_its_image() -> None:
    document = json.loads(sbom.write(material()))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["timestamp"].startswith(LOCK.created[:19])
    assert document["metadata"]["component"]["hashes"] == [
        {"alg": "SHA-256", "content": IMAGE.digest.removeprefix("sha256:")}
    ]


def test_open_webui_has_each_patch_in_its_pedigree_with_what_it_resolves() -> None:
    said = json.loads(sbom.write(material()))
    (application,) = [row for row in said["components"] if row["name"] == "open-webui"]
    patches = application["pedigree"]["patches"]
    assert sorted(patch["resolves"][0]["id"] + ".patch" for patch in patches) == sorted(p.name for p in PATCHES)
    by_name = {patch.name: patch for patch in PATCHES}
    for patch in patches:
        whole = by_name[patch["resolves"][0]["id"] + ".patch"]
        assert base64.b64decode(patch["diff"]["text"]["content"]) == whole.data
        assert patch["type"] == "unofficial"
        assert patch["resolves"][0]["description"] == whole.field("Description")
    assert application["pedigree"]["ancestors"][0]["hashes"][0]["content"] == LOCK.sdist.sha256
    assert application["licenses"][0]["license"]["text"]["content"] == "Terms"


def test_packages_are_named_by_canonical_purls_once() -> None:
    document = json.loads(sbom.write(material()))
    rows = {row["purl"]: row for row in document["components"]}
    deb = "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12&upstream=glibc%402.36-8"
    assert {deb, "pkg:pypi/pyyaml@6.0", "pkg:npm/%40scope/p@1.0"} < set(rows)
    licences = [row["license"] for row in rows[deb]["licenses"]]
    assert sorted(row.get("id") or row["name"] for row in licences) == ["GPL-2+", "LGPL-2.1"]
    assert len(rows["pkg:pypi/pyyaml@6.0"]["properties"]) == 2  # both places
    assert rows["pkg:pypi/pyyaml@6.0"]["hashes"] == [{"alg": "SHA-256", "content": "4" * 64}]
    assert rows["pkg:npm/%40scope/p@1.0"]["licenses"][0]["expression"] == "Apache-2.0 OR MIT"
    assert rows["pkg:npm/%40scope/p@1.0"]["hashes"] == [{"alg": "SHA-512", "content": "6" * 128}]
    assert purls(document) >= {
        ("deb", "debian/libc6", "2.36-9"),
        ("pypi", "pyyaml", "6.0"),
        ("npm", "@scope/p", "1.0"),
    }


OWN = Input("images/open-webui/image.toml", "x", (("sha256", "5" * 64),))


def facts(**changes: object) -> provenance.Facts:
    defaults = provenance.Facts(
        LOCK, (IMAGE,), PATCHES, (("image", "open-webui"),), (OWN,),
        "https://fork.invalid/x", "c" * 40, False, "https://builder.example", "", (("webui_fork", "1.0"),), LOCK.tag,
    )  # fmt: skip
    return replace(defaults, **changes)  # type: ignore[arg-type]


def test_a_provenance_is_read_back_as_it_was_written() -> None:
    claim = provenance.read(json.loads(provenance.write(facts())))
    assert claim
    assert (claim.tag, claim.release, claim.sdist) == (LOCK.tag, LOCK.version, LOCK.sdist.sha256)
    assert [name for name, _ in claim.patches] == [patch.name for patch in PATCHES]
    assert claim.files == (("images/open-webui/image.toml", "5" * 64),)
    assert claim.layers == (LAYER.digest,)
    assert (claim.commit, claim.dirty, claim.variant) == ("c" * 40, False, "")


def test_uncommitted_changes_and_the_run_are_said() -> None:
    said = json.loads(provenance.write(facts(dirty=True, invocation="https://run.example/1")))
    assert provenance.read(said).dirty  # type: ignore[union-attr]
    assert said["runDetails"]["metadata"] == {"invocationId": "https://run.example/1"}


@pytest.mark.parametrize("path", ["buildDefinition", "runDetails"])
def test_another_build_s_provenance_is_not_ours(path: str) -> None:
    said = json.loads(provenance.write(facts()))
    said[path] = {}
    assert provenance.read(said) is None
    assert provenance.read({"buildDefinition": {"buildType": "https://other"}, "runDetails": {}}) is None


def test_a_backport_is_called_one() -> None:
    text = PATCHES[0].data.replace(b"Origin: vendor", b"Origin: backport, https://example.org/1")
    patch = series_patch.parse(PATCHES[0].name, text)
    said = json.loads(sbom.write(material(patches=(patch,))))
    (application,) = [row for row in said["components"] if row["name"] == "open-webui"]
    assert application["pedigree"]["patches"][0]["type"] == "backport"


def test_a_package_that_only_a_patch_imports_is_in_the_sbom(private_settings: Settings) -> None:
    def maps(name: str) -> bytes:
        return json.dumps({"sources": [f"../node_modules/{name}/index.js"]}).encode()

    private_settings.cache.mkdir()
    rows = {f"node_modules/{name}": {"version": "1.0"} for name in ("ours", "theirs", "nobodys")}
    locked = json.dumps({"lockfileVersion": 3, "packages": rows}).encode()
    repo, request = requested(private_settings, private_settings.cache, **{"package-lock_0json": locked})
    request.source.wheel.write_bytes(wheel({"open_webui/frontend/_app/a.js.map": maps("theirs")}))
    assert repo.folder == private_settings.cache / "source.git"
    copy = SimpleNamespace(origin="wheel", path="open_webui/frontend", to="/app/build")
    inputs = SimpleNamespace(lock=request.lock, spec=SimpleNamespace(copies=(copy,), overrides=()))
    changed = (
        BuiltFile("_app/b.js.map", None, maps("ours")),
        BuiltFile("_app/c.js.map", Digest.of_hex("1" * 64), None),
    )
    for front_end, expected in (((), ["theirs"]), (changed, ["ours", "theirs"])):
        built = SimpleNamespace(source=request.source, front_end=front_end)
        packages = attestations._bundled(private_settings, inputs, built)  # type: ignore[arg-type]
        assert [package.name for package in packages] == expected
