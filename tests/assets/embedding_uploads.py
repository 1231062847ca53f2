"""Batches of an upload at the same time, looked at from inside: runs in an image's own Python, on a tree's own module.

The table of files stands in for itself: it takes its time, so that what is written at once is in each other's way.
Called with the backend's folder.
"""

import asyncio
import collections
import sys
import types

import aiohttp

BACKEND = sys.argv[1]
sys.path.insert(0, BACKEND)


class Files:
    """Reads all of a file's data, waits, and writes it; a note takes longer than a status."""

    data = {}  # noqa: RUF012  # by number of the file
    begun = collections.defaultdict(asyncio.Event)  # noqa: RUF012  # by number and what is being written

    @classmethod
    async def update_file_data_by_id(cls, file_id, data):
        was = dict(cls.data[file_id])
        cls.begun[file_id, *data.values()].set()
        await asyncio.sleep(0.3 if "waiting" in data else 0.1)
        cls.data[file_id] = {**was, **data}

    @classmethod
    async def get_file_by_id(cls, file_id):
        return cls.data[file_id]


for name, values in {
    "open_webui": {"__path__": [f"{BACKEND}/open_webui"]},
    "open_webui.config": {"THREAD_POOL_SIZE": None},
    "open_webui.env": {"RAG_EMBEDDING_TIMEOUT": None},
    "open_webui.models": {"__path__": []},
    "open_webui.models.files": {"Files": Files},
}.items():
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(values)

from open_webui.utils import embedding_outages as m  # noqa: E402

AWAY = aiohttp.ClientResponseError(types.SimpleNamespace(real_url="u"), (), status=503)


async def upload(file, *asks):
    """Embed a document of so many batches as upstream does: all at once, and the first that fails is the document's."""
    Files.data[file] = {"status": "processing"}

    @m.with_patience
    async def process(request, opened, path, file_item):
        try:
            await asyncio.gather(*(m.patient(ask)() for ask in asks))
            await Files.update_file_data_by_id(file, {"status": "completed"})
        except ValueError:
            await Files.update_file_data_by_id(file, {"status": "failed"})

    await process(None, None, None, types.SimpleNamespace(id=file))
    await asyncio.sleep(2)  # for what is left over
    return Files.data[file]["status"], Files.data[file].get("waiting", "")


def batch(*outcomes):
    """Return what has a batch embedded, and the outcomes that are left: a number of seconds, an event, or an error."""
    left = list(outcomes)

    async def ask():
        for outcome in left.pop(0):
            if isinstance(outcome, Exception):
                raise outcome
            await (outcome.wait() if isinstance(outcome, asyncio.Event) else asyncio.sleep(outcome))
        return []

    return ask, left


async def goes_on():
    ask, _ = batch([AWAY], [])
    assert await upload("goes on", ask) == ("completed", "")


async def fails_while_the_others_is_noted():
    asks = [batch([AWAY], [])[0], batch([Files.begun["fails", ""], ValueError()])[0]]
    assert await upload("fails", *asks) == ("failed", "")  # no note of before is written over it


async def is_answered_after_another_failed():
    asks = [batch([AWAY], [Files.begun["late", "failed"]])[0], batch([1.5, ValueError()])[0]]
    assert await upload("late", *asks) == ("failed", "")


async def is_not_asked_for_again():
    ask, left = batch([AWAY], [])
    assert await upload("over", ask, batch([0.5, ValueError()])[0]) == ("failed", "")
    assert left == [[]]


async def main():
    await asyncio.gather(
        goes_on(), fails_while_the_others_is_noted(), is_answered_after_another_failed(), is_not_asked_for_again()
    )
    assert not m._waiting


asyncio.run(main())
print("all is well")
