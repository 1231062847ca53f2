"""uv, which resolves requirements to locks: the program, its version, and how it is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version as distribution_version
from pathlib import Path

from webui_fork.core import process
from webui_fork.core.settings import Settings
from webui_fork.sources import package_index


def program() -> str:
    """Return the path of the program that came with this tool."""
    from uv import find_uv_bin

    return find_uv_bin()


def version() -> str:
    """Return the version of uv, which is an input of what it installs."""
    return distribution_version("uv")


def environment(settings: Settings, index: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that uv runs in.

    Args:
        settings: have its cache.
        index: uv's variables for the index.
    """
    return {
        **process.plain(settings.environ),  # what a release asks for may name a variable
        **index,
        "UV_CACHE_DIR": str(settings.cache / "uv"),
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
    }


def resolve(
    settings: Settings, arguments: Sequence[str | Path], out: Path, *, doing: str, folders: Sequence[Path] = ()
) -> str:
    """Resolve requirements; return the text of the lock, which names no index.

    Args:
        settings: have the index.
        arguments: the requirements file, and options of `uv pip compile`.
        out: where the lock goes; versions that stand in it are kept.
        doing: what for, as "lock the Python packages".
        folders: with wheels that no index has.

    Raises:
        ToolError: they can't be resolved.
    """
    argv = [program(), "pip", "compile", "--quiet", "--no-config", "--no-header", "--no-annotate"]
    argv += ["--no-emit-index-url", "--no-emit-find-links", *map(str, arguments), "-o", str(out)]
    index = package_index.configured(settings).uv_variables(*folders)
    process.run(argv, env=environment(settings, index), doing=doing)
    return out.read_text(encoding="utf-8")
