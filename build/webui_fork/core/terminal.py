"""What a run says while it works: live rows on a terminal, plain lines elsewhere.

Everything goes to standard error; standard output is for results. Steps may run at the same time.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from webui_fork.core.text import human_size, printable

if TYPE_CHECKING:
    from rich.progress import Progress

Advance = Callable[[int], None]


def ignore(count: int) -> None:
    """Take the progress of something nobody watches."""


@dataclass
class Terminal:
    """Progress of one run; ``quiet`` shows none. ``times`` collects the seconds each step took, in order."""

    rich: bool = False
    quiet: bool = False
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    times: dict[str, float] = field(default_factory=dict)
    _live: Progress | None = field(default=None, repr=False)
    _rows: int = 0
    _guard: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def say(self, line: str) -> None:
        """Print one plain line at once, above the live rows if there are any."""
        with self._guard:
            line = printable(line)  # it may have words of others, whom no terminal should obey
            if self._live:
                self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)
            else:
                print(line, file=self.stream, flush=True)

    @contextmanager
    def step(self, name: str, doing: str = "") -> Iterator[None]:
        """Time a step; with ``doing``, say so: a row with a spinner on a terminal, a line elsewhere."""
        start = time.monotonic()
        try:
            if self.quiet:
                yield
            elif doing and self.rich:
                with self._row(doing, None):
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
        if self.quiet:
            yield ignore
            return
        if self.rich:
            with self._row(label, total) as advance:
                yield advance
            return
        start = time.monotonic()
        self.say(f"{label} ({human_size(total)}) …")
        yield ignore
        seconds = max(time.monotonic() - start, 1e-3)
        self.say(f"{label}: done in {seconds:.1f} s ({human_size(total / seconds)}/s)")

    @contextmanager
    def _row(self, label: str, total: int | None) -> Iterator[Advance]:
        """Add a row to the one live display, which stands as long as it has rows."""
        start, done = time.monotonic(), 0
        with self._guard:
            live = self._live = self._live or self._start()
            self._rows += 1
            row = live.add_task(label, total=total, text="")

        def advance(count: int) -> None:
            nonlocal done
            done += count
            rate = human_size(done / max(time.monotonic() - start, 1e-3))
            live.update(row, advance=count, text=f"{human_size(done)} of {human_size(total or done)}, {rate}/s")

        try:
            yield advance
        finally:
            with self._guard:
                live.remove_task(row)
                self._rows -= 1
                if not self._rows:
                    live.stop()
                    self._live = None

    def _start(self) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        live = Progress(*columns, TextColumn("{task.fields[text]}"), console=Console(file=self.stream), transient=True)
        live.start()
        return live
