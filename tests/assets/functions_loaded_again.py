"""A list beside a function that is loaded: runs in an image's own Python, on a tree's own module."""

import asyncio
import sys
import time
import types

import stand_ins

FUNCTIONS = {"open_webui.models": {"__path__": []}, "open_webui.models.functions": {"Functions": None}}
stand_ins.install(*sys.argv[1:], **FUNCTIONS)

from open_webui.utils import function_lists as m  # noqa: E402


async def main():
    function = types.SimpleNamespace(id="f", content="c")

    async def load(request, name):
        await asyncio.sleep(2)
        return name

    assert await m._listed(None, function, load) == (function, "f")  # as long as in stock
    m._outages["f", "c"] = m.Outage(OSError(), 60, 0, None)
    start = time.monotonic()
    assert await m._listed(None, function, load) is None
    assert time.monotonic() - start < 1.9


asyncio.run(main())
print("fine")
