"""Two changes that are right, and wrong together: each is a merge that was taken once, and asks for a proof now."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest

from webui_fork.merge import three_way
from webui_fork.merge.text import Merger
from webui_fork.merge.three_way import File, Method

Change = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Pair:
    """A file, what the patch and the release change of it, and a change of the release's that does not matter."""

    base: str
    ours: Change
    theirs: Change
    harmless: Change = ()


def changed(text: str, change: Change) -> str:
    for old, new in change:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def carried(base: str, ours: Change, theirs: Change) -> File:
    merger = Merger({"PATH": os.environ["PATH"]})
    return three_way.carry(merger, "a.py", base, changed(base, ours), changed(base, theirs))


LIMIT = "def check(size, limit):\n    if size > limit:\n        raise ValueError(size)\n    return size\n"
CALL = "def models(url, key):\n    response = requests.get(url, headers=auth(key))\n    return response.json()\n"
PAGE = "def page(skip):\n    users = fetch(skip)\n    return render(users)\n"
ROWS = "def rows(user):\n    rows = db.query(Chat.id, Chat.title)\n    return [row[1] for row in rows]\n"
SIZE = """\
def check(path, config):
    size = os.path.getsize(path)
    if size > config.MAX:
        raise ValueError(path)
    return size
"""
QUOTED = """\
def get(url, name):
    check(name)
    target = f"{url}/files/{name}"
    return load(target)
"""
LISTED = """\
def ids(models):
    for m in DEFAULTS:
        models.append(m)
    return [m["id"] for m in models]
"""
FETCH = """\
async def fetch(session, url):
    await session.head(url)
    note(url)

    response = await session.get(url)
    return await response.json()
"""
EXPORT = """\
def export(chats):
    rows = []
    for chat in chats:
        title = chat.title
        check(chat)
        rows.append(title)
    return rows
"""
CONTENT = """\
async def content(files, id, user):
    try:
        file = await files.get(id)
        path = file.path
        return await read(path)
    except FileNotFoundError:
        return b""
"""
ROUTE = """\
@router.get("/config")
async def get_config(request, user=Depends(get_admin_user)):
    config = request.app.state.config
    note(user)

    return {
        "urls": config.URLS,
        "models": config.MODELS,
    }
"""
FORM = """\
async def chat(request, form: dict):
    model = form["model"]
    note(model)
    check(request)
    return await run(model)
"""
DATES = """\
import datetime


def stamp():
    return datetime.datetime.now().isoformat()


def expires(days):
    seconds = days * 86400
    return seconds
"""
GIVES_UP = "        if file.user != user:\n            raise HTTPException(403)\n        path ="
MATCHED = "    except FileNotFoundError:\n"

PAIRS = {
    "both sides of a comparison": Pair(
        LIMIT, (("size > limit", "size / 1024 > limit"),), (("size > limit", "size > limit * 1024"),)
    ),
    "a function and its arguments": Pair(
        CALL, (("(key))", "(key), verify=False)"),), (("requests.get(", "httpx.get("),),
        (("auth(key)", "auth(key, 1)"),),
    ),
    "targets and their value": Pair(
        PAGE, (("fetch(skip)", "fetch(skip) or []"),), (("users = ", "users, total = "),),
    ),
    "places of a list": Pair(
        ROWS, (("Chat.title)", "Chat.title, Chat.folder)"), ("row[1]", "row[2]")),
        (("Chat.id,", "Chat.id, Chat.time,"),),
    ),
    "the variable of a comprehension": Pair(
        LISTED, (("in models]", 'in models if not m["hidden"]]'),), (('m["id"] for m', 'x["id"] for x'),),
    ),
    "a value and the test of it": Pair(
        SIZE, (("config.MAX:", "config.MAX * 1024:"),), (("getsize(path)", "getsize(path) / 1024"),),
        (("return size", "return size, path"),),
    ),
    "a value that gets its form twice": Pair(
        QUOTED, (("check(name)\n", "check(name)\n    name = quote(name)\n"),), (("{name}", "{quote(name)}"),),
        (("load(target)", "load(target, 1)"),),
    ),
    "a value and an argument of one name": Pair(
        FETCH, (("note(url)\n", "note(url)\n    timeout = 3\n    await session.options(url, timeout=timeout)\n"),),
        (("session, url)", "session, url, timeout=300)"), ("session.get(url)", "session.get(url, timeout=timeout)")),
        (("session, url)", "session, url, patience=300)"), ("session.get(url)", "session.get(url, timeout=patience)")),
    ),
    "a value and a loop's variable of one name": Pair(
        EXPORT, (("check(chat)", 'i = title.find(":")\n        title = title[i + 1 :]\n        check(chat)'),),
        (("for chat in chats", "for i, chat in enumerate(chats)"), ("append(title)", "append((i, title))")),
        (("rows = []\n", "rows = [1]\n"),),
    ),
    "what is raised, and caught now": Pair(
        CONTENT, (("        path =", GIVES_UP),), (("except FileNotFoundError", "except Exception"),),
        (('return b""', 'return b"1"'),),
    ),
    "what is raised where the patch catches more": Pair(
        CONTENT, (("except FileNotFoundError", "except Exception"),), (("        path =", GIVES_UP),),
        (("        path =", "        note(user)\n        path ="),),
    ),
    "what is raised where the patch adds a clause": Pair(
        CONTENT, ((MATCHED, f'    except OSError:\n        return b"-"\n{MATCHED}'),), (("        path =", GIVES_UP),),
    ),
    "who may see what": Pair(
        ROUTE, (("get_admin_user", "get_verified_user"),),
        (("config.MODELS,\n", 'config.MODELS,\n        "keys": config.KEYS,\n'),),
    ),
    "what an argument is": Pair(
        FORM, (("check(request)\n", 'check(request)\n    if form.get("stream"):\n        return None\n'),),
        (("form: dict", "form: Form"), ('form["model"]', "form.model")),
        (("form: dict", "form: dict, user=None"),),
    ),
    "what is imported under a name": Pair(
        DATES, (("return seconds\n", "return datetime.datetime.now() + seconds\n"),),
        (("import datetime\n", "from datetime import datetime\n"), ("datetime.datetime.now().i", "datetime.now().i")),
        (("import datetime\n", "import datetime\nimport json\n"),),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_both_together_need_the_proof(name: str) -> None:
    pair = PAIRS[name]
    file = carried(pair.base, pair.ours, pair.theirs)
    assert file.text is None or (file.needs_proof and file.why)


@pytest.mark.parametrize("name", [name for name, pair in PAIRS.items() if pair.harmless])
def test_what_has_nothing_to_do_with_the_patch_does_not(name: str) -> None:
    pair = PAIRS[name]
    file = carried(pair.base, pair.ours, pair.harmless)
    assert isinstance(file.text, str)
    assert not file.needs_proof, file.why


def test_an_argument_is_no_other_head() -> None:
    added = (("request, user=", "request, more=None, user="),)
    theirs = (("config.MODELS,\n", 'config.MODELS,\n        "keys": config.KEYS,\n'),)
    assert not carried(ROUTE, added, theirs).needs_proof


# --- what only the syntax tree can place: it is sure where it finds the same with the sides swapped, and stands apart

STEPS = """\
def f(user, chat):
    one = one_step(user)
    two = two_step(chat)
    three = three_step(user)
    four = four_step(chat)
    five = five_step(user)
    return one, two, three, four, five
"""
TWO, THREE = "    two = two_step(chat)\n", "    three = three_step(user)\n"
WRAPPED = ((THREE, "    if chat:\n        three = three_step(user)\n"),)


@pytest.mark.parametrize(
    ("ours", "theirs", "proof"),
    [
        (WRAPPED, ((TWO, "    two = two_step(\n        chat, 2)\n"),), False),  # the neighbour is the same, edited
        (WRAPPED, ((TWO, ""),), False),
        (WRAPPED, ((THREE, f"    more = step()\n{THREE}"),), False),
        (WRAPPED, ((THREE, f"    chat = step()\n{THREE}"),), True),  # it makes what the patch tests
        (WRAPPED, ((THREE, f"{THREE}    send(three)\n"),), True),  # it uses what the patch may leave out
        (((THREE, ""),), ((TWO, "    two = two_step(chat, 2)\n"),), False),
        (((THREE, f"    send(chat)\n{THREE}"),), ((TWO, "    two = two_step(user)\n"),), True),  # calls on both sides
        (((THREE, f"    more = chat\n{THREE}"),), ((TWO, "    two = two_step(user)\n"),), False),
        (((THREE, f"    more = two\n{THREE}"),), ((TWO, "    two = two_step(user)\n"),), True),
    ],
)
def test_what_only_the_tree_can_place(ours: Change, theirs: Change, proof: bool) -> None:
    file = carried(STEPS, ours, theirs)
    assert (file.text is None or file.needs_proof) is proof, file
    assert file.method in (Method.TRANSPLANT, Method.FUNCTIONS, Method.PERSON)
