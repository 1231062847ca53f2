"""The programs this tool drives: found on PATH, else fetched from the distribution, said aloud."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from webui_fork.core import process
from webui_fork.core.errors import ToolError
from webui_fork.core.files import ensure_folder, exclusive, temp_folder
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.sources import apt


@dataclass(frozen=True, slots=True)
class Tool:
    """An external program.

    ``programs`` are its names on PATH, best first. With a ``suite`` its Debian package is unpacked
    into the cache and nothing is installed; without, it is installed on the host as root.
    ``install`` says what it is called for apt, dnf and brew; ``expired``: its suite's lists may be past their date.
    """

    programs: tuple[str, ...]
    package: str
    suite: str | None
    install: str
    expired: bool = False


TOOLS = {
    "cosign": Tool(("cosign",), "cosign", "trixie", "apt (Debian 13 or later): cosign; dnf: cosign; brew: cosign"),
    "registry": Tool(
        ("docker-registry", "registry"),
        "docker-registry",
        "bookworm",
        "apt: docker-registry; dnf: docker-distribution; brew: distribution",
    ),
    "dockerd": Tool(
        ("dockerd",), "docker.io", None, "apt: docker.io; dnf: moby-engine; brew: colima, then `colima start`"
    ),
}


def find(settings: Settings, name: str, ui: Terminal, tools: Mapping[str, Tool] = TOOLS) -> Path:
    """Return the path of a program, getting it from the distribution if need be.

    Args:
        settings: PATH, and the cache.
        name: of the program.
        ui: says what is fetched.
        tools: where the name is looked up.

    Raises:
        ToolError: it is missing and can't be got here; the remedy says what to install.
    """
    tool = tools[name]
    if on_path := _on_path(settings, tool):
        return on_path
    if tool.suite:
        return fetch(settings, name, tool, ui)
    if os.geteuid() == 0 and shutil.which("apt-get"):
        return _install(settings, name, tool, ui)
    raise _missing(name, tool, "this is not root on a Debian-like machine")


def fetch(settings: Settings, name: str, tool: Tool, ui: Terminal) -> Path:
    """Return the path of a program whose Debian package is unpacked into the cache, whatever is on PATH.

    Args:
        settings: the cache.
        name: of the program, and of its folder there.
        tool: has a suite.
        ui: says what is fetched.

    Raises:
        ToolError: it can't be got here; the remedy says what to install.
    """
    kept = settings.cache / "tools" / name
    if not (ready := _unpacked(kept, tool)):
        ensure_folder(kept.parent)
        with exclusive(kept.parent / f".{name}.lock", f"the cached {name}", ui.say):
            ready = _unpacked(kept, tool) or _unpack(settings, name, tool, kept, ui)
    return ready


def _missing(name: str, tool: Tool, why: str) -> ToolError:
    return ToolError(
        f"{name} is missing.",
        why=f"It is not on PATH and can't be fetched: {why}.",
        remedy=f"Install it ({tool.install}) and run this again.",
    )


def _on_path(settings: Settings, tool: Tool) -> Path | None:
    path = settings.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    for program in tool.programs:
        if program_path := shutil.which(program, path=path):
            return Path(program_path)
    return None


def _unpacked(folder: Path, tool: Tool) -> Path | None:
    for program in tool.programs:
        path = folder / "usr/bin" / program
        if os.access(path, os.X_OK):
            return path
    return None


def _unpack(settings: Settings, name: str, tool: Tool, kept: Path, ui: Terminal) -> Path:
    assert tool.suite
    try:
        with ui.step(
            "tools", f"{name} is not on PATH: fetching it from Debian {tool.suite} (apt-verified, into the cache)"
        ):
            arch = process.run(["dpkg", "--print-architecture"], env=settings.environ).stdout.strip()
            with (
                apt.private(settings, tool.suite, arch, updates=False, expired=tool.expired) as private,
                temp_folder(kept.parent, name) as folder,
            ):
                deb = private.download(tool.package, folder)
                process.run(["dpkg-deb", "-x", str(deb), str(folder / "tree")], env=settings.environ)
                shutil.rmtree(kept, ignore_errors=True)
                (folder / "tree").rename(kept)
    except ToolError as error:
        raise _missing(name, tool, "; ".join(part for part in (error.what, error.why) if part)) from error
    ready = _unpacked(kept, tool)
    if not ready:
        raise _missing(name, tool, f"Debian's package {tool.package} does not hold it")
    return ready


def _install(settings: Settings, name: str, tool: Tool, ui: Terminal) -> Path:
    # RUNLEVEL=1: a package's service is not started on this host just because we need its program
    env = {**settings.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    packages = [tool.package, *(["iptables"] if name == "dockerd" else [])]
    with (
        exclusive(settings.cache / ".apt.lock", "apt", ui.say),
        ui.step("tools", f"{name} is not on PATH: installing the Debian package {tool.package}"),
    ):
        install = ["apt-get", "install", "-qq", "--yes", "--no-install-recommends", *packages]
        if process.run(install, env=env, check=False).code:
            process.run(["apt-get", "update", "-qq"], env=env, doing="read the package lists")
            try:
                process.run(install, env=env)
            except ToolError as error:
                raise _missing(name, tool, error.why) from error
    program = _on_path(settings, tool)
    if not program:
        raise _missing(name, tool, f"the package {tool.package} did not bring it")
    return program
