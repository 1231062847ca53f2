"""Measure how long a page takes to be ready, of stock and of this build, in turns, on loopback; writes out/pages.md.

A new chat is opened by a browser without a cache, in front of a provider that is well. `--short` is one round.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from contextlib import ExitStack

from playwright.sync_api import Page

import processes
from browsing import LONG, browser, load
from measuring import Sites, machine, trees
from webui_fork.core import settings
from webui_fork.core.files import temp_folder
from webui_fork.core.settings import CHECKOUT

ROUNDS = 15


def ready(page: Page, url: str) -> tuple[float, int]:
    """Return the seconds until somebody can type, and the bytes of scripts and styles that came for it."""
    page.context.clear_cookies()  # they are for every port of the host
    page.goto("about:blank")
    seconds = load(page, url, "#chat-input")
    entries = "performance.getEntriesByType('resource')"  # Resource Timing
    code = f"{entries}.filter(e => /\\.(js|css)$/.test(e.name)).map(e => e.decodedBodySize)"
    return seconds, sum(page.evaluate(code))


def measured(sites: Sites, page: Page, rounds: int) -> Iterator[str]:
    """Yield a row for the time and one for the bytes: stock, patched, ratio."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    # not only emptied: what a second try takes from a cache counts as no bytes
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    seen: dict[str, list[tuple[float, int]]] = {name: [] for name in sites}
    for site in sites.values():
        ready(page, site.url)  # what is slow once
    for _ in range(rounds):
        for name, site in sites.items():
            seen[name].append(ready(page, site.url))
    stock, ours = (statistics.median(seconds for seconds, _ in seen[name]) for name in ("stock", "patched"))
    yield f"| ready to type | {stock * 1000:.0f} ms | {ours * 1000:.0f} ms | {ours / stock:.2f} |"
    stock, ours = (statistics.median(size for _, size in seen[name]) for name in ("stock", "patched"))
    yield f"| scripts and styles | {stock / 1000:.0f} kB | {ours / 1000:.0f} kB | {ours / stock:.4f} |"


def main() -> None:
    """Measure, print the rows, and write them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true", help="one round")
    short = parser.parse_args().short
    real = settings.load()
    rows = [machine(), "", "| a new chat | stock | patched | ratio |", "|---|---|---|---|"]
    with ExitStack() as stack:
        laid = trees(real, stack.enter_context(temp_folder(real.cache / "trees", "bench-")))
        provider = stack.enter_context(processes.provider())
        sites = {name: stack.enter_context(processes.webui(tree)) for name, tree in laid.items()}
        page = stack.enter_context(browser(real))
        page.set_default_timeout(LONG)
        for site in sites.values():
            site.connect([provider.good])
        rows += measured(sites, page, 1 if short else ROUNDS)
    print("\n".join(rows))
    (CHECKOUT / "out").mkdir(exist_ok=True)
    (CHECKOUT / ("out/pages-short.md" if short else "out/pages.md")).write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
