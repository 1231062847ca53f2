"""An installed function's code can't stall, end or change the server for a list."""

from __future__ import annotations

import time

import pytest

from containers import GOOD, Site

PIPES = "class Pipe:\n    def pipes(self):\n        {}\n"
SLOW = PIPES.format("import time; time.sleep(3); return [{'id': 'late', 'name': 'Late'}]")
NAP = "import asyncio, time\nclass Pipe:\n    async def pipes(self):\n        time.sleep(20); return []\n"
EXIT = PIPES.format("import sys; sys.exit(1)")


@pytest.fixture(autouse=True)
def connected(webui: Site) -> None:
    webui.sql("DELETE FROM function")
    webui.connect([GOOD])


@pytest.mark.parametrize("body", [SLOW, NAP], ids=["slow", "blocks-the-loop"])
def test_a_slow_function_does_not_stall_the_list(webui: Site, body: str) -> None:
    webui.function("slow", body)
    found = webui.models()
    assert "beside" in found.ids
    assert found.seconds < 2


def test_several_slow_functions_are_asked_at_once(webui: Site) -> None:
    for number in range(4):
        webui.function(f"slow{number}", SLOW.replace("sleep(3)", "sleep(0.6)"))
    assert webui.models().seconds < 2


def test_a_name_that_does_not_encode_costs_itself(webui: Site) -> None:
    webui.function("odd", PIPES.format("return [{'id': 'a', 'name': 'A'}]") + "    name = '\\ud83d'\n")
    assert "beside" in webui.models().ids


def test_it_shows_up_when_it_has_answered(webui: Site) -> None:
    webui.function("slow", SLOW)
    assert webui.models().seconds < 2
    time.sleep(4)
    assert "slow.late" in webui.models().ids


def test_an_outage_does_not_deactivate_a_function(webui: Site) -> None:
    webui.function("far", "class Pipe:\n    def pipe(self): pass\n")
    body = "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9/')\nclass Pipe:\n    pass\n"
    webui.sql("UPDATE function SET content = ?", body)
    webui.models()
    assert webui.call("GET", "/api/v1/functions/id/far").json()["is_active"]


def test_a_function_that_exits_does_not_end_the_server(webui: Site) -> None:
    webui.function("exits", EXIT)
    assert "beside" in webui.models().ids
    assert webui.models().status == 200
