"""Pictures of a terminal in the documentation, as rich draws them."""

from __future__ import annotations

import html
import io
import re
from pathlib import Path

from rich.console import Console
from rich.text import Text


def draw(output: str, title: str, file: Path) -> None:
    """Draw what a command printed.

    Args:
        output: with the command itself, and with colours as a terminal has them.
        title: of the window. file: the SVG.
    """
    console = Console(record=True, width=118, file=io.StringIO())
    console.print(Text.from_ansi(output))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(console.export_svg(title=title))


def words(file: Path) -> list[str]:
    """Return the words of a picture, in order."""
    return " ".join(map(html.unescape, re.findall(r">([^<]+)</text>", file.read_text()))).split()
