"""The verb `build`."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from webui_fork.cli import result
from webui_fork.config import image_toml, upstream_lock
from webui_fork.core import text
from webui_fork.core.digest import Digest
from webui_fork.core.errors import UsageError
from webui_fork.core.files import exclusive, write_atomic
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.core.text import human_size, table
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline, standalone, variants
from webui_fork.oci import layout
from webui_fork.oci.model import Image, Index
from webui_fork.publish import build_record
from webui_fork.trust import attestations, sign


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s build -- --load"
    parser.add_argument("--locked", action="store_true", help="refuse any input that is not the locked one")
    parser.add_argument(
        "--image", metavar="NAME", help="build images/NAME instead, such as vllm-cpu: neither pushed nor signed"
    )
    parser.add_argument("--flavour", metavar="NAME", default="", help="slim (the default) or full")
    parser.add_argument(
        "--arch",
        metavar="NAME",
        default="",
        help="amd64, arm64 or all (as published); default: this machine's",
    )
    parser.add_argument("--all", action="store_true", help="every flavour, for every architecture")
    parser.add_argument("--variant", metavar="NAME", default="", help="with --image: which of its variants")
    parser.add_argument(
        "--unsigned",
        action="store_true",
        help="only write the OCI layout: neither push nor sign (what `reproduce` runs)",
    )
    result.add_arguments(parser)
    parser.add_argument("--load", action="store_true", help="load the image into the Docker engine under its tag")


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Build the image, or another one of `images/`.

    Raises:
        UsageError: the options contradict each other.
        ForkError: see :mod:`webui_fork.image.pipeline`, `standalone` and `variants`.
    """
    beside = arguments.image not in (None, image_inputs.IMAGE)
    if (beside and (arguments.arch or arguments.all)) or (arguments.all and (arguments.arch or arguments.flavour)):
        raise UsageError(
            "--all and --arch can't be combined with these options.",
            remedy="--all is every flavour and architecture; an image beside the main one is for this machine alone.",
        )
    if arguments.unsigned and arguments.load:
        raise UsageError("An unsigned build can't be loaded.", remedy="Leave out one of --unsigned and --load.")
    if arguments.variant and not arguments.image:
        raise UsageError("--variant is only valid with --image.", remedy="nox -s build -- --image upstream …")
    if not beside:
        upstream_lock.read(settings.lock_file)  # what a folder that is no checkout lacks first
        folder = settings.root / "images" / image_inputs.IMAGE
        flavours = image_toml.flavours(folder) if arguments.all else (arguments.flavour,)
        architectures = _architectures(image_toml.architectures(folder), "all" if arguments.all else arguments.arch)
        for flavour in flavours:
            _run_packages(settings, ui, arguments, flavour, architectures)
    elif image_toml.kind(settings.root / "images" / arguments.image) == "registry":
        _run_variant(settings, ui, arguments)
    else:
        _run_standalone(settings, ui, arguments)


def _architectures(built_for: tuple[str, ...], chosen: str) -> tuple[str, ...]:
    """Return what to build for: what was chosen, else this machine's, else the first."""
    if chosen == "all":
        return built_for
    own = image_toml.architecture_of(platform.machine())
    return (chosen or (own if own in built_for else built_for[0]),)


def _run_packages(
    settings: Settings, ui: Terminal, arguments: argparse.Namespace, flavour: str, architectures: tuple[str, ...]
) -> None:
    """Build, push, sign, verify; optionally load into Docker; print the summary.

    Raises:
        ForkError: see :func:`webui_fork.image.pipeline.build`. RegistryError: it can't be pushed.
        SigningError: it can't be signed.
    """
    # importing requests takes longer than all our own work on an edited patch; git leaves time for it
    threading.Thread(target=importlib.import_module, args=("requests",), daemon=True).start()
    with exclusive(settings.out / ".lock", "this checkout", ui.say):
        every = image_inputs.read_every(settings, ui, architectures, locked=arguments.locked, flavour=flavour)
        built = pipeline.build_all(settings, every, ui, locked=arguments.locked)
        inputs = built.inputs
        if arguments.unsigned:
            folder = image_inputs.results(settings, inputs.spec) / "image"
            layout.write_layout(folder, inputs.tag, built.image, settings.cache)
            where = folder.relative_to(settings.root).as_posix()
            rows = [("digest", built.image.digest), ("layout", f"{where}, unsigned")]
            result.show(arguments, {"digest": built.image.digest, "layout": where}, text.table(rows))
            return
        sealed = sign.push_and_seal(settings, built, ui)
        with ui.step("layout"):
            build_record.record(settings, built, sealed)
        loaded = None
        if arguments.load:
            from webui_fork.oci import engine

            with engine.connect(settings, ui) as docker, ui.step("load", "Loading the image into the Docker engine"):
                loaded = engine.load(docker.client, built.image, settings.cache, f"{inputs.spec.name}:{inputs.tag}")
    write_atomic(settings.out / "times.json", json.dumps(ui.times))
    chosen = (("line", settings.line), ("flavour", flavour), ("arch", arguments.arch))
    again = "".join(f"--{name} {value} " for name, value in chosen if value)
    run_command = f"docker run --rm -p 3000:8080 -v open-webui:/app/backend/data {inputs.spec.name}:{inputs.tag}"
    result.show(
        arguments,
        {**_document(built, sealed), "loaded": bool(loaded)},
        summary(
            tag=f"{inputs.spec.name}:{inputs.tag}",
            digest=built.image.digest,
            ref=sealed.ref,
            images=[(one.platform[1], one.digest) for one in built.image.images if one is not built.image],
            layers=_layers(built.image),
            patches=[f"{patch.name}: {patch.subject}" for patch in inputs.patches],
            times=ui.times,
            key=sealed.key,
            fresh=built.fresh or sealed.fresh,
            drift=len(built.drift),
            next_command=run_command if loaded else f"nox -s build -- {again}--load",
        ),
    )


def _document(built: pipeline.Assembly, sealed: sign.Sealed) -> dict[str, Any]:
    """Return what a build made, for programs."""
    return {
        "image": f"{built.inputs.spec.name}:{built.inputs.tag}",
        "digest": built.image.digest,
        "reference": sealed.ref,
        "verified_with": sealed.key,
        "layers": [{"name": name, "size": size, "digest": layer} for name, size, layer in _layers(built.image)],
        "patches": [patch.name for patch in built.inputs.patches],
        "platforms": {one.platform[1]: one.digest for one in built.image.images},
        "fresh": built.fresh or sealed.fresh,
        "drift": built.drift,
    }


def _layers(image: Image | Index) -> list[tuple[str, int, str]]:
    """Return name, size and digest of each layer once; the name has the architecture where there are several."""
    rows: dict[str, tuple[str, int, str]] = {}
    for one in image.images:
        end = f" {one.platform[1]}" if isinstance(image, Index) else ""
        for name, layer in ((item.name, item.layer) for item in one.layers):
            shared = layer.digest in rows
            rows[layer.digest] = (name if shared else name + end, layer.size, layer.digest)
    return list(rows.values())


def _run_variant(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Put the series on an image that stands in a registry, and write what is ours of it to `out/<name>-<variant>/`.

    Raises:
        ForkError: see :mod:`webui_fork.image.variants`.
    """
    with exclusive(settings.out / ".lock", "this checkout", ui.say):
        name = arguments.image
        variant_image = variants.make(settings, variants.request(settings, ui, name, arguments.variant), ui)
        request, image, own = variant_image.request, variant_image.image, variant_image.layers
        folder = f"{name}-{request.variant.name}"
        layout.write_root(settings.out / folder, image, [named.layer for named in own], settings.cache)
        write_atomic(
            settings.out / folder / "provenance.json", attestations.of_variant(settings, variant_image).provenance
        )
    rows = [("tag", str(request.fixed)), ("base", str(request.base)), ("digest", image.digest)]
    rows += [("platform", f"{'/'.join(item.platform):<14}{item.digest}") for item in image.images]
    rows += [("layer", f"{named.name}, {text.human_size(named.layer.size)}  {named.layer.digest}") for named in own]
    rows += [
        ("read", f"{text.human_size(variant_image.received)} of the base"),
        ("layout", f"out/{folder} (without the base's layers)"),
    ]
    command = f"nox -s publish -- REGISTRY/NAME --image {name} --variant {request.variant.name}"
    value = {"image": str(request.fixed), "digest": image.digest, "layout": f"out/{folder}"}
    result.show(arguments, value, f"{text.table(rows)}\n\nNext: {command}")


def _run_standalone(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Build an image beside the main one to `out/<name>/`; optionally load it into Docker.

    Raises:
        ForkError: see :func:`webui_fork.image.standalone.build`. EngineError: Docker can't load it.
    """
    with exclusive(settings.out / ".lock", "this checkout", ui.say):
        built = standalone.build(settings, arguments.image, ui, locked=arguments.locked)
        with ui.step("layout"):
            layout.write_layout(settings.out / built.name, built.tag, built.image, settings.cache)
        if arguments.load:
            from webui_fork.oci import engine

            with engine.connect(settings, ui) as docker, ui.step("load", "Loading the image into the Docker engine"):
                engine.load(docker.client, built.image, settings.cache, f"{built.name}:{built.tag}")
    rows = [("image", f"{built.name}:{built.tag}"), ("digest", built.image.digest), ("layout", f"out/{built.name}")]
    rows += [("layer", f"{item.name:<12}{text.human_size(item.layer.size):>10}") for item in built.image.layers]
    value = {"image": f"{built.name}:{built.tag}", "digest": built.image.digest, "layout": f"out/{built.name}"}
    result.show(arguments, value, text.table(rows))


def summary(
    *,
    tag: str,
    digest: Digest,
    ref: str,
    images: Iterable[tuple[str, str]] = (),
    layers: Iterable[tuple[str, int, str]],
    patches: Iterable[str],
    times: Mapping[str, float],
    key: str,
    fresh: bool,
    drift: int,
    next_command: str,
) -> str:
    """Return the end of a build: what was made, how it was checked, what to type next."""
    rows = [("image", tag), ("digest", digest), ("reference", f"{ref} (in the embedded registry)")]
    rows += [("platform", f"linux/{architecture:<8}{own}") for architecture, own in images]
    rows += [("layer", f"{name:<14}{human_size(size):>10}  {layer}") for name, size, layer in layers]
    rows += [("patch", name) for name in patches] or [("patch", "none")]
    rows.append(("signature", f"verified with {key}"))
    if drift:
        rows.append(
            ("DRIFT", f"{drift} Debian packages are not the locked ones: this digest is not the reproducible one")
        )
    spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in times.items() if seconds >= 0.05)
    rows.append(("times", spent or "under 0.05 s a step"))
    head = "Built and signed." if fresh else "Nothing changed: the image was built and signed before."
    return f"{head}\n\n{table(rows)}\n\nNext: {next_command}"
