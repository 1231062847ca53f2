"""The promise: whatever a second provider does, the vLLM's model is listed within 2 s. Stock is the control."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import faults
from containers import Connection, Site, fault
from faults import CASES, Case, Outcome
from integration.conftest import Street
from webui_fork.settings import CHECKOUT

STOCK_FAILS = set((Path(__file__).parents[1] / "assets/stock-fails.txt").read_text().split())


@pytest.fixture(scope="module")
def outcomes(street: Street, ours: Site, control: Site) -> dict[tuple[str, str], Outcome]:
    """Ask both sites for every case; stock mostly waits, so they take turns of the machine."""

    def run(name: str, site: Site) -> list[tuple[tuple[str, str], Outcome]]:
        return [((name, case.id), faults.ask(site, case, "http://vllm:8000/v1", street.model)) for case in CASES]

    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(run, name, site) for name, site in (("patched", ours), ("stock", control))]
        found = dict(pair for done in runs for pair in done.result())
    _write(found)
    return found


def _write(found: dict[tuple[str, str], Outcome]) -> None:
    """Keep the results: out/faults.json for programs, out/faults.md for people."""
    by = {site: [o for (name, _), o in found.items() if name == site] for site in ("stock", "patched")}
    rows = ["| faults | cases | stock keeps the promise | patched |", "|---|---|---|---|"]
    for (group, stock, of), (_, patched, _) in zip(*(faults.totals(by[site]) for site in by), strict=True):
        rows.append(f"| {group} | {of} | {stock} | {patched} |")
    kept = [sum(not outcome.wrong for outcome in outcomes) for outcomes in by.values()]
    rows.append(f"| **all** | {len(CASES)} | {kept[0]} | {kept[1]} |")
    (CHECKOUT / "out").mkdir(exist_ok=True)
    (CHECKOUT / "out/faults.md").write_text("\n".join(rows) + "\n")
    values = [
        {"site": site, "case": o.case.id, "wrong": o.wrong, "seconds": o.listing and round(o.listing.seconds, 3)}
        for site, outcomes in by.items()
        for o in outcomes
    ]
    (CHECKOUT / "out/faults.json").write_text(json.dumps(values, indent=1) + "\n")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_patched_image_keeps_the_promise(outcomes: dict[tuple[str, str], Outcome], case: Case) -> None:
    outcome = outcomes["patched", case.id]
    assert not outcome.wrong, outcome.listing


@pytest.mark.parametrize("case", [case for case in CASES if case.id in STOCK_FAILS], ids=lambda case: case.id)
def test_stock_fails_where_we_say_it_fails(outcomes: dict[tuple[str, str], Outcome], case: Case) -> None:
    assert outcomes["stock", case.id].wrong


def test_several_faults_at_once_cost_no_more(street: Street, ours: Site) -> None:
    names = ["silent", "slow", "string", "bomb", "hang-in-body", "id-surrogate", "reset", "status-503", "many"]
    openai: list[Connection] = [("http://vllm:8000/v1", {"prefix_id": "good"}), *(fault(name) for name in names)]
    ours.connect(openai, [fault(name, "ollama") for name in names])
    for _ in range(3):
        assert not faults.wrong(ours.models(), f"good.{street.model}")
