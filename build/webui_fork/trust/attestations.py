"""What we say about an image, written from what the build knows: its SBOM and its provenance."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from itertools import chain
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

import webui_fork
from webui_fork.config import debian_lock, requirements_lock, upstream_lock
from webui_fork.config.debian_lock import Deb
from webui_fork.config.image_toml import ImageSpec, RegistrySpec
from webui_fork.config.upstream_lock import Lock
from webui_fork.core import git
from webui_fork.core.digest import Digest
from webui_fork.core.errors import ImageError
from webui_fork.core.files import code_digest, sha256_bytes, sha256_file, write_atomic
from webui_fork.core.git import checkout_state
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.frontend import npm_packages
from webui_fork.image import layer_cache
from webui_fork.oci import model
from webui_fork.rootfs import package as image_package
from webui_fork.rootfs.package import Package
from webui_fork.series.patch import Patch
from webui_fork.sources import archive, uv
from webui_fork.trust import inventory, provenance
from webui_fork.trust.provenance import Input

if TYPE_CHECKING:
    from webui_fork.image.inputs import Inputs
    from webui_fork.image.pipeline import Assembly, Built
    from webui_fork.image.variants import VariantImage


@dataclass(frozen=True, slots=True)
class Statements:
    """The predicates about an image: its CycloneDX documents, and its SLSA provenance.

    An image has one document, a variant none, and an index one for each of its images; ``parts`` says about each of
    these what would be said about it alone. ``others`` are predicates that only what is published has, each with
    cosign's word for its type.
    """

    sboms: tuple[bytes, ...]
    provenance: bytes
    parts: tuple[Part, ...] = ()
    others: tuple[tuple[str, bytes], ...] = ()

    def documents(self) -> dict[str, bytes]:
        """Return every predicate by the name of its file; the documents of an index are those of its parts."""
        rows = {"provenance.json": self.provenance}
        if not self.parts:
            return rows | ({"sbom.cdx.json": self.sboms[0]} if self.sboms else {})
        for part in self.parts:
            rows[f"provenance.{part.architecture}.json"] = part.statements.provenance
            rows |= {f"sbom.{part.architecture}.cdx.json": sbom for sbom in part.statements.sboms}
        return rows


@dataclass(frozen=True, slots=True)
class Part:
    """An image of an index: its architecture, its digest, and what is said about it."""

    architecture: str
    digest: Digest
    statements: Statements


def of_build(settings: Settings, assembly: Assembly, ui: Terminal) -> Statements:
    """Write them for an image that was built from packages, or for an index of such images.

    Raises:
        ImageError: an installed package is not one that was locked.
    """
    alone = tuple(_of_image(settings, inputs, built, ui) for inputs, built in assembly.parts)
    if len(alone) == 1:
        return alone[0]
    parts = tuple(
        Part(built.image.platform[1], built.image.digest, statements)
        for (_, built), statements in zip(assembly.parts, alone, strict=True)
    )
    sboms = tuple(sbom for statements in alone for sbom in statements.sboms)
    return Statements(sboms, _provenance(settings, assembly.parts), parts)


def _of_image(settings: Settings, inputs: Inputs, built: Built, ui: Terminal) -> Statements:
    with ui.step("sbom", f"Writing the SBOM of {inputs.spec.title}"):
        document = _sbom(settings, inputs, built)
    return Statements((document,), _provenance(settings, ((inputs, built),)))


def _provenance(settings: Settings, parts: tuple[tuple[Inputs, Built], ...]) -> bytes:
    inputs = parts[0][0]
    spec = inputs.spec
    others: dict[Input, None] = {}  # what several have is named once
    for own, built in parts:
        python = (*_wheels(own.packaged.requirements), *_sources(own.spec))
        others |= dict.fromkeys((*_debs(built.debs, own.spec), *python))
    others |= dict.fromkeys(files(settings, spec))
    images = tuple(built.image for _, built in parts)
    parameters = [("flavour", spec.flavour)] if spec.flavour else []
    if len(parts) < len(spec.architectures):  # it is a part of what its tag names
        parameters.append(("architecture", spec.architecture))
    claims = facts(
        settings, spec, inputs.lock, inputs.patches, images, tuple(others), parameters=tuple(parameters), tag=inputs.tag
    )
    return provenance.write(claims)


def of_variant(settings: Settings, variant_image: VariantImage) -> Statements:
    """Write the provenance of a variant: its base, by digest, stands for all that is in it, so there is no SBOM."""
    request, base = variant_image.request, variant_image.request.base
    base_input = Input(f"docker://{base.name}", "base", (("sha256", base.pinned_digest.hex),))
    others = (base_input, *files(settings, request.spec))
    parameters = (("variant", request.variant.name), ("base", str(base)))
    images, tag = variant_image.image.images, str(request.fixed)
    claims = facts(
        settings, request.spec, request.lock, request.patches, images, others, parameters=parameters, tag=tag
    )
    return Statements((), provenance.write(claims))


def _sbom(settings: Settings, inputs: Inputs, built: Built) -> bytes:
    """Return the SBOM, from the cache where the same one was written before: its library takes longer than all else."""
    own = {
        "image": built.image.digest,
        "lock": upstream_lock.dump(inputs.lock),
        "debs": [deb.digest for deb in built.debs],
    }
    return _written(settings, inputs, "sbom", own, lambda: _new_sbom(settings, inputs, built))


def _written(settings: Settings, inputs: Inputs, kind: str, own: Mapping[str, Any], make: Callable[[], bytes]) -> bytes:
    """Return what was made of the same things before, else make it, and keep it."""
    key = {
        **own,
        "overrides": [repr(one) for one in inputs.spec.overrides],
        "code": code_digest(*layer_cache.ROOMS, "trust"),
        "library": version("cyclonedx-python-lib"),
    }
    record = settings.cache / kind / f"{sha256_bytes(model.canonical_json(key)).hex}.json"
    if not record.exists():
        write_atomic(record, make())
    return record.read_bytes()


def _new_sbom(settings: Settings, inputs: Inputs, built: Built) -> bytes:
    from webui_fork.trust import sbom

    packages = (*_packages(settings, inputs, built), *_bundled(settings, inputs, built))
    distribution = debian_lock.release(inputs.spec.base.suite)
    listed = {"packages": [asdict(one) for one in packages], "distribution": distribution}
    licence = git.repository(settings).read_file(built.source.commit, "LICENSE") or b""
    material = sbom.Material(
        name=inputs.spec.name,
        tag=inputs.tag,
        home=inputs.spec.home,
        tool_version=webui_fork.__version__,
        lock=inputs.lock,
        image=built.image,
        patches=inputs.patches,
        components=_written(
            settings, inputs, "components", listed,
            lambda: sbom.components(packages, distribution, inputs.spec.overrides),
        ),
        license_text=licence.decode(),
    )  # fmt: skip
    return sbom.write(material)


def facts(
    settings: Settings,
    spec: ImageSpec | RegistrySpec,
    release: Lock,
    patches: tuple[Patch, ...],
    images: tuple[model.Image, ...],
    others: tuple[Input, ...],
    *,
    parameters: tuple[tuple[str, str], ...],
    tag: str,
) -> provenance.Facts:
    """Gather what a provenance says: ``others`` are the inputs beside release and series."""
    commit, dirty = checkout_state(settings)
    home = spec.home
    return provenance.Facts(
        lock=release,
        images=images,
        patches=patches,
        parameters=(("image", spec.folder.name), *parameters),
        inputs=(*others, *_programs(spec, patches)),
        home=home,
        commit=commit,
        dirty=dirty,
        builder=settings.builder or f"{home}/builder/local",
        invocation=settings.invocation,
        versions=(
            ("webui_fork", webui_fork.__version__),
            ("python", platform.python_version()),
            ("uv", uv.version()),
            ("deflate", version("deflate")),
            ("code", code_digest(*layer_cache.ROOMS)),
        ),
        tag=tag,
    )


def files(settings: Settings, spec: ImageSpec | RegistrySpec) -> tuple[Input, ...]:
    """Return the checkout's own files that an image is made from."""
    own = [spec.folder / copy.path for copy in spec.copies if copy.origin == "image"]
    paths = [settings.lock_file, spec.folder / "image.toml", *sorted(spec.folder.glob("*.lock")), *own]
    names = [path.relative_to(settings.root).as_posix() for path in paths]
    return tuple(
        Input(name, name, (("sha256", sha256_file(path).hex),)) for name, path in zip(names, paths, strict=True)
    )


def _debs(debs: Iterable[Deb], spec: ImageSpec) -> Iterable[Input]:
    for deb in debs:
        architecture = "all" if deb.path.endswith("_all.deb") else spec.architecture
        uri = f"pkg:deb/debian/{deb.name}@{deb.version}?arch={architecture}"
        yield Input(uri, f"{deb.name} {deb.version}", (("sha256", deb.digest.hex),))


def _wheels(requirements: str) -> Iterable[Input]:
    for name, number, digest in requirements_lock.pins(requirements):
        yield Input(f"pkg:pypi/{name}@{number}", f"{name} {number}", (("sha256", digest.hex),))


def _sources(spec: ImageSpec) -> Iterable[Input]:
    """Yield the source distributions that wheels of the image were made from."""
    for source in spec.python.sources:
        name = f"{source.name}-{source.version}.tar.gz"
        yield Input(f"pkg:pypi/{source.name}@{source.version}?file_name={name}", name, (("sha256", source.sha256),))


def _programs(spec: ImageSpec | RegistrySpec, patches: tuple[Patch, ...]) -> Iterable[Input]:
    """Yield what ran to build what the series changes in the front end."""
    if front_end := spec.front_end_of(path for patch in patches for path in patch.paths):
        for machine, sha256 in sorted(front_end.sha256.items()):
            uri = f"pkg:pypi/{front_end.node.replace('==', '@')}?machine={machine}"
            yield Input(uri, f"{front_end.node} ({machine})", (("sha256", sha256),))


def _packages(settings: Settings, inputs: Inputs, built: Built) -> tuple[Package, ...]:
    """Return what stands in the image, with the digests of what it was installed from.

    The release's own `package.json` is Open WebUI itself, and stays: scanners find it.

    Raises:
        ImageError: a package was not locked.
    """
    debs = {deb.name: deb.digest.hex for deb in built.debs}
    pins = requirements_lock.pins(inputs.packaged.requirements)
    locked = {(canonicalize_name(name), number): digest.hex for name, number, digest in pins}
    packages: list[Package] = []
    strangers: list[str] = []
    target = inputs.spec.python.target.strip("/")
    for named in built.image.layers:
        for package in inventory.of_layer(settings.cache, named.layer):
            sha256 = debs.get(package.name, "") if package.kind == "deb" else package.sha256
            if package.kind == "pypi" and not sha256:
                sha256 = locked.get((canonicalize_name(package.name), package.version), "")
            # what a wheel carries of another distribution is inside that wheel, and not installed by itself
            installed = package.kind == "deb" or any(path.count("/") == target.count("/") + 2 for path in package.paths)
            if not sha256 and installed and package.kind != "npm":
                strangers.append(f"{package.name} {package.version}")
            packages.append(replace(package, sha256=sha256))
    if strangers:
        raise ImageError("The image has packages that no lock names.", why=", ".join(strangers))
    return tuple(packages)


def _bundled(settings: Settings, inputs: Inputs, built: Built) -> tuple[Package, ...]:
    """Return the npm packages in the built front end: the one in the release's wheel, and what the series changes."""
    own_maps = [(file.path, file.data) for file in built.front_end if file.data and file.path.endswith(".map")]

    def read() -> Iterable[Package]:
        lock = git.repository(settings).read_file(built.source.commit, "package-lock.json")
        for copy in copies:
            with archive.wheel_files(built.source.wheel, inputs.lock.wheel.name, copy.path) as files:
                maps = ((file.path, file.read()) for file in files if file.path.endswith(".map"))
                yield from npm_packages.bundled(chain(maps, own_maps), lock, copy.to)

    copies = [copy for copy in inputs.spec.copies if copy.origin == "wheel"]
    own = {
        "wheel": inputs.lock.wheel.sha256,
        "commit": built.source.commit,
        "places": [(c.path, c.to) for c in copies],
        "maps": [sha256_bytes(data) for _, data in own_maps],
    }
    return image_package.load(_written(settings, inputs, "frontend", own, lambda: image_package.dump(read())))


def digests(statements: Statements) -> dict[str, str]:
    """Return the digests of the predicates by the names of their files, for a record."""
    return {name: sha256_bytes(data) for name, data in sorted(statements.documents().items())}
