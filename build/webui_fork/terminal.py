"""What a run says while it works: bars and a spinner on a terminal, plain lines elsewhere.

Everything goes to standard error; standard output is for results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

Advance = Callable[[int], None]


def ignore(count: int) -> None:
    """Take the progress of something nobody watches."""


def human_size(size: float) -> str:
    """Return a size in bytes as people read it, in powers of 1000."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


@dataclass
class Terminal:
    """Progress of one run. ``times`` collects the seconds each step took, in order."""

    rich: bool = False
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    times: dict[str, float] = field(default_factory=dict)

    def say(self, line: str) -> None:
        """Print one plain line at once."""
        print(line, file=self.stream, flush=True)

    @contextmanager
    def step(self, name: str, doing: str = "") -> Iterator[None]:
        """Time a step; with ``doing``, say so: a spinner on a terminal, a line elsewhere."""
        start = time.monotonic()
        try:
            if doing and self.rich:
                from rich.console import Console

                with Console(file=self.stream).status(f"{doing} …"):
                    yield
            else:
                if doing:
                    self.say(f"{doing} …")
                yield
        finally:
            self.times[name] = self.times.get(name, 0.0) + time.monotonic() - start

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Advance]:
        """Show the progress of ``total`` bytes; yields a function that takes how many came."""
        if self.rich:
            from rich import progress
            from rich.console import Console

            columns = (
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.DownloadColumn(),
                progress.TransferSpeedColumn(),
                progress.TimeRemainingColumn(),
            )
            with progress.Progress(*columns, console=Console(file=self.stream)) as shown:
                task = shown.add_task(label, total=total)
                yield lambda count: shown.update(task, advance=count)
            return
        start = time.monotonic()
        self.say(f"{label} ({human_size(total)}) …")
        yield ignore
        seconds = max(time.monotonic() - start, 1e-3)
        self.say(f"{label}: done in {seconds:.1f} s ({human_size(total / seconds)}/s)")
