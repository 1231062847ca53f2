"""MkDocs' hooks: a page per patch; links that leave docs/ go to the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from webui_fork.config import image_toml
from webui_fork.series import apply, pages

ROOT = Path(__file__).resolve().parents[1]


def _blob(config: Any) -> str:
    return f"{config['repo_url'].rstrip('/')}/blob/main"


def on_config(config: Any) -> Any:
    """Take the repository's address from where everything else has it: the image's `home`."""
    config["repo_url"] = image_toml.read(ROOT / "images/open-webui").home
    config["nav"] = [_with_series(item) for item in config["nav"]]
    return config


def _with_series(item: Any) -> Any:
    """Return a part of the menu, with a page of each patch after the series' own."""
    if isinstance(item, dict):
        return {title: _with_series(part) for title, part in item.items()}
    if not isinstance(item, list):
        return item
    parts = [_with_series(part) for part in item]
    if pages.INDEX in parts:
        _, patches = apply.read_series(ROOT / "patches")
        parts += [path for path in pages.pages(patches, "") if path != pages.INDEX]
    return parts


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the series."""
    _, patches = apply.read_series(ROOT / "patches")
    for path, text in pages.pages(patches, _blob(config)).items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:  # noqa: ARG001 - MkDocs names it
    """Send a link to a file outside docs/ to the repository; a dead one stays, and is an error."""
    here = (ROOT / "docs" / page.file.src_uri).parent

    def link(match: re.Match[str]) -> str:
        target = (here / match.group(1)).resolve()
        outside = not target.is_relative_to(ROOT / "docs") and target.is_relative_to(ROOT) and target.exists()
        return f"]({_blob(config)}/{target.relative_to(ROOT).as_posix()}{match.group(2)})" if outside else match.group()

    return re.sub(r"\]\((\.\./[^)#\s]+)(#[^)\s]*)?\)", link, markdown)
