"""What is known of a connection, looked at from inside; see connections_inside.py."""

import asyncio
import tempfile
import time
import types

from connections_inside import ANSWER, DATA, NEW, after, connection, hurried, listed, m, run
from open_webui.utils import typed_connections


async def test_one_that_answers_in_time_drops_no_list():
    one = connection("in time")
    for number in range(3):
        assert (await listed(one, after(0, {"data": [{"id": str(number)}]})))[0]
        assert one.relisting is None
    try:
        await listed(one, asyncio.sleep(0, {}))  # no list
    finally:
        assert (await listed(one, after(0)))[0]["data"][0].keys() == {"id", "name"}
    assert one.relisting is None
    assert one not in m._late


async def test_an_answer_of_another_moment_is_no_other():
    one = connection("moments")
    for moment, name in enumerate(["a", "a", "b"]):
        row = {"id": name, "created": moment, "permission": [{"id": str(moment)}]}
        await listed(one, after(m.DEADLINE + 0.1 if moment else 0, {"data": [row]}))
        if one.task:
            await one.task
        assert (one in m._late) is (name == "b")


async def test_one_that_is_late_does_not_fail():
    one = connection("slow")
    await listed(one, after(0.3))
    assert 0.3 <= one.took < 0.35
    models, seconds = await listed(one, after(1))
    assert "stale" not in models["data"][0]
    assert 0.7 < seconds < 0.9
    assert one.is_overdue  # what was loaded then says nothing of now
    await one.task
    assert not one.is_overdue
    await listed(one, after(1))
    assert not one.is_overdue  # it takes as long


async def test_one_that_hangs_is_asked_again_beside():
    one = connection("hangs")
    await listed(one, after(0))
    hung = asyncio.ensure_future(listed(one, asyncio.sleep(600)))
    await hung
    first = one.task
    await listed(one, after(0, NEW))
    assert one.task is first  # not before three seconds are over
    one.started -= m.AGAIN
    for _ in range(2):
        models, seconds = await listed(one, after(0, NEW))
        assert (models["data"][0]["id"], seconds < 0.5) == ("b", True)
        assert (one.older, one.task) == (first, None)
    first.cancel()
    await asyncio.wait({first})
    assert (one.older, one.failing_since, one.answer) == (None, None, m.packed("OpenAI", NEW))  # that is over


async def test_an_answer_that_was_asked_for_before_another_is_not_taken():
    one = connection("overtaken")
    await listed(one, after(m.DEADLINE + 0.4))
    slow = asyncio.ensure_future(listed(one, after(m.DEADLINE + 0.4)))
    await slow
    one.started -= m.AGAIN
    older = one.task
    await listed(one, after(0, NEW))
    await older
    assert one.answer == m.packed("OpenAI", NEW)


async def test_an_old_answer_is_waited_for_as_long_as_a_first_one():
    one = connection("old")
    await listed(one, after(0))
    one.good -= m.SETTLED
    models, seconds = await listed(one, after(m.DEADLINE + 0.2, NEW))
    assert models["data"][0]["id"] == "b"
    one.good, one.failing_since = one.good - m.SETTLED, time.time()
    _, seconds = await listed(one, asyncio.sleep(600))
    assert seconds < 1


async def test_what_was_refused_or_is_too_old_is_not_on_disk_either():
    for name, failing in (("refused", None), ("aged", time.time() - m.STALE_TTL)):
        one = connection(name, on_disk=True)
        await listed(one, after(0))
        file = m._file((name,))
        await eventually(file.exists)
        one.failing_since = failing
        words = {"error": "HTTP Error: 401" if name == "refused" else "away", "data": []}
        assert (await listed(one, after(0, words)))[0] is None
        await eventually(lambda file=file: not file.exists())


async def eventually(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.05)


async def test_what_is_on_disk_is_something_known():
    tempfile.tempdir = f"{DATA}/nowhere"  # it can be on another file system, where nothing is renamed to
    one = connection("disk", on_disk=True)
    await listed(one, after(0))
    async with asyncio.timeout(5):
        while not m._file(("disk",)).exists():
            await asyncio.sleep(0.05)
    m._known.clear()
    one = connection("disk", on_disk=True)
    models, seconds = await hurried(listed(one, after(1.2)))
    assert models["data"][0]["id"] == "a"
    assert seconds < 1
    await one.task
    assert (one.cause, one.failing_since) == ("", None)


async def test_what_nobody_asked_for_long_is_forgotten():
    one = connection("one")
    await listed(one, after(0))
    await listed(connection("other"), after(0))
    assert connection("one") is one
    one.seen -= m.STALE_TTL + 1
    connection("third")
    assert ("one",) not in m._known
    assert ("other",) in m._known


async def test_an_answer_that_a_busy_loop_came_late_to_is_none_that_is_late():
    one = connection("busy")
    await listed(one, after(0))
    asyncio.get_running_loop().call_later(m.DEADLINE - 0.2, time.sleep, 0.4)
    in_thread, m.in_thread = m.in_thread, lambda work, *given: asyncio.sleep(0, work(*given))
    models, _ = await listed(one, after(m.DEADLINE - 0.1))
    m.in_thread = in_thread
    assert "stale" not in models["data"][0]
    assert not one.late


async def test_the_urls_of_an_ollama():
    async def ask(request=None, url=None):
        return url

    for base in ("http://api", "http://v1", "http://h:1/v1", "http://h/to/http://ollama"):
        for written in (base, f" {base}", f"{base}/", f"{base}// "):
            for path in ("/api/tags", "/v1/models"):
                assert await typed_connections.tidied(ask)(None, written + path) == base + path, written


async def test_upstream_s_own_code_needs_no_scope():
    async def answer(request, refresh=False, user=None):
        return {"data": []}

    endpoint = m.listed(m.hurried(answer))
    assert await endpoint(types.SimpleNamespace(app=None), user=None) == {"data": []}
    assert not m._hurried.get()


async def test_a_key_that_anthropic_refuses():
    one = connection("refused")
    await listed(one, after(0))
    for words in ("HTTP Error: 401", "External Error: {'type': 'authentication_error'}"):
        one.answer = one.answer or m.packed("OpenAI", ANSWER)
        models, _ = await listed(one, after(0, {"object": "list", "data": [], "error": words}))
        assert models is None


if "patient" in DATA:  # with the bounds switched off
    assert (m.DEADLINE, m.FIRST_DEADLINE, m.STALE_TTL, m.LIMIT) == (10, 10, 0, 3605)
else:
    assert (m.DEADLINE, m.FIRST_DEADLINE, m.STALE_TTL, m.LIMIT) == (0.8, 1.5, 600, 15)
    assert (m.AGAIN, m.SETTLED) == (3, 60)
    assert (m.WRITE_EVERY, m.MAX_AGE) == (3600, 86400)
    asyncio.run(run(globals()))
print("fine")
