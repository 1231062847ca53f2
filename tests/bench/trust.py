"""Measure what trust costs: the series on a base in a registry beside docker's way, verifying, publishing again.

The base has two platforms and is not local. docker's way is pull + build + push of one platform, unsigned; ours is
both platforms, with and without signing. Writes out/bench-trust.md.
"""

from __future__ import annotations

import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from docker import DockerClient

import bases
from bases import image
from measuring import machine, median, remove_images, timed
from registries import registry
from users import User
from webui_fork.core import git, settings
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.core.terminal import Terminal
from webui_fork.core.text import human_size, table
from webui_fork.image import append, pipeline, variants
from webui_fork.image import inputs as image_inputs
from webui_fork.oci import engine, model, transfer
from webui_fork.oci import layout as oci_layout
from webui_fork.oci.registry import Registry
from webui_fork.publish import tested
from webui_fork.publish.tested import PassedImage
from webui_fork.sources import programs

RUNS = 5


def stand_in(
    real: Settings, inputs: image_inputs.Inputs, built: pipeline.Built, host: str, folder: Path
) -> tuple[model.Blob, int]:
    """Push a base of two platforms; return its root and the compressed bytes of its amd64 image."""
    cache = folder / "cache"
    (cache / "blobs/sha256").mkdir(parents=True)
    for named in built.image.layers[:2]:
        os.link(oci_layout.blob_path(real.cache, named.layer.digest), oci_layout.blob_path(cache, named.layer.digest))
    front, back = bases.application(real, inputs, built, cache)
    amd64 = image([*(named.layer for named in built.image.layers[:2]), front, back], "amd64")
    arm64 = image([bases.arm64_python(real, cache, folder), front, back], "arm64")
    with Registry(f"http://{host}", "upstream/open-webui") as there:
        root = bases.push(there, f"v{inputs.lock.version}-slim", [amd64, arm64], cache)
    return root, sum(named.layer.size for named in amd64.layers)


def checkout(real: Settings, built: pipeline.Built, host: str, folder: Path) -> User:
    """Return a checkout whose upstream image is the stand-in, pinned."""
    user = User(folder, real, warm=True)
    file = user.root / "images/upstream/image.toml"
    head, _, rest = file.read_text().partition("[[variant]]")
    slim, _, rest = rest.partition("[[variant]]")
    application = rest[rest.index("# Where upstream's Dockerfile") :]
    file.write_text(head + "[[variant]]" + slim.replace("ghcr.io/open-webui", f"{host}/upstream") + application)
    run(user, "lock", "--bases")
    user.commit()
    (user.root / "out").mkdir(exist_ok=True)
    tested.write(Settings(user.root, user.cache, user.root, False), PassedImage(built.image.digest, built.tree.head, 1))
    run(user, "build", "--image", "upstream")
    return user


def run(user: User, *arguments: str) -> str:
    code, out, err = user.run(*arguments)
    if code:
        raise SystemExit(err)
    return out


def appended(
    root: model.Blob,
    host: str,
    number: int,
    series: list[model.NamedLayer],
    cache: Path,
    expected: dict[str, str | None],
) -> tuple[float, int]:
    """Time the append itself, in this process and unsigned: read and check the base, mount, push.

    Returns:
        Seconds, and bytes received.
    """
    start = time.perf_counter()
    with (
        Registry(f"http://{host}", "upstream/open-webui") as source,
        Registry(f"http://{host}", f"bare/run-{number}") as target,
    ):
        base = append.read(source, root.digest)
        append.check(source, base, expected, lambda line: None)
        result = append.append(base, series, {"n": str(number)}, bases.CREATED)
        for one in result.images:
            transfer.send(target, one, transfer.in_cache(cache), transfer.quiet, [source.repository])
            target.put_manifest(one.digest, one.manifest)
        target.put_manifest("v1", result.root)
        read = source.received + target.received
    return time.perf_counter() - start, read


def docker_s_way(client: DockerClient, host: str, tag: str, blobs: list[Path], number: int) -> float:
    """Time pull + build + push with the base not local."""
    remove_images(client)
    base, name = f"{host}/upstream/open-webui:{tag}", f"{host}/docker/run-{number}"
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        files = {f"layer-{count}.tar.gz": blob.read_bytes() for count, blob in enumerate(blobs)}
        dockerfile = f"FROM {base}\nADD {' '.join(files)} /\n"
        for path, data in {"Dockerfile": dockerfile.encode(), **files}.items():
            info = tarfile.TarInfo(path)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    context.seek(0)

    def work() -> None:
        client.images.pull(f"{host}/upstream/open-webui", tag=tag)
        client.images.build(fileobj=context, custom_context=True, tag=f"{name}:v1", rm=True)
        for row in client.images.push(name, tag="v1", stream=True, decode=True):
            if "error" in row:
                raise SystemExit(row["error"])

    return timed(work)


def several(work: Callable[[int], float], runs: int = RUNS) -> list[float]:
    """Run once to warm up, then several times."""
    return [work(number) for number in range(runs + 1)][1:]


def tell(rows: list[tuple[str, ...]], facts: list[str]) -> None:
    """Write the results to out/bench-trust.md, and print them."""
    lines = [f"Machine: {machine()}", "", "| what | median (min to max) | ratio | wanted |", "|---|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    (CHECKOUT / "out/bench-trust.md").write_text("\n".join([*lines, "", *facts]) + "\n")
    print(table([("what", "median (min to max)", "ratio", "wanted"), *rows]))
    print("\n".join(facts))


def verified() -> list[float]:
    """Time the verification of out/image, as a user runs it."""
    layout = CHECKOUT / "out/image"
    if not layout.exists():
        raise SystemExit("Run `nox -s build` first: out/image is verified.")
    argv = [sys.executable, "-m", "webui_fork", "verify", f"oci:{layout}"]
    return several(lambda n: timed(lambda: subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)))


def main() -> None:
    real, ui = settings.load(), Terminal()
    inputs = image_inputs.read_inputs(real, ui, locked=False)
    built = pipeline.build(real, inputs, ui, locked=False)
    expected = variants.replaced(inputs.spec, git.repository(real), built.tree, built.front_end)
    program = programs.find(real, "registry", ui)
    series = [named for named in built.image.layers if named.name in ("frontend", "patches")]
    blobs = [oci_layout.blob_path(real.cache, named.layer.digest) for named in series]
    with tempfile.TemporaryDirectory(prefix="webui-fork-bench-") as name:
        folder = Path(name)
        with registry(program, folder / "registry") as host, engine.private(real, ui) as docker:
            root, size = stand_in(real, inputs, built, host, folder)
            user = checkout(real, built, host, folder / "user")
            ui.say("The series on a base in a registry …")
            reads: list[int] = []

            def bare(number: int) -> float:
                seconds, read = appended(root, host, number, series, real.cache, expected)
                reads.append(read)
                return seconds

            unsigned = several(bare)
            whole = several(lambda n: timed(lambda: run(user, "publish", f"{host}/me/run-{n}", "--image", "upstream")))
            again = several(lambda n: timed(lambda: run(user, "publish", f"{host}/me/run-1", "--image", "upstream")))
            published = run(user, "publish", f"{host}/me/run-1", "--image", "upstream")
            ui.say("docker pull + build + push …")
            tag = f"v{inputs.lock.version}-slim"
            theirs = several(lambda n: docker_s_way(docker.client, host, tag, blobs, n), 3)
            remove_images(docker.client)
            ui.say("Verifying the real image …")
            check = verified()
    mine = statistics.median(whole)

    def ratio(seconds: list[float]) -> str:
        return f"{statistics.median(seconds) / statistics.median(theirs):.3f}"

    sent_line = next(line for line in published.splitlines() if line.startswith("sent "))
    rows: list[tuple[str, ...]] = [
        ("docker pull + build + push, one platform, unsigned, base not local", median(theirs), "1", ""),
        (
            "ours: base read and checked, layer mounted and pushed; two platforms, unsigned",
            median(unsigned),
            ratio(unsigned),
            "at most 0.05",
        ),
        ("ours: the whole `publish`: base checked, signed, attested, verified", median(whole), ratio(whole), ""),
        (
            "publish again, nothing changed",
            median(again),
            f"{statistics.median(again) / mine:.2f} of publish",
            "no blob",
        ),
        ("verify, every layer hashed (a layout of 233 MB)", median(check), "", "under 2 s"),
    ]
    facts = [
        f"Read of the base: {human_size(statistics.median(reads))}. docker pulled {human_size(size)}.",
        f"Publish again: {sent_line.removeprefix('sent').strip()}.",
    ]
    tell(rows, facts)


if __name__ == "__main__":
    main()
