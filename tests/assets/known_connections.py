"""What is known of a connection, looked at from inside: runs in an image's own Python, on a tree's own module.

Open WebUI's settings stand in for themselves, as importing them takes seconds and makes a database. Called with the
backend's folder and a folder for data.
"""

import asyncio
import sys
import tempfile
import time
import types

import stand_ins

BACKEND, DATA = sys.argv[1:]
stand_ins.install(BACKEND, DATA, None if "patient" in DATA else 10)

from open_webui.utils import model_connections as m  # noqa: E402
from open_webui.utils import typed_connections  # noqa: E402

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


async def source(one, ask):
    """List a connection as one source of a list."""
    await listed(one, ask)
    return []


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


async def test_a_late_answer_is_to_be_listed():
    one = connection("late")
    await hurried(listed(one, after(m.FIRST_DEADLINE + 0.2)))
    assert (one.late, one.failing_since) == (True, None)
    await asyncio.sleep(0.4)
    assert one in m._late
    assert one.failing_since is None
    await m.gather_sources(source(one, after(0)))
    assert m.goes_by(REQUEST, None, [{"id": "a"}])
    assert not m._late


async def test_one_that_fails_late_is_to_be_listed_once():
    one = connection("fails late")

    async def fails():
        await asyncio.sleep(m.FIRST_DEADLINE + 0.2)
        raise OSError("away")

    for expected in ({one}, set()):
        await hurried(listed(one, fails()))
        await asyncio.sleep(1)
        assert one.failing_since is not None
        assert m._late == expected
        m._late.clear()


async def test_an_answer_of_another_moment_is_no_other():
    one = connection("moments")
    for moment, name in enumerate(["a", "a", "b"]):
        row = {"id": name, "created": moment, "permission": [{"id": str(moment)}]}
        await listed(one, after(m.DEADLINE + 0.1 if moment else 0, {"data": [row]}))
        if one.task:
            await one.task
        assert (one in m._late) is (name == "b")


async def test_what_stock_would_not_have():
    models = {"a": {"id": "a"}, "b": {"id": "b", "stale": True}}
    assert [m.fresh(models, name) for name in ("a", "b", "c", "", None)] == ["a", None, None, None, None]
    assert m.living(models) == [{"id": "a"}]
    for fallback in (True, False):
        m.ENABLE_CUSTOM_MODEL_FALLBACK = fallback
        assert [m.is_gone(models, name) for name in ("a", "b", "c")] == [False, fallback, True]


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


async def test_chats_go_by_a_list_that_is_whole():
    lists, state, user = [], types.SimpleNamespace(MODELS={"old": {}}), types.SimpleNamespace(id="u")
    request = types.SimpleNamespace(app=types.SimpleNamespace(state=state))

    async def get_all_models(request, user=None):
        lists.append((m._hurried.get(), user.id))
        await asyncio.sleep(0.3)

    sys.modules["open_webui.utils.models"] = types.ModuleType("models")
    sys.modules["open_webui.utils.models"].get_all_models = get_all_models

    async def goes_by(one, ask, *models):
        await m.gather_sources(source(one, ask))
        return m.goes_by(request, user, models), m.is_whole(), m.is_for_all()

    assert await goes_by(connection("fine"), after(0), {"id": "a"}) == (True, True, True)
    late = connection("late")
    m._late.add(late)
    for _ in range(2):  # the second list may be of what was configured since the first
        assert await hurried(goes_by(late, after(m.FIRST_DEADLINE + 1), {"id": "a"})) == (False, False, False)
    await asyncio.sleep(0)
    assert (lists, list(m._behind), late in m._late) == ([(False, "u")] * 2, ["u"], True)
    m._late.clear()
    await m.have_model(request, "old", None)  # somebody else's chat does not wait
    assert m._behind
    await m.have_model(request, "old", user)
    assert not m._behind
    m._hurried.set(False)
    m._late.add(late)
    await m.gather_sources(source(late, after(0)))  # a list that nobody goes by, of base models say
    assert late in m._late
    assert await goes_by(late, after(0), {"id": "a"}) == (True, True, True)  # as patient as stock
    m._late.add(late)
    assert await goes_by(late, after(0), {"id": "a", "stale": True}) == (False, True, True)
    assert not m._late
    state.MODELS = {}
    assert await goes_by(late, after(0), {"id": "a", "stale": True}) == (True, True, True)
    ps = m.connection("Ollama ps", 0, "http://x", ("ps",), on_disk=False)
    assert (await hurried(goes_by(ps, after(9), {"id": "a"})))[0]


async def test_one_that_never_answers_is_not_new_for_long():
    """Lists come in faster than its requests end: each is an older one by then."""
    one, again = connection("silent"), m.AGAIN
    m.AGAIN = 0.1

    async def fails():
        await asyncio.sleep(0.5)
        raise OSError("away")

    for _ in range(4):
        await hurried(asyncio.wait_for(listed(one, fails()), 2))
        await asyncio.sleep(0.15)
    m.AGAIN = again
    assert one.failing_since
    assert one.took is not None


async def test_what_nobody_asks_for_any_more_is_not_late_for_ever():
    async def get_all_models(request, refresh=False, user=None):
        await listed(connection("now"), after(0))

    sys.modules["open_webui.utils.models"].get_all_models = get_all_models
    request = types.SimpleNamespace(app=types.SimpleNamespace(state=types.SimpleNamespace(MODELS={"a": {}})))
    gone, now = connection("of an old config"), connection("now")
    m._late.update({gone, now})
    await m.have_model(request, "a", None)
    assert m._late == {now}


async def test_what_one_user_is_refused_is_not_kept_for_all():
    async def refuses():
        raise m.cause_of.__globals__["BadAnswer"]("no", 403)

    async def gathered(user, config, ask):
        m._making.set(m._List())
        await m.gather("OpenAI", REQUEST, user, ["http://x"], ["k"], {"0": config}, [ask])
        return m.is_for_all()

    user, session = types.SimpleNamespace(id="u"), {"auth_type": "session"}
    assert await gathered(user, session, after(0))
    assert not await gathered(user, session, refuses())
    assert await gathered(user, {}, refuses())


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


async def test_a_list_that_goes_on_without_one_is_known_as_such():
    async def gathered(name, ask, url="http://x"):
        await m.gather("OpenAI", REQUEST, None, [url], [name], {}, [ask])
        return m.went_on.get()

    assert not await gathered("fine", after(0))
    assert await hurried(gathered("late", after(m.FIRST_DEADLINE + 0.3)))
    assert not await gathered("fine", after(0))  # it is not of this list
    await asyncio.sleep(0.5)
    assert not await hurried(gathered("late", after(m.DEADLINE + 0.2)))  # its last answer is there


async def test_an_answer_that_a_busy_loop_came_late_to_is_none_that_is_late():
    one = connection("busy")
    await listed(one, after(0))
    asyncio.get_running_loop().call_later(m.DEADLINE - 0.2, time.sleep, 0.4)
    in_thread, m.in_thread = m.in_thread, lambda work, *given: asyncio.sleep(0, work(*given))
    models, _ = await listed(one, after(m.DEADLINE - 0.1))
    m.in_thread = in_thread
    assert "stale" not in models["data"][0]
    assert not one.late


async def test_a_chat_lists_once_more_where_its_model_may_be_new():
    state = types.SimpleNamespace(MODELS={"here": {}, "preset": {"info": {"base_model_id": "base"}}})
    request, lists = types.SimpleNamespace(app=types.SimpleNamespace(state=state)), []

    async def get_all_models(request, refresh=False, user=None):
        lists.append((refresh, user))

    sys.modules["open_webui.utils.models"] = types.ModuleType("models")
    sys.modules["open_webui.utils.models"].get_all_models = get_all_models

    async def lists_of(model):
        lists.clear()
        await m.have_model(request, model, "somebody")
        return lists

    assert await lists_of("here") == []
    assert await lists_of("preset") == []  # what it stands on is gone, and nothing new is about to come
    assert await lists_of("new") == [(False, "somebody")]  # a list that is cached will do
    assert await lists_of("newer") == [(False, "somebody")]  # at once, too: it may be there since then
    one = connection("late")
    one.task = asyncio.ensure_future(asyncio.sleep(0.3))
    for model in ("here", "preset", "new"):
        assert await lists_of(model) == ([] if model == "here" else [(True, "somebody")])
        assert model == "here" or one.task.done()
    one.task = None
    for model in ("preset", "here"):
        m._late.add(one)
        assert await lists_of(model) == [(True, "somebody")]
    m._late.clear()
    one.slot, one.task = "functions", asyncio.ensure_future(asyncio.sleep(60))
    assert await lists_of("preset") == []
    one.task.cancel()


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


async def main():
    assert not m._hurried.get()
    assert not m.went_on.get()
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            await test()
            m._known.clear()
            m._late.clear()
            m._making.set(None)
            m._hurried.set(False)


if "patient" in DATA:  # with the bounds switched off
    assert (m.DEADLINE, m.FIRST_DEADLINE, m.STALE_TTL, m.LIMIT) == (10, 10, 0, 3605)
else:
    assert (m.DEADLINE, m.FIRST_DEADLINE, m.STALE_TTL, m.LIMIT) == (0.8, 1.5, 600, 15)
    assert (m.AGAIN, m.SETTLED) == (3, 60)
    assert (m.WRITE_EVERY, m.MAX_AGE) == (3600, 86400)
    asyncio.run(main())
print("fine")
