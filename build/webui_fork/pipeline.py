"""The build: from the lock and the series to a signed image. Stages in order, each cached by its inputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webui_fork import archive, debian, image, layers, lock, oci, rootfs, series, signing, stack, tools, upstream
from webui_fork import registry as registry_module
from webui_fork.errors import CacheError, ImageError, LockError, SigningError
from webui_fork.files import ensure_folder, exclusive, sha256_bytes, temp_folder, write_atomic
from webui_fork.image import ImageSpec
from webui_fork.layers import Entry, Layer
from webui_fork.lock import Lock
from webui_fork.oci import Image, NamedLayer
from webui_fork.settings import Settings
from webui_fork.terminal import Terminal, human_size
from webui_fork.upstream import Source

if TYPE_CHECKING:
    from git import Repo

IMAGE = "open-webui"


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything a build starts from, read and checked against each other."""

    lock: Lock
    spec: ImageSpec
    patches: tuple[series.Patch, ...]
    requirements: Path
    debian: debian.DebianLock

    @property
    def tag(self) -> str:
        """The version tag: the release and the number of patches in the series."""
        return f"v{self.lock.version}-p{len(self.patches)}"


@dataclass(frozen=True, slots=True)
class Built:
    """A built image. ``drift`` is empty unless the base is not the locked one."""

    image: Image
    source: Source
    tree: stack.PatchedTree
    drift: tuple[str, ...]
    fresh: bool


@dataclass(frozen=True, slots=True)
class Signed:
    """A pushed, signed and verified image: its reference by digest in the embedded registry."""

    ref: str
    fresh: bool
    key: str


def lock_inputs(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Return the digests that `upstream.lock` records of the other locks and the series."""
    files, _ = stack.read_series(settings.patches)
    found = {"series": lock.series_digest(files)}
    for path in sorted((settings.root / "images").glob("*/*.lock")):
        found[path.relative_to(settings.root).as_posix()] = sha256_bytes(path.read_bytes())
    return tuple(sorted(found.items()))


def read_inputs(settings: Settings, ui: Terminal, *, locked: bool) -> Inputs:
    """Read the lock, the series and the image's description, and check that they belong together.

    Raises:
        LockError: an input changed since the lock was written. A changed series is an error only
            when ``locked``: editing a patch and building it is daily work.
        SeriesError, ImageError: see their names.
    """
    locked_release = lock.read(settings.lock_file)
    _, patches = stack.read_series(settings.patches)
    spec = image.read(settings.root / "images" / IMAGE)
    for name, digest in lock_inputs(settings):
        if locked_release.input(name) == digest:
            continue
        if name != "series":
            raise LockError(f"{name} changed since upstream.lock was written.", remedy="Run `nox -s lock`, and review.")
        if locked:
            raise LockError(
                "The patch series changed since upstream.lock was written, and --locked was asked for.",
                remedy="`nox -s patches -- export` (or `lint --write`) records the series; review and commit both.",
            )
        ui.say("Note: the series is newer than upstream.lock; `nox -s patches -- lint --write` records it.")
    debian_file = spec.folder / "debian.lock"
    debian_lock = debian.read(debian_file)
    debian.check_input(debian_lock, spec, debian_file)
    return Inputs(locked_release, spec, patches, spec.folder / "requirements.lock", debian_lock)


def check_series(settings: Settings, repo: Repo, inputs: Inputs, commit: str) -> None:
    """Lint the series against the release.

    Raises:
        SeriesError: with every problem at once.
    """
    paths = set(repo.git.ls_tree("-r", "--name-only", "--full-tree", "-z", commit).split("\0"))
    release = series.Release(inputs.lock.version, paths.__contains__)
    stack.refuse(series.lint(inputs.patches, release, lambda path: (settings.root / path).is_file()))


@cache
def _code_digest(*modules: str) -> str:
    """Return a digest of modules of this package: code is an input of what it writes."""
    folder = Path(__file__).parent
    return sha256_bytes("".join(sha256_bytes((folder / f"{name}.py").read_bytes()) for name in modules).encode())


def _layer(settings: Settings, name: str, inputs: dict[str, Any], make: Callable[[Path], Iterable[Entry]], epoch: int,
           ui: Terminal, doing: str = "") -> tuple[NamedLayer, bool]:  # fmt: skip
    """Return a layer from the cache, or write it; and whether it was written."""
    key = sha256_bytes(oci.canonical_json({"name": name, "epoch": epoch, **inputs})).removeprefix("sha256:")
    record = settings.cache / "layers" / f"{key}.json"
    if record.exists():
        known = Layer(**json.loads(record.read_bytes()))
        blob = oci.blob_path(settings.cache, known.digest)
        if blob.exists() and blob.stat().st_size == known.size:
            return NamedLayer(name, known), False
    with ui.step(name, doing), temp_folder(settings.cache / "tmp", name) as work:
        layer = layers.write(make(work), work / "layer.tar.gz", epoch)
        blob = oci.blob_path(settings.cache, layer.digest)
        ensure_folder(blob.parent)
        (work / "layer.tar.gz").replace(blob)
    write_atomic(record, oci.canonical_json(asdict(layer)))
    return NamedLayer(name, layer), True


def _application(repo: Repo, inputs: Inputs, source: Source) -> Iterator[Entry]:
    """Yield the pristine application as upstream lays it out, and what the image's folder adds."""
    for copy in inputs.spec.copies:
        if copy.origin == "wheel":
            for member in archive.wheel_members(source.wheel, inputs.lock.wheel.name, copy.path):
                if placed := copy.place(f"{copy.path}/{member.path}"):
                    yield layers.file_entry(placed, member.data)
        elif copy.origin == "image":
            data = (inputs.spec.folder / copy.path).read_bytes()
            yield layers.file_entry(copy.to.strip("/"), data, executable=True)
        else:
            found = False
            for file in upstream.walk(repo, source.commit, lambda path, copy=copy: copy.place(path) is not None):  # type: ignore[misc]
                found = True
                yield _release_entry(copy, file)
            if not found:
                raise ImageError(f"The release has no {copy.path}.", remedy="Check [[application]] in image.toml.")
    for folder in inputs.spec.folders:
        yield layers.folder_entry(folder.path.strip("/"), folder.mode, folder.uid, folder.gid)


def _release_entry(copy: image.Copy, file: upstream.TreeFile) -> Entry:
    placed = copy.place(file.path)
    assert placed
    if file.mode == 0o120000:
        return Entry(placed, b"2", 0o777, link=file.data.decode())
    entry = layers.file_entry(placed, file.data, executable=bool(file.mode & 0o100))
    if copy.writable(file.path):  # as upstream does for OpenShift: group 0 may write
        return Entry(placed, entry.kind, entry.mode | 0o020, content=file.data)
    return entry


def _patched(inputs: Inputs, changes: Iterable[stack.Change]) -> Iterator[Entry]:
    """Yield the last layer: only the files that the series changes, at their place in the image."""
    for change in changes:
        placed = inputs.spec.place(change.path)
        if placed is None:
            raise ImageError(
                f"The series changes {change.path}, which is not in the image.",
                remedy="Patches can change what [[application]] in image.toml takes from the release.",
            )
        if change.data is None:
            yield layers.whiteout(placed)
        else:
            yield layers.file_entry(placed, change.data, executable=bool(change.mode & 0o100))


def build(settings: Settings, inputs: Inputs, ui: Terminal, *, locked: bool) -> Built:
    """Build the image and write it as an OCI layout to `out/image/`.

    Raises:
        ForkError: see the stages.
    """
    spec, epoch = inputs.spec, inputs.lock.epoch
    source = upstream.obtain(settings, inputs.lock, ui)
    repo = upstream.repository(settings)
    with ui.step("patches"):
        check_series(settings, repo, inputs, source.commit)
        tree = stack.apply(repo, source.commit, inputs.patches, epoch)
        requirements = inputs.requirements.read_text(encoding="utf-8")
        release_file = upstream.read_file(repo, source.commit, spec.python.requirements)
        rootfs.check_requirements(requirements, release_file, spec, inputs.requirements)

    def base() -> tuple[NamedLayer, bool, tuple[str, ...]]:
        fetched = debian.obtain(settings, spec, inputs.debian, ui, locked=locked)
        key = {
            "debs": [deb.sha256 for deb in fetched.debs],
            "base": asdict(spec.base),
            "code": _code_digest("rootfs", "layers"),
        }

        def make(work: Path) -> Iterable[Entry]:
            program = tools.find(settings, "mmdebstrap", ui)
            return rootfs.base_entries(settings, spec, fetched, program, work, epoch)

        return *_layer(settings, "base", key, make, epoch, ui, "Building the Debian base"), fetched.drift

    def python() -> tuple[NamedLayer, bool]:
        key = {"lock": sha256_bytes(requirements.encode()), "python": asdict(spec.python), "machine": spec.machine,
               "code": _code_digest("rootfs", "layers")}  # fmt: skip

        def make(work: Path) -> Iterable[Entry]:
            from webui_fork import index

            found = index.configured(settings).uv_arguments()
            return rootfs.python_entries(settings, spec, inputs.requirements, found, work)

        return _layer(settings, "python", key, make, epoch, ui, "Installing the Python packages")

    def application() -> tuple[NamedLayer, bool]:
        key = {"commit": source.commit, "wheel": inputs.lock.wheel.sha256, "copies": [asdict(c) for c in spec.copies],
               "folders": [asdict(f) for f in spec.folders], "code": _code_digest("layers", "upstream", "archive", "pipeline"),
               "own": [sha256_bytes((spec.folder / c.path).read_bytes()) for c in spec.copies if c.origin == "image"]}  # fmt: skip
        return _layer(settings, "application", key, lambda work: _application(repo, inputs, source), epoch, ui,
                      "Laying out the application")  # fmt: skip

    layers.check_compressor()
    with ThreadPoolExecutor(2) as pool:  # the base is one long mmdebstrap; the others fit beside it
        base_done, python_done = pool.submit(base), pool.submit(python)
        (python_layer, python_fresh) = python_done.result()
        (application_layer, application_fresh) = application()
        (base_layer, base_fresh, drift) = base_done.result()
    with ui.step("image"):
        key = {"head": tree.head, "spec": [asdict(copy) for copy in spec.copies], "code": _code_digest("layers", "pipeline")}
        patch_layer, patch_fresh = _layer(
            settings, "patches", key, lambda work: _patched(inputs, stack.changes(repo, tree)), epoch, ui
        )
        stacked = (base_layer, python_layer, application_layer, patch_layer)
        made = assemble(inputs, stacked, tree)
        oci.write_layout(settings.out / "image", {inputs.tag: made}, settings.cache)
    return Built(made, source, tree, drift, base_fresh or python_fresh or application_fresh or patch_fresh)


def assemble(inputs: Inputs, stacked: tuple[NamedLayer, ...], tree: stack.PatchedTree) -> Image:
    """Put the layers together with configuration and annotations; the base's own image gives its digest."""
    spec = inputs.spec
    created = inputs.lock.time.strftime("%Y-%m-%dT%H:%M:%SZ")
    words = {"version": inputs.lock.version, "tag": inputs.tag, "commit": tree.head, "patches": str(len(inputs.patches))}
    base = oci.image(stacked[:1], platform=spec.platform, created=created, run={}, annotations={})
    annotations = {
        **{key: value.format(**words) for key, value in spec.annotations},
        "org.opencontainers.image.version": inputs.tag.removeprefix("v"),
        "org.opencontainers.image.revision": tree.head,
        "org.opencontainers.image.created": created,
        "org.opencontainers.image.base.name": f"{spec.name}-base:{spec.base.suite}",
        "org.opencontainers.image.base.digest": base.digest,
    }
    run = {**spec.run, "Env": [item.format(**words) for item in spec.run["Env"]]}
    return oci.image(stacked, platform=spec.platform, created=created, run=run, annotations=annotations)


def push_and_sign(settings: Settings, inputs: Inputs, built: Built, ui: Terminal) -> Signed:
    """Push to the embedded registry, sign the digest, and verify it with the public key.

    Raises:
        RegistryError, SigningError, PassphraseError: what was built is kept in every case.
    """
    cosign, program = tools.find(settings, "cosign", ui), tools.find(settings, "registry", ui)
    signer = signing.signer(settings, cosign, ui)
    with (
        exclusive(settings.cache / "registry.lock", "the embedded registry", ui.say),
        temp_folder(settings.cache / "tmp", "registry") as work,
    ):
        with ui.step("push"):
            running = registry_module.embedded(program, settings.cache / "registry", work)
            url = running.__enter__()
        try:
            with ui.step("push"), registry_module.Registry(url, inputs.spec.name) as registry:
                pushed = registry.push(
                    built.image,
                    inputs.tag,
                    settings.cache,
                    lambda name, size: ui.say(f"Pushing layer {name} ({human_size(size)})") if size > 10**6 else None,
                )
            with ui.step("cosign"):
                fresh = pushed.new or not signing.verify(settings, signer, pushed.ref)
                if fresh:
                    signing.sign(settings, signer, pushed.ref)
                    if not signing.verify(settings, signer, pushed.ref):
                        raise SigningError(
                            f"{pushed.ref} was signed, but the signature does not verify.",
                            why=f"Checked with {signer.public_key or 'the keyless identity'}.",
                            remedy="Is the public key beside the private one its other half?",
                        )
        finally:
            running.__exit__(None, None, None)
    return Signed(pushed.ref, fresh or pushed.new, signer.public_key or "keyless")


def record(settings: Settings, inputs: Inputs, built: Built, signed: Signed) -> None:
    """Write `out/build.json`, from which the next stage starts.

    Raises:
        CacheError: it can't be written.
    """
    write_atomic(
        settings.out / "build.json",
        json.dumps(
            {
                "schema": 1,
                "tag": inputs.tag,
                "digest": built.image.digest,
                "ref": signed.ref,
                "release": built.tree.release,
                "head": built.tree.head,
                "patches": [patch.name for patch in inputs.patches],
                "layers": [{"name": item.name, **asdict(item.layer)} for item in built.image.layers],
                "drift": built.drift,
                "inputs": dict(lock_inputs(settings)),
                "key": signed.key,
            },
            indent=2,
        )
        + "\n",
    )


def load_record(settings: Settings) -> dict[str, Any]:
    """Read `out/build.json`, and refuse it when its inputs or the layout changed since.

    Raises:
        ImageError: there is none, or it is stale.
    """
    path = settings.out / "build.json"
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        manifest = oci.blob_path(settings.out / "image", found["digest"]).read_bytes()
    except (OSError, ValueError, KeyError) as error:
        raise ImageError("No built image is at hand.", why=str(error), remedy="Run `nox -s build`.") from None
    if sha256_bytes(manifest) != found["digest"] or found["inputs"] != dict(lock_inputs(settings)):
        raise ImageError("The built image is stale: its inputs changed.", remedy="Run `nox -s build` again.")
    return found


__all__ = ["Built", "CacheError", "Inputs", "Signed", "build", "push_and_sign", "read_inputs", "record"]
