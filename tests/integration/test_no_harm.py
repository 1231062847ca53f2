"""First, do no harm: what stock does right, ours does as well, row by row in the same run; writes out/no-harm.md."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import no_harm_chats
import no_harm_gone
import no_harm_lists
import no_harm_redis
import no_harm_server
import outages
import processes
from no_harm import ROWS, Case, Row
from processes import Provider
from webui_fork.core.files import temp_folder
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
from webui_fork.oci import unpack

BROKEN = "broke"

pytestmark = pytest.mark.minutes(5)
Results = dict[str, tuple[Any, Any]]


@pytest.fixture(scope="module")
def trees(real: Settings, inputs: image_inputs.Inputs, forks: str) -> Iterator[dict[str, Path]]:
    with temp_folder(real.cache / "trees", "no-harm-") as work:
        folders = {}
        for name, patches in (("stock", ()), ("ours", inputs.patches)):
            built = pipeline.build(real, replace(inputs, patches=patches), Terminal(), locked=True)
            folders[name] = unpack.tree(built.image, real.cache, work / name)
        yield folders


def run(tree: Path, name: str, rows: list[Row], provider: Provider) -> dict[str, Any]:
    """Run rows of one environment on one tree, one after the other."""
    with ExitStack() as stack:
        env = dict(rows[0].env)
        line = stack.enter_context(outages.redis()) if env.get("REDIS_URL") == "line" else None
        sentinel = stack.enter_context(outages.sentinel()) if env.get("REDIS_URL") == "sentinel" else None
        if line:
            env["REDIS_URL"] = f"redis://{line.host}/0"
        if sentinel:
            env |= {"REDIS_URL": "redis://mymaster/0", "REDIS_SENTINEL_HOSTS": "127.0.0.1"}
            env["REDIS_SENTINEL_PORT"] = str(sentinel.port)
        two = env.pop("WORKERS", None) == "2"
        if "HTTP_PROXY" in env:
            env["HTTP_PROXY"] = f"http://{provider.host}"
        if "OPENAI_API_BASE_URLS" in env:
            env["OPENAI_API_BASE_URLS"] = provider.good
        auth = rows[0].auth
        site, other = stack.enter_context(processes.webui(tree, env=env, auth=auth)), None
        if two:
            other = stack.enter_context(processes.webui(tree, env=env, auth=auth, data=site.data, signed=False))
            other = replace(other, token=site.token)
        fail_over = sentinel.fail_over if sentinel else None
        case = Case(site, provider, name, "", redis=line, fail_over=fail_over, other=other)
        values: dict[str, Any] = {}
        for row in rows:
            try:
                values[row.name] = row.run(replace(case, row=row.name))
            except Exception as error:  # noqa: BLE001  # stock does not get through every row
                values[row.name] = f"{BROKEN}: {error!r}"[:300]
        return values


@pytest.fixture(scope="module")
def results(trees: dict[str, Path]) -> Results:
    groups = [list(rows) for _, rows in itertools.groupby(sorted(ROWS, key=_kind), key=_kind)]
    results: Results = {}
    with processes.provider() as provider, ThreadPoolExecutor(2) as pool:
        for rows in groups:
            both = [pool.submit(run, trees[name], name, rows, provider) for name in ("stock", "ours")]
            stock, ours = (one.result() for one in both)
            results |= {row.name: (stock[row.name], ours[row.name]) for row in rows}
    _write(results)
    return results


def _kind(row: Row) -> str:
    return repr((row.auth, row.env))


def _write(results: Results) -> None:
    (CHECKOUT / "out").mkdir(exist_ok=True)
    lines = ["| what stock does right | stock | ours | |", "|---|---|---|---|"]
    for row in ROWS:
        cells = [json.dumps(value, default=str)[:60].replace("|", "\\|") for value in results[row.name]]
        held = "holds" if row.holds(*results[row.name]) else "**worse**"
        lines.append(f"| {row.name.replace('_', ' ')} | {cells[0]} | {cells[1]} | {held} |")
    (CHECKOUT / "out/no-harm.md").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_ours_does_it_as_well_as_stock(results: Results, row: Row) -> None:
    stock, ours = results[row.name]
    assert not str(ours).startswith(BROKEN), ours
    assert str(stock).startswith(BROKEN) or row.holds(stock, ours), f"stock {stock!r}, ours {ours!r}"


def test_there_are_enough_rows() -> None:
    assert len(ROWS) >= 40
    lists = no_harm_lists.the_other_doors_to_a_chat_wait_too
    chats, redis = no_harm_chats.who_answers_of_two, no_harm_redis.two_workers_fail_over
    gone = no_harm_gone.an_arena_draws_who_is_there
    for scenario in (lists, no_harm_server.actions_and_filters, redis, chats, gone):
        assert any(row.run is scenario for row in ROWS)  # the rows of those modules count, too
    assert len({row.name for row in ROWS}) == len(ROWS)
