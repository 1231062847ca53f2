"""Measure the build, beside `docker build` + `docker push` + `cosign sign` of the same change.

Writes out/bench.md. Ratios are what counts: both sides run in turn, in one run, on one machine.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

from docker import DockerClient

from helpers import make_patch
from measuring import machine, median, remove_images, timed
from webui_fork.config.image_toml import FRONT_END
from webui_fork.core import git as core_git
from webui_fork.core import settings
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.core.terminal import Terminal
from webui_fork.core.text import human_size, table
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
from webui_fork.oci import engine, local_registry, transfer
from webui_fork.oci.registry import Registry
from webui_fork.publish import kept_inputs
from webui_fork.series import apply
from webui_fork.sources import programs, release
from webui_fork.trust import cosign as trust_cosign
from webui_fork.trust import keys as trust_keys

RUNS = 5


def memory_of_tree(pid: int) -> int:
    """Return the resident bytes of a process and all below it; pages they share count once each."""
    total, todo = 0, [pid]
    while todo:
        current = todo.pop()
        try:
            for line in Path(f"/proc/{current}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
            for task in Path(f"/proc/{current}/task").iterdir():
                todo += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return total


def run(root: Path, env: dict[str, str], *arguments: str) -> tuple[float, dict[str, float], int]:
    """Run a command of ours; return its seconds, those of its steps, and its peak memory in bytes."""
    peak, done = 0, threading.Event()
    start = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "webui_fork", *arguments], cwd=root, env=env, stdout=log, stderr=log
        )

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.1):
                peak = max(peak, memory_of_tree(child.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        code = child.wait()
        seconds = time.perf_counter() - start
        done.set()
        watcher.join()
        log.seek(0)
        if code:
            raise SystemExit(log.read().decode())
    return seconds, json.loads((root / "out/times.json").read_text()), peak


def clone(folder: Path) -> Path:
    listed = subprocess.run(["git", "-C", str(CHECKOUT), "ls-files", "-z"], check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / name, folder / name)
    return folder


def edited_patch(real: Settings, number: int) -> tuple[str, bytes]:
    """Return the name and text of a patch with an edited line: the last one of the back end.

    The front end is not built again for it.
    """
    inputs = image_inputs.read_inputs(real, Terminal(), locked=False)
    source = release.obtain(real, inputs.lock, Terminal())
    repo = core_git.repository(real)
    tree = apply.apply(repo, source.commit, inputs.patches, inputs.lock.epoch)
    heads = zip((source.commit, *tree.commits), tree.commits, inputs.patches, strict=False)
    below, head, patch = [row for row in heads if not any(path.startswith(FRONT_END) for path in row[2].paths)][-1]
    changes = {change.path: change.data for change in apply.changes(repo, apply.PatchedTree(below, (head,)))}
    path, text = next((path, text) for path, text in changes.items() if text and path.endswith(".py"))
    edited = text + f"\nEDITED = {number}\n".encode()
    data, _ = make_patch(repo, below, {**changes, path: edited}, patch.subject, patch.body)
    return patch.name, data


def build_context(base: str, content: bytes) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in (("Dockerfile", f"FROM {base}\nCOPY f /app/backend/edited.py\n".encode()), ("f", content)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    out.seek(0)
    return out


def peer(real: Settings, client: DockerClient, url: str, signer: trust_keys.Signer, base: str, number: int) -> float:
    """Time what people do instead: docker build, docker push, cosign sign and verify."""
    name = f"{url.removeprefix('http://')}/peer"
    context = build_context(base, f"EDITED = {number} {time.time()}\n".encode())

    def work() -> None:
        client.images.build(fileobj=context, custom_context=True, tag=f"{name}:{number}", rm=True, pull=False)
        rows = list(client.images.push(name, tag=str(number), stream=True, decode=True))
        digest = next(row["aux"]["Digest"] for row in rows if "aux" in row)
        trust_cosign.sign(real, signer, f"{name}@{digest}")
        assert trust_cosign.verify(real, signer.verifier(real), f"{name}@{digest}").verified

    return timed(work)


def git_seconds(trace: Path) -> float:
    """Return the seconds that git's processes took, from git's own trace (trace2, event format).

    `cat-file --batch` is left out: it waits for us as long as we run.
    """
    events = [json.loads(line) for line in trace.read_text().splitlines()] if trace.exists() else []
    trace.unlink(missing_ok=True)
    waiting = {event["sid"] for event in events if event["event"] == "start" and "--batch" in event["argv"]}
    return float(sum(event["t_abs"] for event in events if event["event"] == "exit" and event["sid"] not in waiting))


def ours(real: Settings, root: Path, env: dict[str, str]) -> tuple[list[float], list[float], list[float], list[float]]:
    total, own, cosign, nothing = [], [], [], []
    trace = root / "out/git-trace"
    for number in range(RUNS + 1):
        name, data = edited_patch(real, number + int(time.time()))
        (root / "patches" / name).write_bytes(data)
        seconds, times, _ = run(root, {**env, "GIT_TRACE2_EVENT": str(trace)}, "build")
        git = git_seconds(trace)
        start = timed(lambda: subprocess.run([sys.executable, "-c", "pass"], env=env, check=True))
        idle, _, _ = run(root, env, "build")
        if number:  # the first warms up
            total.append(seconds)
            cosign.append(times["cosign"])
            own.append(seconds - times["cosign"] - times["registry start"] - git - start)
            nothing.append(idle)
    return total, own, cosign, nothing


def cold(root: Path, env: dict[str, str], folder: Path, *arguments: str) -> tuple[float, int]:
    """Build with nothing at hand; return the seconds, and the peak memory in bytes."""
    own = {**env, "WEBUI_FORK_CACHE": f"{folder}/cold", "WEBUI_FORK_CONFIG": f"{folder}/config"}
    seconds, _, peak = run(root, own, "build", *arguments)
    shutil.rmtree(f"{folder}/cold")
    return seconds, peak


def all_four(real: Settings, root: Path, env: dict[str, str]) -> list[float]:
    """Time an edited patch in every flavour for every architecture, all signed and verified."""
    seconds = []
    for number in range(4):
        name, data = edited_patch(real, 1000 + number + int(time.time()))
        (root / "patches" / name).write_bytes(data)
        seconds.append(run(root, env, "build", "--all")[0])
    return seconds[1:]  # the first makes the layers


def weight(real: Settings, ui: Terminal, flavour: str) -> tuple[int, int]:
    """Return the compressed bytes of an image, and of all that it is built from."""
    inputs = image_inputs.read_inputs(real, ui, locked=False, flavour=flavour)
    image = pipeline.build(real, inputs, ui, locked=False).image
    files = kept_inputs.of_build(real, inputs, ui)
    return sum(item.layer.size for item in image.layers), sum(file.size for file in files)


def against_docker(real: Settings, ui: Terminal, folder: Path) -> tuple[list[float], list[float]]:
    """Time docker's way with the base not local and local, on an engine and a registry of our own."""
    inputs = replace(image_inputs.read_inputs(real, ui, locked=False), patches=())
    stock = pipeline.build(real, inputs, ui, locked=False)
    program, cosign = programs.find(real, "registry", ui), programs.find(real, "cosign", ui)
    signer = trust_keys.signer(real, cosign, ui)
    distant = []
    with (
        engine.private(real, ui) as docker,  # every image on it is removed, so never the user's own
        local_registry.running(program, folder / "store", folder / "work") as url,
        Registry(url, "base") as registry,
    ):
        client = docker.client
        base = transfer.push(registry, stock.image, "v", real.cache, transfer.quiet).ref
        for number in range(3):
            remove_images(client)
            distant.append(peer(real, client, url, signer, base, number))
        near = [peer(real, client, url, signer, base, 100 + number) for number in range(RUNS)]
        remove_images(client)
    return distant, near


def main() -> None:
    real = settings.load()
    ui = Terminal()
    with tempfile.TemporaryDirectory(prefix="webui-fork-bench-") as folder:
        root = clone(Path(folder) / "checkout")
        env = {**os.environ, "WEBUI_FORK_ROOT": str(root), "PYTHONPATH": str(root / "build")}
        ui.say("Cold builds, everything downloaded …")
        slim, full, index = (
            cold(root, env, Path(folder), *words) for words in ([], ["--flavour", "full"], ["--arch", "all"])
        )
        ui.say("Edited patch, and nothing changed …")
        total, own, cosign, nothing = ours(real, root, env)
        four = all_four(real, root, env)
        weights = [(name, *weight(real, ui, name)) for name in ("slim", "full")]
        ui.say("docker build + push + cosign …")
        distant, near = against_docker(real, ui, Path(folder))
    mine = statistics.median(total)

    def ratio(seconds: list[float]) -> str:
        return f"{statistics.median(seconds) / mine:.2f}"

    rows: list[tuple[str, ...]] = [
        ("edited patch to signed and verified image", median(total), "1", "at most 2 s"),
        ("… of which cosign", median(cosign), ratio(cosign), ""),
        (
            "… of which ours (without cosign, git, and the start of Python and the registry)",
            median(own),
            ratio(own),
            "at most 0.3 s",
        ),
        ("docker build + push + cosign, base local", median(near), ratio(near), ""),
        ("docker build + push + cosign, base not local", median(distant), ratio(distant), ""),
        ("nothing changed", median(nothing), ratio(nothing), "under 1 s"),
        ("edited patch in two flavours for two architectures", median(four), ratio(four), "at most 2.5 s"),
    ]
    colds = (("slim", slim, "20 s"), ("full", full, "150 s"), ("slim for two architectures", index, ""))
    for name, (seconds, peak), wanted in colds:
        limit = f"at most {wanted}; " if wanted else ""
        what = f"cold build of {name}, everything downloaded; peak memory, all processes (PSS), 1 run"
        value = f"{seconds:.1f} s, {human_size(peak)}"
        rows.append((what, value, f"{seconds / mine:.0f}", f"{limit}under 500 MiB (524.3 MB)"))
    for name, image, parts in weights:
        value = f"{human_size(image)} of {human_size(parts)}"
        rows.append((f"bytes of {name}, of what it is built from", value, f"{image / parts:.2f}", "at most 1.05"))
    lines = [f"Machine: {machine()}", "", "| what | median (min to max) | ratio | wanted |", "|---|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    (CHECKOUT / "out").mkdir(exist_ok=True)
    (CHECKOUT / "out/bench.md").write_text("\n".join(lines) + "\n")
    print(table([("what", "median (min to max)", "ratio", "wanted"), *rows]))


if __name__ == "__main__":
    main()
