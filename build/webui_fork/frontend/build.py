"""The front end from its sources: the release's npm packages, the tree, vite; only what differs from the wheel is kept.

Each stage is cached by its inputs. This is the one place where a build runs code of upstream's and of npm packages.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import msgspec

from webui_fork.config.image_tables import Frontend
from webui_fork.config.image_toml import BUILT_FRONT_END
from webui_fork.config.upstream_lock import Lock
from webui_fork.core import files, process
from webui_fork.core.errors import ArchiveError, ImageError, SeriesError, ToolError
from webui_fork.core.files import code_digest, ensure_folder, exclusive, sha256_bytes, temp_folder, write_atomic
from webui_fork.core.git import Repo
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.frontend import changes, node, package_lock, sandbox, types
from webui_fork.frontend.changes import Changes
from webui_fork.frontend.node import Node
from webui_fork.frontend.sandbox import Sandbox
from webui_fork.series import apply
from webui_fork.series.apply import Change
from webui_fork.series.patch import Problem
from webui_fork.sources import archive
from webui_fork.sources.release import Source, link_target

HEAP = 6144  # MiB; with 4096 vite runs out of memory
MEMORY = 7168  # MiB that must be free: the heap, and what Node.js has beside it
# room for new objects, in MiB: with its 16 vite takes half as long again, most of that to sort out what is left of them
_YOUNG = 256
_NODE = ("programs/bin/node", f"--max-old-space-size={HEAP}", f"--max-semi-space-size={_YOUNG}")
_RECORDS_KEPT = 4  # results, 56 MB each where a component that many use is changed
_MODULES_KEPT = 2  # folders of npm packages, 1.3 GB each
_PINS = ("package.json", "package-lock.json")
_VERSION = re.compile(r"[A-Za-z0-9._+-]{1,80}")
# where the machine's own npm has its settings, by who packaged it; ours would look beside itself
_NPM_FILES = ("/etc/npmrc", "/usr/etc/npmrc", "/usr/local/etc/npmrc")


@dataclass(frozen=True, slots=True)
class Request:
    """What to build: the release's front end with some of its files changed, with which Node.js."""

    lock: Lock
    source: Source
    files: tuple[Change, ...]
    spec: Frontend

    def key(self) -> str:
        """Return the digest of all that decides the result."""
        rows = [
            (change.path, change.mode, sha256_bytes(change.data) if change.data is not None else "")
            for change in self.files
        ]
        node_js = [self.spec.node, sorted(self.spec.sha256.items())]
        inputs = [self.source.commit, self.lock.wheel.sha256, rows, node_js, code_digest("frontend")]
        return sha256_bytes(json.dumps(inputs).encode()).hex


def build(settings: Settings, repo: Repo, request: Request, ui: Terminal) -> Changes:
    """Build a front end, and return what differs from the one in the release's wheel.

    Args:
        settings: have the cache, the index and npm's registry.
        repo: has the release.
        request: what to build.
        ui: says what is done.

    Raises:
        ToolError: memory, a program or the machine does not do; npm fails. SourceError: the release does not pin what
            npm would install. SeriesError: it does not build with the series. ImageError: nor without, or oddly.
        ArchiveError: the wheel is bad. CacheError: the cache can't be written.
    """
    kept = ensure_folder(settings.cache / "frontend-changes")
    record = kept / f"{request.key()}.msgpack"
    # one at a time: two would want twice the memory
    with exclusive(settings.cache / "locks" / "frontend", "the front end", ui.say):
        with suppress(FileNotFoundError, msgspec.MsgspecError, ValueError):
            result = changes.load(record.read_bytes())
            os.utime(record)  # the one that was used last is the last to go
            return _checked(request, result)
        programs = node.obtain(settings, request.spec, ui)
        files.check(request.source.wheel, request.lock.wheel.digest)
        _check_memory()
        with temp_folder(settings.cache / "tmp", "frontend") as folder:
            place = Sandbox(ensure_folder(folder / "work"), programs.folder, confined=settings.sandbox)
            place.check()  # before anything takes minutes
            if not place.confined:
                ui.say("WARNING: upstream's build and npm packages run as you, with your files and a network.")
            place = replace(place, packages=_modules(settings, repo, request, programs, ui))
            _lay_out(repo, request, place)
            built = _vite(place, repo, request, ui)
            result = changes.between(request.source.wheel, request.lock.wheel.name, built)
            if request.files:
                _check_types(place, repo, request, ui)
        write_atomic(record, result.dump())
        _prune(kept, _RECORDS_KEPT)
    return _checked(request, result)


def _checked(request: Request, result: Changes) -> Changes:
    """Return what the series changes, if that leaves the branding alone; of upstream's own only a difference counts.

    Raises:
        SeriesError: it does not.
    """
    problems = result.brand_problems() if request.files else []
    apply.refuse([Problem("patches/", "branding", f"built front end: {problem}") for problem in problems])
    return result


def _prune(folder: Path, count: int) -> None:
    """Remove all but the newest of a cache; each in one step, so that a half is never taken for a whole."""
    newest_last = sorted(folder.glob("[0-9a-f]*"), key=lambda path: path.stat().st_mtime)
    with temp_folder(folder, "old") as work:
        for number, old in enumerate(newest_last[:-count]):
            old.rename(work / str(number))


def _check_memory() -> None:
    """Refuse to begin what the kernel would end.

    Raises:
        ToolError: too little memory is free.
    """
    free = [int(line.split()[1]) >> 10 for line in _lines("/proc/meminfo") if line.startswith("MemAvailable:")]
    free += [int(line) >> 20 for line in _lines("/sys/fs/cgroup/memory.max") if line.isdigit()]
    if free and min(free) < MEMORY:
        raise ToolError(
            f"The front end needs {MEMORY} MiB of memory to build, and {min(free)} are free.",
            why=f"With less than {HEAP} MiB of heap Node.js may run out of it.",
            remedy=f"Build it on a larger machine, or stop other programs on this one. {sandbox.WITHOUT}",
        )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _modules(settings: Settings, repo: Repo, request: Request, programs: Node, ui: Terminal) -> Path:
    """Have the release's npm packages in the cache, none of their code run; return their folder.

    Raises:
        SourceError: the release does not pin them. ToolError: npm fails.
    """
    pins = {name: repo.read_file(request.source.commit, name) or b"" for name in _PINS}
    scripts = package_lock.check(pins["package-lock.json"])
    key = sha256_bytes(b"\0".join([*pins.values(), programs.folder.name.encode()])).hex  # it has binaries of a machine
    kept = ensure_folder(settings.cache / "node_modules")
    folder = kept / key
    if not folder.exists():
        with temp_folder(kept, "npm") as work, ui.step("npm", "Installing the front end's npm packages (1.3 GB)"):
            for name, data in pins.items():
                (work / name).write_bytes(data)
            _npm(settings, programs, work)
            for name in sandbox.MOUNTPOINTS:
                ensure_folder(work / "node_modules" / name)
            (work / "node_modules").rename(folder)
        ui.say(f"Not run: the install scripts of {', '.join(name.rpartition('node_modules/')[2] for name in scripts)}.")
    os.utime(folder)
    _prune(kept, _MODULES_KEPT)
    return folder


def _npm(settings: Settings, programs: Node, work: Path) -> None:
    options = ("--ignore-scripts", "--engine-strict", "--no-audit", "--no-fund", "--no-update-notifier")
    global_files = [file for file in _NPM_FILES if Path(file).is_file()]
    env = {
        **({"npm_config_globalconfig": global_files[0]} if global_files else {}),
        **process.plain(settings.environ),
        "CYPRESS_INSTALL_BINARY": "0",
    }
    if bundle := settings.environ.get("SSL_CERT_FILE"):
        env.setdefault("NODE_EXTRA_CA_CERTS", bundle)
    argv: list[str | Path] = [programs.program, programs.npm, "ci", *options, "--loglevel=error"]
    done = process.run(argv, env=env, cwd=work, check=False, doing="install npm packages", build=True, group=True)
    if done.code:
        raise ToolError(
            "npm could not install the front end's packages.",
            why=done.tail(),
            remedy="The release pins each by digest. Check the network, npm's registry (~/.npmrc) and proxy.",
        )


def _lay_out(repo: Repo, request: Request, place: Sandbox) -> None:
    """Write the release's tree with the changed files, where the npm packages are put beside it.

    The whole tree, for Tailwind looks for the names of its classes everywhere; what the series changes in the back end
    is left out, so that it can't change a style sheet.
    """
    for file in repo.walk(request.source.commit, lambda _path: True):
        leads = link_target(file)
        target = place.work / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if leads:
            target.symlink_to(leads)
        else:
            target.write_bytes(file.read())
            target.chmod(file.mode & 0o777)
    for change in request.files:
        target = place.work / PurePosixPath(change.path)
        target.unlink(missing_ok=True)
        if change.data is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(change.data)
    packages = place.work / "node_modules"
    shutil.rmtree(packages, ignore_errors=True)
    if place.packages and not place.confined:
        shutil.copytree(place.packages, packages, symlinks=True)
    packages.mkdir(exist_ok=True)
    place.own()


def _vite(place: Sandbox, repo: Repo, request: Request, ui: Terminal) -> Path:
    """Build, and return the folder of what was built.

    Raises:
        SeriesError, ImageError: it does not build.
    """
    env = {**_build_info(repo, request), "npm_package_version": request.lock.version}
    with ui.step("frontend", "Building the front end from its sources (4 minutes, 7 GB of memory)"):
        done = place.run([*_NODE, "node_modules/vite/bin/vite.js", "build"], env, "build the front end")
    built = place.work / "build"
    if built.is_symlink():
        raise ImageError("The front end's build left a link in the place of its result.")
    if done.code or not (built / "index.html").is_file():
        _refuse(request, done.stdout + done.stderr)
    return built


def _check_types(place: Sandbox, repo: Repo, request: Request, ui: Terminal) -> None:
    """Have upstream's type checker look at what the series adds; the build itself looks at no type.

    Raises:
        SeriesError: it has errors. ImageError: the checker does not run.
    """
    before = {file.path: repo.read_file(request.source.commit, file.path) or b"" for file in request.files}
    added = {file.path: types.added_lines(before[file.path], file.data or b"") for file in request.files}
    # through cat: it ends before all is written, where its output is a pipe
    to_file = ("sh", "-c", '"$0" "$@" > .types; cat .types')
    argv = [*to_file, *_NODE, "node_modules/svelte-check/bin/svelte-check", *types.ARGUMENTS]
    with ui.step("types", "Checking the types of what the series adds to the front end (1 minute)"):
        done = place.run(argv, {}, "check types")
    errors = types.errors(done.stdout, added)
    if errors is None:
        raise ImageError("The front end's types can't be checked.", why=done.tail())
    apply.refuse([Problem("patches/", "types", error) for error in errors])


def _build_info(repo: Repo, request: Request) -> Mapping[str, str]:
    """Return what upstream's build was told: the commit that its wheel names, which browsers compare.

    Up to 0.11.4 hatch_build.py set another one, the name that hatchling has for a wheel that is not editable.
    """
    if b"APP_BUILD_HASH" in (repo.read_file(request.source.commit, "hatch_build.py") or b""):
        return {"APP_BUILD_HASH": "standard"}
    with archive.wheel_files(request.source.wheel, request.lock.wheel.name, f"{BUILT_FRONT_END}/_app") as members:
        texts = [member.read() for member in members if member.path == "version.json"]
    try:
        version = json.loads(texts[0])["version"]
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise ArchiveError(f"{request.lock.wheel.name} does not say which commit its front end is from.") from error
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise ArchiveError(f"{request.lock.wheel.name} names its front end {version!r}.")
    return {"APP_BUILD_HASH": version, "APP_BUILD_CHANNEL": "main"}


def _refuse(request: Request, output: str) -> None:
    """Say why there is no front end.

    Raises:
        SeriesError: with the series' files. ImageError: without.
    """
    _, mark, error = output.partition("error during build:")
    why = "\n".join(error.strip().splitlines()[:12] if mark else output.strip().splitlines()[-12:])
    if request.files:
        changed = ", ".join(change.path for change in request.files[:6])
        raise SeriesError("The front end does not build with the series.", why=why, remedy=f"It changes {changed}.")
    raise ImageError(f"The front end of Open WebUI {request.lock.version} does not build.", why=why)
