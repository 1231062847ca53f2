"""What a list has to be, whatever a second provider does: the table of faults, asked of an Open WebUI."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from containers import Site
from seconds import fresh, wait_for_calm
from sites import Connection, Listing, fault

PROMISE = 2.0  # seconds

_GROUPS = {
    "statuses": "status",
    "ids and names": "id name",
    "entries": "entry",
    "encodings": "not half latin utf bom charset gzip brotli encoding chunks",
    "speeds": "silent slow hang drip continue",
    "connections": "reset flapping length garbage http refused nowhere tls unroutable",
    "sizes": "many large bomb endless header headers",
    "whole answers": "html nothing null number true string object list error key other only strict ollama fine",
}


def _table() -> list[str]:
    spec = importlib.util.spec_from_file_location("provider", Path(__file__).parents[1] / "assets/provider.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.FAULTS)


@dataclass(frozen=True)
class Case:
    """A fault in a slot."""

    slot: str
    name: str

    @property
    def id(self) -> str:
        return f"{self.slot}-{self.name}"

    @property
    def group(self) -> str:
        if self.name in ("not-http", "hang-up"):
            return "connections"
        first = self.name.partition("-")[0].partition(".")[0]
        if self.name in ("status-list",):
            return "fields"
        return next((group for group, names in _GROUPS.items() if first in names.split()), "fields")

    @property
    def keeps(self) -> bool:
        """Whether the answer has a good entry beside what is wrong with it: `beside`."""
        other = {"ollama": "only-v1", "openai": "ollama-like"}[self.slot]
        return self.name not in _NOTHING and self.name != other

    @property
    def url(self) -> str:
        return _ELSEWHERE.get(self.name) or fault(self.name, self.slot)


# what the table of a server can't have
_ELSEWHERE = {
    "refused": "http://provider:9",
    "nowhere": "http://nowhere.invalid",
    "tls": "https://provider:8000",
    "unroutable": "http://192.0.2.1:8000",
}
# where there is no good entry to keep: no list in the answer, one that is too big or not JSON, or none within the time
_NOTHING = frozenset(
    [
        "fine-empty", "status-204", "status-301-loop", "status-302-login", "status-401", "status-403",
        "status-404", "status-407", "status-429", "status-500", "status-500-list", "status-502", "status-503",
        "status-503-string", "status-504", "status-999", "status-none", "html", "nothing", "null", "number",
        "true", "string", "object-empty", "list-empty", "list-of-numbers", "list-of-null", "error-object",
        "error-string", "key-null", "key-number", "key-string", "key-object", "key-true", "other-slot",
        "nested-100000", "many", "large", "bomb", "endless", "header-huge", "headers-many", "not-json",
        "half-json", "latin-1", "gzip-not", "gzip-half", "brotli-not", "chunks-bad", "chunks-cut", "silent",
        "slow", "hang-after-head", "hang-in-head", "hang-in-body", "drip", "continue-for-ever", "hang-up",
        "reset", "length-too-long", "length-too-short", "length-negative", "not-http", "garbage", "http-0.9",
        "refused", "nowhere", "tls", "unroutable",
    ]
)  # fmt: skip
CASES = [Case(slot, name) for slot in ("openai", "ollama") for name in [*_table(), *_ELSEWHERE]]


@dataclass(frozen=True)
class Outcome:
    """What a site made of a case; ``wrong`` is empty where it kept the promise."""

    case: Case
    listing: Listing | None
    wrong: str
    beside: bool = False


def ask(site: Site, case: Case, healthy: str, model: str, user: Site | None = None) -> Outcome:
    """Connect a healthy provider and a faulty one, each with its key, and judge the list.

    Args:
        site: as its admin sees it.
        user: the same as somebody else sees it, whose list has to keep the promise, too.
    """
    good: Connection = (healthy, {"prefix_id": "good"})
    key = fresh("key")  # a connection that nothing is remembered of
    if case.slot == "openai":
        site.connect([good, case.url], keys=["one", key])
    else:
        site.connect([good], [(case.url, {"key": key})], keys=["one"])
    try:
        listing = site.models()
        problem = wrong(listing, f"good.{model}")
        if user and not problem and (theirs := wrong(user.models("/api/models"), f"good.{model}")):
            problem = f"for a user: {theirs}"
    except requests.RequestException as error:
        return Outcome(case, None, type(error).__name__)
    return Outcome(case, listing, problem, "beside" in listing.ids)


def thrice(ask: Callable[[Case], Outcome], case: Case) -> Outcome:
    """Ask again where a promise is missed: the machine may be busy, but not three times."""
    for _ in range(2):
        outcome = ask(case)
        if not outcome.wrong and (outcome.beside or not case.keeps):
            return outcome
        wait_for_calm()
    return ask(case)


def wrong(listing: Listing, healthy: str, usual: float = 0) -> str:
    """Return what is wrong with a list, nothing if it keeps the promise.

    Args:
        listing: what was answered.
        healthy: the model that has to be on it.
        usual: seconds that such a list takes where every provider is well, on the machine of this minute.
    """
    if listing.status != 200:
        return f"status {listing.status}"
    if healthy not in listing.ids:
        return "the healthy model is lost"
    for model in listing.models:
        if not all(isinstance(model.get(key), str) and model[key] for key in ("id", "name")):
            return "an entry lacks what the front end needs"
    return "" if listing.seconds < PROMISE + usual else f"it took {listing.seconds:.1f} s"


def totals(outcomes: Iterable[Outcome]) -> Iterator[tuple[str, int, int]]:
    """Yield, for each group of faults, in how many cases the promise was kept, and of how many."""
    kept, of = Counter[str](), Counter[str]()
    for outcome in outcomes:
        of[outcome.case.group] += 1
        kept[outcome.case.group] += not outcome.wrong
    for group in of:
        yield group, kept[group], of[group]
