"""Which lists chats go by, and when a list is made anew, looked at from inside; see connections_inside.py."""

import asyncio
import sys
import types

from connections_inside import REQUEST, after, connection, hurried, listed, m, run


async def source(one, ask):
    """List a connection as one source of a list."""
    await listed(one, ask)
    return []


async def test_a_late_answer_is_to_be_listed():
    one = connection("late")
    await hurried(listed(one, after(m.FIRST_DEADLINE + 0.2)))
    assert (one.late, one.failing_since) == (True, None)
    await asyncio.sleep(0.4)
    assert one in m._late
    assert one.failing_since is None
    await m.gather_sources(source(one, after(0)))
    assert m.goes_by(REQUEST, None)
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


async def test_what_stock_would_not_have():
    models = {"a": {"id": "a"}, "b": {"id": "b", "stale": True}}
    assert [m.fresh(models, name) for name in ("a", "b", "c", "", None)] == ["a", None, None, None, None]
    assert m.living(models) == [{"id": "a"}]
    for fallback in (True, False):
        m.ENABLE_CUSTOM_MODEL_FALLBACK = fallback
        assert [m.is_gone(models, name) for name in ("a", "b", "c")] == [False, fallback, True]


async def test_chats_go_by_a_list_that_is_whole():
    lists, state, user = [], types.SimpleNamespace(MODELS={"old": {}}), types.SimpleNamespace(id="u")
    request = types.SimpleNamespace(app=types.SimpleNamespace(state=state))

    async def get_all_models(request, user=None):
        lists.append((m._hurried.get(), user.id))
        await asyncio.sleep(0.3)

    sys.modules["open_webui.utils.models"] = types.ModuleType("models")
    sys.modules["open_webui.utils.models"].get_all_models = get_all_models

    async def goes_by(one, ask):
        await m.gather_sources(source(one, ask))
        return m.goes_by(request, user), m.is_whole(), m.is_for_all()

    assert await goes_by(connection("fine"), after(0)) == (True, True, True)
    late = connection("late")
    m._late.add(late)
    for _ in range(2):  # the second list may be of what was configured since the first
        assert await hurried(goes_by(late, after(m.FIRST_DEADLINE + 1))) == (False, False, False)
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
    assert await goes_by(late, after(0)) == (True, True, True)  # as patient as stock
    m._late.add(late)
    assert await goes_by(late, after(0)) == (True, True, True)
    assert not m._late
    ps = m.connection("Ollama ps", 0, "http://x", ("ps",), on_disk=False)
    assert (await hurried(goes_by(ps, after(9))))[0]


async def test_where_all_fail_chats_go_by_what_they_listed_last():
    before = {"f": {"id": "f", "pipeline": {"type": "filter"}}, "old": {"id": "old"}, "odd": {"pipeline": None}}
    stale, good = {"id": "a", "stale": True, "stale_since": 1}, {"id": "b"}
    models = {"a": stale, "preset": {"id": "preset"}}
    assert m.registry(before, [stale, good], models) is models
    assert m.registry(before, [stale], models) == {"f": before["f"], "a": {"id": "a"}, "preset": {"id": "preset"}}
    assert "stale" in stale  # the list still shows it


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


async def test_a_list_that_goes_on_without_one_is_known_as_such():
    async def gathered(name, ask, url="http://x"):
        await m.gather("OpenAI", REQUEST, None, [url], [name], {}, [ask])
        return m.went_on.get()

    assert not await gathered("fine", after(0))
    assert await hurried(gathered("late", after(m.FIRST_DEADLINE + 0.3)))
    assert not await gathered("fine", after(0))  # it is not of this list
    await asyncio.sleep(0.5)
    assert not await hurried(gathered("late", after(m.DEADLINE + 0.2)))  # its last answer is there


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


asyncio.run(run(globals()))
print("fine")
