"""What scripts have that look at the connections of the model list from inside: a tree's own module, and ways to ask.

They run in an image's own Python. Open WebUI's settings stand in for themselves, as importing them takes seconds and
makes a database. Called with the backend's folder and a folder for data.
"""

import asyncio
import sys
import time
import types

import stand_ins

BACKEND, DATA = sys.argv[1:]
stand_ins.install(BACKEND, DATA, None if "patient" in DATA else 10)

from open_webui.utils import model_connections as m  # noqa: E402

m._relist = lambda state: asyncio.sleep(0)  # which needs the routers
REQUEST = types.SimpleNamespace(app=types.SimpleNamespace(state=types.SimpleNamespace()))
ANSWER = {"data": [{"id": "a", "name": "a"}]}
NEW = {"data": [{"id": "b", "name": "b"}]}


async def after(seconds, answer=ANSWER):
    await asyncio.sleep(seconds)
    return answer


async def hurried(work):
    """Await some work as the endpoint of a list that somebody looks at does."""

    async def answer(request):
        return await work

    endpoint = m.hurried(answer)
    return await endpoint(types.SimpleNamespace(scope={"endpoint": endpoint}))


def connection(name, *, on_disk=False):
    return m.connection("OpenAI", 0, "http://x", (name,), on_disk=on_disk)


async def listed(one, ask):
    """Return the models of a list, and what it took."""
    start = time.monotonic()
    return await one.models(REQUEST, ask, m.LIMIT), time.monotonic() - start


async def run(tests):
    """Run each function of a script that is a test."""
    assert not m._hurried.get()
    assert not m.went_on.get()
    for name, test in list(tests.items()):
        if name.startswith("test_"):
            await test()
            m._known.clear()
            m._late.clear()
            m._making.set(None)
            m._hurried.set(False)
