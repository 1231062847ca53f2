"""Hold the images of a checkout against those of another, older one; prints what differs, as a rebase's report has it.

    python tests/bench/bump.py OLD [--line] [--flavour NAME]... [--rounds N]

Read off the SBOMs and layers: licences, native code, sizes. Measured, of the first flavour: start, memory and list.
Both run as processes from the files of their images, in turn, in front of the same provider.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import astuple, replace
from pathlib import Path

from packaging.utils import canonicalize_name

import processes
from measuring import timed
from processes import Provider, Site
from webui_fork.config import image_toml
from webui_fork.core import settings as settings_module
from webui_fork.core.files import temp_folder
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
from webui_fork.image.pipeline import Assembly
from webui_fork.oci import content, layout, unpack
from webui_fork.oci.model import Image
from webui_fork.sources import interface
from webui_fork.sources.interface import Difference, Rows
from webui_fork.trust import attestations

_WHEEL = ".dist-info/WHEEL"  # https://packaging.python.org/specifications/binary-distribution-format
_KINDS = {"pkg:deb": "Debian package", "pkg:npm": "npm package", "pkg:pypi": "wheel"}
_LISTS = 100  # in each round


def build(own: Settings, flavour: str, ui: Terminal) -> Assembly:
    own_architecture = (image_toml.architecture_of(platform.machine()),)
    (inputs,) = image_inputs.read_every(own, ui, own_architecture, locked=False, flavour=flavour)
    built = pipeline.build(own, inputs, ui, locked=False)
    return Assembly(built.image, ((inputs, built),))


def licences(sbom: bytes) -> dict[str, set[str]]:
    """Return the licences of each package of a CycloneDX document, by its kind and name."""
    rows: dict[str, set[str]] = {}
    for component in json.loads(sbom)["components"]:
        kind = _KINDS.get(component.get("purl", "").partition("/")[0])
        if not kind:
            continue
        name = canonicalize_name(component["name"]) if kind == "wheel" else component["name"]
        words = rows.setdefault(f"{kind} {name}", set())
        for row in component.get("licenses", ()):
            licence = row.get("license") or {}
            words.add(row.get("expression") or licence.get("id") or licence.get("name") or "unnamed")
    return {name: words or {"none named"} for name, words in rows.items()}


def native(own: Settings, image: Image) -> set[str]:
    """Return the names of the wheels of an image that bring native code."""
    names: set[str] = set()
    for named in image.layers:
        blob = layout.blob_path(own.cache, named.layer.digest)
        for info, data in content.read_entries(blob, lambda path: path.endswith(_WHEEL)):
            if b"Root-Is-Purelib: false" in data:
                names.add(canonicalize_name(Path(info.name).parent.name.partition("-")[0]))
    return names


def contents(old: tuple[bytes, set[str]], new: tuple[bytes, set[str]]) -> tuple[Rows, Rows]:
    """Return what packages bring along that either image has; of those that are gone nothing.

    Args:
        old: an SBOM, and the wheels with native code. new: the same of the other image.
    """
    before, after = licences(old[0]), licences(new[0])
    sides: tuple[Rows, Rows] = {}, {}
    for name, words in after.items():
        sides[0]["licence", name] = before.get(name, set())
        sides[1]["licence", name] = words
    for name in new[1]:
        was: set[str] = {"yes"} if name in old[1] else {"no"} if f"wheel {name}" in before else set()
        sides[0]["native wheel", name], sides[1]["native wheel", name] = was, {"yes"}
    return sides


def size(image: Image) -> str:
    return f"{sum(named.layer.size for named in image.layers) / 1e6:.1f} MB"


def run_once(tree: Path, provider: Provider) -> dict[str, float]:
    """Start the Open WebUI of a tree with a new data folder, and ask it for lists; return each figure by name."""
    with ExitStack() as stack:
        sites: list[Site] = []
        start = timed(lambda: sites.append(stack.enter_context(processes.webui(tree))))
        site = sites[0]
        at_rest = site.memory()
        site.connect([provider.good])
        assert site.models().ids  # the first list is no measure
        times = [1000 * timed(lambda: site.call("GET", "/api/models").raise_for_status()) for _ in range(_LISTS)]
        lists = statistics.median(times)
        return {"first start, s": start, "memory at rest, MiB": at_rest, "list, p50, ms": lists}


def measured(trees: dict[str, Path], rounds: int) -> tuple[Rows, Rows]:
    """Return the median of each figure of the old and the new image, in turn."""
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in trees}
    with processes.provider() as provider:
        for _ in range(rounds):
            for side, tree in trees.items():
                runs[side].append(run_once(tree, provider))
    sides: tuple[Rows, Rows] = {}, {}
    for rows, side in zip(sides, trees, strict=True):
        for name in runs[side][0]:
            values = [run[name] for run in runs[side]]
            rows["measure", name] = {f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"}
    return sides


def differences(old: Settings, new: Settings, flavours: Sequence[str], rounds: int) -> list[Difference]:
    """Return how the images of a checkout differ from those of another."""
    ui, trees = Terminal(), dict[str, Path]()
    rows: dict[Difference, list[str]] = {}
    with temp_folder(new.cache / "trees", "bump-") as work:
        for flavour in flavours:
            packages, sizes = [], list[Rows]()
            for own, side in ((old, "old"), (new, "new")):
                assembly = build(own, flavour, ui)
                image = assembly.parts[0][1].image
                sizes.append({("measure", f"{flavour or 'image'}, compressed"): {size(image)}})
                packages.append((attestations.of_build(own, assembly, ui).sboms[0], native(own, image)))
                if flavour == flavours[0]:
                    trees[side] = unpack.tree(image, own.cache, work / side)
            for row in interface.compared(*contents(*packages)):
                rows.setdefault(row, []).append(flavour)
            rows |= {row: list(flavours) for row in interface.compared(*sizes)}
        rows |= {row: list(flavours) for row in interface.compared(*measured(trees, rounds))}
    return named(rows, flavours)


def named(rows: Mapping[Difference, Sequence[str]], flavours: Sequence[str]) -> list[Difference]:
    """Return the differences in a report's order; what some flavours have, and not all, has their names."""
    return [
        row if len(own) == len(flavours) else replace(row, name=f"{row.name} ({', '.join(own)})")
        for row, own in sorted(rows.items(), key=lambda item: (interface.KINDS.index(item[0].kind), item[0].name))
    ]


def main() -> None:
    """Print them as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("old", type=Path, help="another checkout")
    parser.add_argument("--line", action="store_true", help="it is the name of a line of this one, such as 0.11")
    parser.add_argument("--flavour", action="append", help="all by default")
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, 21), metavar="N")
    chosen = parser.parse_args()
    new = settings_module.load()
    old = new.on_line(chosen.old.name) if chosen.line else replace(new, root=chosen.old.resolve())
    flavours = chosen.flavour or image_toml.flavours(new.root / "images" / image_inputs.IMAGE)
    rows = differences(old, new, flavours, chosen.rounds)
    print(json.dumps([astuple(row) for row in rows]))


if __name__ == "__main__":
    main()
