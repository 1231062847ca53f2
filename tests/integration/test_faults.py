"""The promise: whatever a second provider does, the vLLM's model is listed within 2 s. Stock is the control."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

import faults
from containers import Site, webui
from faults import CASES, Case, Outcome
from integration.conftest import VLLM, Street
from seconds import fresh, thrice
from sites import Connection, fault
from webui_fork.core.settings import CHECKOUT

STOCK_FAILS = set((Path(__file__).parents[1] / "assets/stock-fails.txt").read_text().split())

pytestmark = pytest.mark.minutes(4)


@pytest.fixture(scope="module")
def outcomes(client: DockerClient, stock: str, patched: str, street: Street) -> dict[tuple[str, str], Outcome]:
    """Ask both for every case, of stock a container for each slot: it mostly waits."""

    def run(name: str, site: Site, slots: str, user: Site | None = None) -> list[tuple[tuple[str, str], Outcome]]:
        ask = partial(faults.ask, site, healthy=VLLM, model=street.model, user=user)
        if name == "patched":
            ask = partial(faults.thrice, ask)
        return [((name, case.id), ask(case)) for case in CASES if case.slot in slots]

    with (
        webui(client, patched, street.network, env={"BYPASS_MODEL_ACCESS_CONTROL": "True"}, auth=True) as ours,
        webui(client, stock, street.network) as one,
        webui(client, stock, street.network) as other,
        ThreadPoolExecutor(3) as pool,
    ):
        sites: list[Any] = [("patched", ours, "openai ollama", ours.signed_up("user"))]
        sites += [("stock", one, "openai"), ("stock", other, "ollama")]
        runs = [pool.submit(run, *site) for site in sites]
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


@pytest.mark.parametrize("case", [case for case in CASES if case.keeps], ids=lambda case: case.id)
def test_a_provider_keeps_its_good_entries(outcomes: dict[tuple[str, str], Outcome], case: Case) -> None:
    assert outcomes["patched", case.id].beside


@pytest.mark.parametrize("case", [case for case in CASES if case.id in STOCK_FAILS], ids=lambda case: case.id)
def test_stock_fails_where_we_say_it_fails(outcomes: dict[tuple[str, str], Outcome], case: Case) -> None:
    assert outcomes["stock", case.id].wrong


@thrice
def test_several_faults_at_once_cost_no_more(street: Street, ours: Site) -> None:
    names = ["silent", "slow", "string", "bomb", "hang-in-body", "id-surrogate", "reset", "status-503", "many"]
    _connect(ours, ["fine"] * len(names))
    usual = ours.models().seconds
    _connect(ours, names)
    for _ in range(3):
        assert not faults.wrong(ours.models(), f"good.{street.model}", usual)


def _connect(site: Site, names: list[str]) -> None:
    key = fresh("key")  # connections that nothing is remembered of
    openai: list[Connection] = [(VLLM, {"prefix_id": "good"}), *(fault(name) for name in names)]
    site.connect(openai, [(fault(name, "ollama"), {"key": key}) for name in names], keys=[key] * len(openai))
