"""An installed function's code can't stall or end the server for a list, and loses nothing by it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

import processes
from processes import Provider, Site
from seconds import fresh, thrice

INSIDE = Path(__file__).parents[1] / "assets/functions_loaded_again.py"
PIPES = "class Pipe:\n    def pipes(self):\n        {}\n"
ASYNC = "import asyncio\nclass Pipe:\n    async def pipes(self):\n        {}\n"
FUNCTION = "INSERT INTO function (id, user_id, name, type, content, meta, valves, is_active, is_global, updated_at, \
created_at) VALUES (?, 'x', ?, 'pipe', ?, '{}', NULL, 1, 0, 0, 0)"

# each lists function.a where it works
WORKING = {
    "list": "class Pipe:\n    pipes = [{'id': 'a', 'name': 'A'}]\n",
    "generator": PIPES.format("yield {'id': 'a', 'name': 'A'}"),
    "tuple": PIPES.format("return ({'id': 'a', 'name': 'A'},)"),
    "async": ASYNC.format("await asyncio.sleep(0.1); return [{'id': 'a', 'name': 'A'}]"),
    "number": PIPES.format("return [{'id': 1, 'name': 'A'}, {'id': 'a', 'name': 'A'}]"),
    "wants-a-loop": PIPES.format("import asyncio; asyncio.get_running_loop(); return [{'id': 'a', 'name': 'A'}]"),
    "wants-a-task": PIPES.format(
        "import asyncio; asyncio.create_task(asyncio.sleep(0)); return [{'id': 'a', 'name': 'A'}]"
    ),
    "wants-its-thread": "import sqlite3\ndb = sqlite3.connect(':memory:')\n"
    + PIPES.format("db.execute('select 1'); return [{'id': 'a', 'name': 'A'}]"),
    "wants-the-main-thread": PIPES.format(
        "import signal; signal.signal(signal.SIGUSR1, signal.SIG_IGN); return [{'id': 'a', 'name': 'A'}]"
    ),
    "one-malformed": PIPES.format("return [None, {'name': 'x'}, {'id': '', 'name': ''}, {'id': 'a', 'name': 'A'}]"),
    "with-a-session": "import aiohttp\nclass Pipe:\n    session = None\n    async def pipes(self):\n"
    "        self.session = self.session or aiohttp.ClientSession()\n"
    "        return [{'id': 'a', 'name': 'A'}]\n"
    "    async def pipe(self, body):\n"
    "        async with self.session.get(PROVIDER) as answer:\n            return str(answer.status)\n",
}


@pytest.fixture(autouse=True)
def connected(webui: Site, provider: Provider) -> None:
    webui.sql("DELETE FROM function")
    webui.connect([provider.good])


@pytest.mark.parametrize("kind", WORKING)
def test_what_works_in_stock_is_listed(webui: Site, provider: Provider, kind: str) -> None:
    name = kind.replace("-", "_")
    webui.function(name, WORKING[kind].replace("PROVIDER", repr(provider.good + "/models")))
    for _ in range(3):
        listing = webui.models()
        assert f"{name}.a" in listing.ids
        assert (listing.get(f"{name}.a") or {})["name"] == "A"
        assert "beside" in listing.ids
    if kind == "with-a-session":
        assert "200" in webui.chat(f"{name}.a").text
        assert f"{name}.a" in webui.models().ids


def test_what_a_manifold_adds(webui: Site) -> None:
    body = PIPES.format("return [{'id': 'a', 'name': 'A'}]") + "    name = 'My '\n    class UserValves: pass\n"
    webui.function("manifold", body)
    model = webui.models().get("manifold.a") or {}
    assert model["name"] == "My A"
    assert model["has_user_valves"] is True
    webui.function("single", "class Pipe:\n    def pipe(self, body): return 'x'\n")
    assert (webui.models().get("single") or {})["name"] == "single"


@pytest.mark.parametrize("body", ["import time; time.sleep(3)", "await asyncio.sleep(3)"], ids=["sync", "async"])
@thrice
def test_slow_functions_are_asked_at_once_and_show_up_when_they_have_answered(webui: Site, body: str) -> None:
    kind = ASYNC if "await" in body else PIPES
    name = fresh("slow").replace("-", "_")
    for number in range(3):
        webui.function(f"{name}{number}", kind.format(f"{body}; return [{{'id': 'late', 'name': 'Late'}}]"))
    listing = webui.models()
    assert "beside" in listing.ids
    assert listing.seconds < 2.2
    time.sleep(2.5)
    late = {f"{name}{number}.late" for number in range(3)}
    assert late <= set(webui.models().ids)
    assert webui.call("GET", "/health", timeout=1).ok


def test_one_that_fails_keeps_the_models_it_had(webui: Site, tmp_path: Path) -> None:
    flag = tmp_path / "fails"
    body = PIPES.format(f"import os; assert not os.path.exists({str(flag)!r}); return [{{'id': 'a', 'name': 'A'}}]")
    webui.function("at_times", body)
    assert "at_times.a" in webui.models().ids
    flag.touch()
    assert "at_times.a" in webui.models().ids
    flag.unlink()
    assert "at_times.a" in webui.models().ids
    webui.sql("UPDATE function SET content = ? WHERE id = 'at_times'", PIPES.format("return []"))
    assert "at_times.a" not in webui.models().ids  # it is another function now


def test_two_functions_do_not_share_an_answer(webui: Site) -> None:
    for name in ("one", "two"):
        webui.function(name, PIPES.format("return [{'id': 'a', 'name': self.__module__[:12]}]"))
    assert {"one.a", "two.a"} <= set(webui.models().ids)


@pytest.mark.parametrize(
    "body",
    [
        PIPES.format("import sys; sys.exit(1)"),
        ASYNC.format("import sys; sys.exit(1)"),
        ASYNC.format("raise KeyboardInterrupt"),
        PIPES.format("raise StopIteration"),
        ASYNC.format("raise asyncio.CancelledError"),
    ],
)
@thrice
def test_a_function_that_exits_does_not_end_the_server(webui: Site, body: str) -> None:
    name = fresh("exits").replace("-", "_")
    webui.function(name, body)
    for _ in range(2):
        listing = webui.models()
        assert listing.status == 200
        assert "beside" in listing.ids
        assert listing.seconds < 2


def test_what_fails_is_said_and_asked_once_a_list(webui: Site, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    webui.function("counts", PIPES.format(f"open({str(marks)!r}, 'a').write('x'); raise ValueError('no loop')"))
    webui.function("leaves", ASYNC.format("raise SystemExit('left')"))
    webui.models()
    assert marks.read_text() == "x"  # in a thread, and not once more on the loop
    for name, why in (("counts", "no loop"), ("leaves", "SystemExit('left')")):
        assert re.search(rf"functions connection {name} \(pipes\(\)\) fails: .*{re.escape(why)}", webui.log())


def test_what_functions_list_is_not_on_disk(tree: Path) -> None:
    with processes.webui(tree) as site:
        site.function("lists", PIPES.format("return [{'id': 'a', 'name': 'A'}]"))
        assert "lists.a" in site.models().ids
        time.sleep(1)
        assert not list((site.data / "model_lists").glob("*"))  # it has a module's own values in it


def test_many_models_of_a_function_are_cut_off(webui: Site) -> None:
    webui.function(
        "many", PIPES.format("return ({'id': str(n), 'name': 'x'} for n in __import__('itertools').count())")
    )
    ids = webui.models().ids
    assert {"many.0", "many.1999"} <= set(ids)
    assert "many.2000" not in ids


LOADS = "import pathlib\nwith open({path!r}, 'a') as file: file.write('x')\n"
FAILS = {
    "outage": ("import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9/')\n", True),
    "wrapped-outage": ("try:\n    1 / 0\nexcept Exception as e:\n    raise RuntimeError('x') from OSError(e)\n", True),
    "outage-in-context": ("try:\n    open('/nowhere')\nexcept OSError:\n    raise RuntimeError('x')\n", True),
    "package": ("import a_package_that_is_not_here\n", True),
    "pip": ("import subprocess\nsubprocess.check_call(['false'])\n", True),
    "bug": ("1 / 0\n", False),
    "syntax": ("def\n", False),
    "exit": ("import sys\nsys.exit(3)\n", False),
    "interrupt": ("raise KeyboardInterrupt\n", False),
}


@pytest.mark.parametrize("kind", FAILS)
def test_a_function_that_does_not_load(webui: Site, tmp_path: Path, kind: str) -> None:
    code, stays_active = FAILS[kind]
    marks = tmp_path / "loads"
    body = (LOADS.format(path=str(marks)) if kind != "syntax" else "") + code + "class Pipe: pass\n"
    webui.sql(FUNCTION, "broken", "Broken", body)
    webui.sql(FUNCTION, "sound", "Sound", "class Pipe: pass\n")
    for _ in range(4):
        listing = webui.models()
        assert listing.status == 200
        assert "beside" in listing.ids
        assert "broken" not in listing.ids
        assert "sound" in listing.ids
    assert bool(webui.call("GET", "/api/v1/functions/id/broken").json()["is_active"]) is stays_active
    if kind == "exit":
        assert "SystemExit(3)" in webui.log()
    if kind != "syntax":
        assert marks.read_text() == "x"  # once, as in stock: not at every list
    webui.sql("UPDATE function SET content = 'class Pipe: pass', is_active = 1 WHERE id = 'broken'")
    assert "broken" in webui.models().ids


def test_a_filter_that_does_not_load_is_switched_off_as_in_stock(webui: Site, provider: Provider) -> None:
    """It would fail every chat; whoever mends it has it at once."""
    webui.connect([provider.script("chats")])
    sound = "class Filter:\n    def inlet(self, body): return body\n"
    webui.function("filter", sound)
    webui.call("POST", "/api/v1/functions/id/filter/toggle/global").raise_for_status()
    webui.models()
    assert webui.chat("beside").status_code == 200
    for _ in range(2):
        broken = f"import a_package_that_is_not_here\n{sound}"
        webui.sql("UPDATE function SET content = ?, is_active = 1 WHERE id = 'filter'", broken)
        webui.models()
        assert webui.chat("beside").status_code == 200
        assert not webui.call("GET", "/api/v1/functions/id/filter").json()["is_active"]
    webui.sql("DELETE FROM function WHERE id = 'filter'")


VALVES = """from pydantic import BaseModel
class Pipe:
    class Valves(BaseModel):
        account: str = 'first'
    def __init__(self): self.valves = self.Valves()
    def pipes(self):
        if self.valves.account == 'refused': raise ValueError
        return [{'id': self.valves.account, 'name': 'x'}]
"""


def test_what_valves_change_is_listed_at_once(webui: Site) -> None:
    webui.function("valved", VALVES)
    for account in ("first", "second", "refused"):
        values = {"account": account}
        webui.call("POST", "/api/v1/functions/id/valved/valves/update", json=values).raise_for_status()
        ids = [name for name in webui.models().ids if name.startswith("valved")]
        assert ids == ([] if account == "refused" else [f"valved.{account}"])


def test_who_switches_a_function_off_and_on_has_it_loaded(webui: Site, tmp_path: Path) -> None:
    flag = tmp_path / "there"
    webui.sql(FUNCTION, "mended", "Mended", f"open({str(flag)!r})\nclass Pipe: pass\n")
    assert "mended" not in webui.models().ids
    flag.touch()
    assert "mended" not in webui.models().ids  # that is not seen
    for _ in range(2):
        webui.call("POST", "/api/v1/functions/id/mended/toggle").raise_for_status()
    assert "mended" in webui.models().ids


THREAD = PIPES.format("import threading; return [{'id': 'a', 'name': threading.current_thread().name}]")


def test_a_sync_function_is_in_a_thread_unless_switched_off(tree: Path, webui: Site, provider: Provider) -> None:
    webui.function("thread", THREAD)
    assert (webui.models().get("thread.a") or {})["name"] != "MainThread"
    with processes.site(tree, openai=[provider.good], env={"MODEL_LIST_FUNCTION_THREADS": "0"}) as site:
        site.function("thread", THREAD)
        assert (site.models().get("thread.a") or {})["name"] == "MainThread"


def test_it_is_tried_again_after_a_minute_and_then_after_two(tree: Path, provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(FASTER)
    flag = tmp_path / "there"
    with processes.site(tree, openai=[provider.good], before=tmp_path) as site:
        site.sql(FUNCTION, "later", "Later", f"open({str(flag)!r})\nclass Pipe: pass\n")
        assert "later" not in site.models().ids
        time.sleep(3.5)
        assert "later" not in site.models().ids  # it was tried
        flag.touch()
        time.sleep(3.5)
        assert "later" not in site.models().ids
        time.sleep(3)
        assert "later" in site.models().ids


# a clock that runs twenty times as fast
FASTER = "import time\nstart, original = time.monotonic(), time.monotonic\n\
time.monotonic = lambda: start + 20 * (original() - start)\n"


def test_a_list_does_not_wait_where_it_is_tried_again(tree: Path, tmp_path: Path) -> None:
    printed, _ = processes.python(tree, INSIDE, tree / "backend", tmp_path)
    assert printed == "fine\n"
