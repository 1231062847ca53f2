"""What stock does right, a row each: a scenario that runs on stock and on ours, and what must not get worse.

A scenario gets a :class:`Case` and returns a value. `same`: ours returns what stock does. `more`: no less. `less`: no
more, but for a slack. Rows with the same environment share a server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from outages import Line
from processes import Provider, Site

MODEL = "INSERT OR REPLACE INTO model (id, user_id, base_model_id, name, params, meta, is_active, updated_at, \
created_at) VALUES (?, 'x', ?, ?, '{}', ?, 1, 0, 0)"
PIPES = "class Pipe:\n    def pipes(self):\n        {}\n"
LISTED = "/api/models"
FRESH = "/api/models?refresh=true"
SAME = {"data": [{"id": "same"}], "models": [{"model": "same", "name": "same"}]}


@dataclass(frozen=True)
class Case:
    """Where a row runs: `tree` is stock or ours; `other` is a second worker on the same data."""

    site: Site
    provider: Provider
    tree: str
    row: str
    redis: Line | None = None
    fail_over: Callable[[], None] | None = None
    other: Site | None = None

    def url(self, name: str, slot: str = "openai", **script: Any) -> str:
        """Script a provider of this row's own; return its base URL."""
        return self.provider.script(self.name(name), slot, **script)

    def name(self, name: str) -> str:
        return f"{self.tree}-{self.row}-{name}"

    def asked(self, name: str) -> int:
        return self.provider.lists(self.name(name))

    def ids(self, path: str = FRESH) -> list[Any]:
        return sorted(model for model in self.site.models(path).ids if not str(model).startswith("preset-"))

    @contextmanager
    def base_models_cached(self) -> Iterator[None]:
        """Have the server keep its base models for as long as the context lasts."""
        self.site.set_config("models.base_models_cache", "true")
        try:
            yield
        finally:
            self.site.set_config("models.base_models_cache", "false")

    def answers(self, model: str, count: int = 3) -> int:
        """Return how many chats of so many a model answers."""
        return sum(self.site.chat(model).status_code == 200 for _ in range(count))


@dataclass(frozen=True)
class Row:
    """A scenario, how the two are compared, and the environment it needs."""

    name: str
    run: Callable[[Case], Any]
    compare: str = "same"
    slack: float = 0.0
    env: tuple[tuple[str, str], ...] = field(default=())
    auth: bool = False

    def holds(self, stock: Any, ours: Any) -> bool:
        """Tell whether ours is the same or better."""
        if self.compare == "more":
            return bool(ours >= stock)
        if self.compare == "less":
            return bool(ours <= stock + self.slack)
        return bool(ours == stock)


ROWS: list[Row] = []


def row(
    compare: str = "same", *, slack: float = 0.0, auth: bool = False, **env: str
) -> Callable[[Callable[[Case], Any]], Callable[[Case], Any]]:
    """Decorate a scenario: its name is the row's."""

    def add(run: Callable[[Case], Any]) -> Callable[[Case], Any]:
        ROWS.append(Row(run.__name__, run, compare, slack, tuple(sorted(env.items())), auth))
        return run

    return add
