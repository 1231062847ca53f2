"""The picture of the doctor in the documentation: its report in a terminal, as rich draws it."""

from __future__ import annotations

import html
import io
import re
from pathlib import Path

from rich.console import Console
from rich.text import Text

from containers import Site
from helpers import Talk
from webui_fork.core.settings import Secret, Settings
from webui_fork.doctor import examine, findings, rules


def of_doctor(settings: Settings, site: Site, names: dict[str, str]) -> Path:
    """Draw what the doctor says of a site; return the file, in out/.

    Args:
        settings: of the one who asks. site: what is asked.
        names: what is shown in place of other names of this machine.
    """
    facts = examine.run(settings, examine.Request(site.url, token=Secret(site.token)), Talk())
    text = findings.text(facts.url, rules.about(facts), rules.diagnose(facts), facts.unchecked, colour=True)
    for name, shown in {**names, site.url: "http://localhost:3000", str(site.container.name): "open-webui"}.items():
        text = text.replace(name, shown)
    console = Console(record=True, width=118, file=io.StringIO())
    console.print("$ nox -s doctor -- --webui http://localhost:3000\n", highlight=False)
    console.print(Text.from_ansi(re.sub(r"\d+\.\d+ s\b", "0.02 s", text)))
    settings.out.mkdir(parents=True, exist_ok=True)
    file = settings.out / "doctor.svg"
    file.write_text(console.export_svg(title="nox -s doctor"))
    return file


def words(file: Path) -> str:
    """Return the words of a picture, in order, without versions: a bump does not draw it again."""
    text = " ".join(map(html.unescape, re.findall(r">([^<]+)</text>", file.read_text())))
    return re.sub(r"\b\d+\.\d+\.\d+\b", "VERSION", " ".join(text.split()))
