"""What stock does right, the rows about functions, things in the middle of a list, and settings of the server."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

from no_harm import FRESH, LISTED, PIPES, SAME, Case, row

# functions


def install(case: Case, name: str, body: str) -> str:
    """Install a function, as the only one."""
    case.site.sql("DELETE FROM function")
    case.site.function(name, body)
    return name


FUNCTIONS = {
    "a_session_kept_for_chats": "import aiohttp\nclass Pipe:\n    s = None\n    async def pipes(self):\n"
    "        self.s = self.s or aiohttp.ClientSession()\n        return [{'id': 'a', 'name': 'A'}]\n"
    "    async def pipe(self, body):\n        async with self.s.get('PROVIDER') as r: return str(r.status)\n",
    "a_task_of_its_own": PIPES.format("import asyncio; asyncio.get_running_loop(); return [{'id': 'a', 'name': 'A'}]")
    + "    def pipe(self, body): return 'x'\n",
    "a_database_of_its_own": "import sqlite3\ndb = sqlite3.connect(':memory:')\n"
    + PIPES.format("db.execute('select 1'); return [{'id': 'a', 'name': 'A'}]")
    + "    def pipe(self, body): return 'x'\n",
    "an_emitter": "class Pipe:\n    pipes = [{'id': 'a', 'name': 'A'}]\n"
    "    async def pipe(self, body, __event_emitter__=None, __user__=None):\n"
    "        await __event_emitter__({'type': 'status', 'data': {'description': 'd', 'done': True}})\n"
    "        return __user__['role']\n",
    "a_generator": PIPES.format("yield {'id': 'a', 'name': 'A'}") + "    def pipe(self, body): yield 'x'\n",
}


def function_works(name: str, body: str) -> Callable[[Case], Any]:
    def run(case: Case) -> Any:
        case.site.connect([case.provider.good])
        model = install(case, name, body.replace("PROVIDER", case.provider.good + "/models")) + ".a"
        return [model in case.ids(), case.answers(model, 2), model in case.ids(), case.answers(model, 1)]

    run.__name__ = f"a_function_with_{name}"
    return run


for _name, _body in FUNCTIONS.items():
    row("more")(function_works(_name, _body))


@row("less")
def how_often_a_module_is_loaded(case: Case) -> int:
    marks = case.site.data / "marks"
    body = f"with open({str(marks)!r}, 'a') as f: f.write('x')\nclass Pipe: pass\n"
    install(case, "marks", body)
    before = len(marks.read_text())
    for _ in range(5):
        case.ids()
    return len(marks.read_text()) - before


@row("less")
def how_often_a_function_that_fails_is_loaded(case: Case) -> int:
    marks = case.site.data / "failing"
    name = install(case, "failing", "class Pipe: pass\n")
    body = f"with open({str(marks)!r}, 'a') as f: f.write('x')\nraise ValueError\n"
    case.site.sql("UPDATE function SET content = ? WHERE id = ?", body, name)
    for _ in range(5):
        case.ids()
    return len(marks.read_text())


@row()
def a_function_that_changes_or_goes(case: Case) -> list[bool]:
    name = install(case, "changes", PIPES.format("return [{'id': 'a', 'name': 'A'}]"))
    seen = [f"{name}.a" in case.ids()]
    case.site.sql(
        "UPDATE function SET content = ? WHERE id = ?", PIPES.format("return [{'id': 'b', 'name': 'B'}]"), name
    )
    seen += [f"{name}.a" in case.ids(), f"{name}.b" in case.ids()]
    case.site.call("POST", f"/api/v1/functions/id/{name}/toggle")
    return [*seen, f"{name}.b" in case.ids()]


@row()
def actions_and_filters(case: Case) -> list[Any]:
    action = install(case, "action", "class Action:\n    actions = [{'id': 'x', 'name': 'X'}]\n")
    toggle = "toggle"
    case.site.function(toggle, "class Filter:\n    toggle = True\n    icon = 'i'\n")
    case.site.sql("UPDATE function SET is_global = 1 WHERE id IN (?, ?)", action, toggle)
    case.site.connect([case.url("acts")])
    model = case.site.models().get("beside") or {}
    case.site.sql("DELETE FROM function")
    return [[item["name"] for item in model[key]] for key in ("actions", "filters")]


# things in the middle


@row("more")
def chats_with_a_filter_whose_package_is_missing(case: Case) -> int:
    """It costs the first of them, or none; then it is switched off."""
    case.site.connect([(case.provider.script(case.name("chats")), {"model_ids": ["beside"]})])
    name = install(case, "filter", "class Filter:\n    def inlet(self, body): return body\n")
    case.site.call("POST", f"/api/v1/functions/id/{name}/toggle/global").raise_for_status()
    case.ids()
    case.site.sql("UPDATE function SET content = 'import no_such_package' WHERE id = ?", name)
    case.ids()
    return case.answers("beside")


@row()
def an_edit_in_the_middle_of_a_list(case: Case) -> list[Any]:
    case.site.connect([case.url("before", wait=1)])
    with ThreadPoolExecutor(1) as pool:
        listing = pool.submit(case.site.models)
        time.sleep(0.3)
        case.site.connect([case.url("after", body={"data": [{"id": "after"}]})])
        status = listing.result().status
    return [status, case.ids()]


@row()
def a_client_that_goes_away(case: Case) -> list[Any]:
    case.site.connect([case.url("goes", wait=0.6)])
    with contextlib.suppress(requests.RequestException):
        case.site.call("GET", FRESH, timeout=0.2)
    return case.ids()


@row("less", slack=8)
def open_files_after_two_hundred_lists(case: Case) -> int:
    case.site.connect([case.provider.good, case.url("refused", hang_up=True)])
    files = Path(f"/proc/{case.site.child.pid}/fd")
    for _ in range(20):
        case.site.models()
    before = len(list(files.iterdir()))
    for _ in range(200):
        case.site.models()
    return len(list(files.iterdir())) - before


@row("less", slack=25)
def memory_after_two_hundred_lists(case: Case) -> float:
    rich = {"data": [{"id": f"m{n}", "x": "y" * 300} for n in range(350)]}
    case.site.connect([case.provider.script(case.name("rich"), body=rich)])
    for _ in range(30):
        case.site.models()
    before = case.site.memory()
    for _ in range(200):
        case.site.models()
    return case.site.memory() - before


# settings of the server


@row("more", MODELS_CACHE_TTL="300")
def a_list_that_is_cached_is_whole(case: Case) -> int:
    late = case.url("late", body={"data": [{"id": "late"}]}, wait=1.2)
    later = case.url("later", body={"data": [{"id": "later"}]}, wait=2.5)
    case.site.connect([case.provider.good, late, later])
    case.ids(LISTED)
    time.sleep(3)
    return len({"late", "later"} & set(case.ids(LISTED)))


def cached(case: Case, **script: Any) -> int:
    """Return the requests of five lists while base models are cached and a second connection misbehaves."""
    with case.base_models_cached():
        case.site.connect([case.url("counted"), case.url("other", **script)])
        case.ids(LISTED)
        time.sleep(12 if script.get("wait", 0) > 10 else 3)
        case.ids(LISTED)
        before = case.asked("counted") + case.asked("other")
        for _ in range(5):
            time.sleep(1.1)
            case.ids(LISTED)
    return case.asked("counted") + case.asked("other") - before


@row("less")
def requests_while_base_models_are_cached_and_one_is_slow(case: Case) -> int:
    return cached(case, wait=1.2)


@row("less")
def requests_while_base_models_are_cached_and_one_is_dead(case: Case) -> int:
    return cached(case, hang_up=True)


@row("less")
def requests_while_base_models_are_cached_and_one_is_silent(case: Case) -> int:
    return cached(case, wait=30)


@row("more")
def a_cached_list_after_one_was_slow_once(case: Case) -> int:
    with case.base_models_cached():
        case.site.connect([case.url("a", body=SAME), case.url("b", body=SAME)])
        case.ids()
        case.url("a", body=SAME, wait=1.2)
        case.ids()
        case.url("a", body=SAME)
        time.sleep(5)
        case.ids(LISTED)
        case.url("b", hang_up=True)
        return case.answers("same")


@row(ENABLE_FORWARD_USER_INFO_HEADERS="True", auth=True)
def every_user_is_named_to_the_provider(case: Case) -> list[bool]:
    case.site.connect([case.url("names")])
    case.ids()
    other = case.site.signed_up(f"other{case.tree}", "admin")
    other.models()
    mine = [request for request in case.provider.asked() if f"/{case.name('names')}/" in request]
    return [any(f"{name}@example.org" in request for request in mine) for name in ("admin", f"other{case.tree}")]


@row(ENABLE_FORWARD_USER_INFO_HEADERS="True", auth=True)
def what_a_user_without_rights_sees(case: Case) -> list[Any]:
    case.site.connect([case.url("shared", body={"data": [{"id": "open"}, {"id": "closed"}]})])
    case.ids()
    grant = {"principal_type": "user", "principal_id": "*", "permission": "read"}
    form = {"id": "open", "name": "Open", "meta": {}, "params": {}, "access_grants": [grant]}
    case.site.call("POST", "/api/v1/models/create", json=form)
    user = case.site.signed_up(f"user{case.tree}")
    return [sorted(user.models().ids), user.chat("closed").status_code, user.chat("open").status_code]


@row(ENABLE_FORWARD_USER_INFO_HEADERS="True", auth=True)
def the_default_models_of_a_group(case: Case) -> Any:
    case.site.connect([case.url("defaults", body={"data": [{"id": "first"}, {"id": "second"}]})])
    case.site.join_group(default_models=["second", "gone"])
    return case.site.call("GET", "/api/config").json()["default_models"]


COUNT = itertools.count()


@row("less", slack=30, ENABLE_FORWARD_USER_INFO_HEADERS="True", auth=True)
def memory_of_forty_users(case: Case) -> float:
    rich = {"data": [{"id": f"m{n}", "x": "y" * 300} for n in range(350)]}
    case.site.connect([case.provider.script(case.name("rich"), body=rich)])
    users = [case.site.signed_up(f"u{next(COUNT)}x{case.tree}", "admin") for _ in range(40)]
    case.site.models()
    before = case.site.memory()
    for user in users:
        user.models()
    return case.site.memory() - before


@row(HTTP_PROXY="proxy", NO_PROXY="")
def a_redirect_to_a_private_address_is_the_proxys(case: Case) -> list[bool]:
    target = f"http://169.254.169.254/{case.tree}"  # both trees have the one proxy
    case.site.connect([case.url("leads", status="302 Found", body="", headers={"Location": target})])
    case.ids()
    case.site.connect([f"{target}-named/v1"])
    case.ids()
    return [
        any(f"GET {where} " in one for one in case.provider.asked()) for where in (target, f"{target}-named/v1/models")
    ]


@row(ENABLE_PERSISTENT_CONFIG="False", OPENAI_API_BASE_URLS="provider", OPENAI_API_KEYS="k", ENABLE_OPENAI_API="True")
def settings_that_are_not_kept(case: Case) -> list[Any]:
    return case.ids()
