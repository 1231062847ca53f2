from __future__ import annotations

import pytest

from webui_fork.sources import interface
from webui_fork.sources.interface import Difference

ROOT = "backend/open_webui/"
MIGRATION = f"{ROOT}migrations/versions/1_add_x.py"


def between(path: str, old: str | None, new: str | None) -> list[Difference]:
    sides = ({path: text.encode()} if text is not None else {} for text in (old, new))
    return list(interface.differences(*sides))


@pytest.mark.parametrize(
    ("code", "default"),
    [
        ("X = os.getenv('NAME')", "None"),
        ("X = os.getenv('NAME', 'a').lower() == 'a'", "'a'"),
        ("def f():\n    return int(os.environ.get('NAME', str(1 + 1)))", "str(1 + 1)"),
        ("X = os.environ['NAME']", "required"),
        ("X = os.getenv('NAME', os.environ.get('OLD', ''))\ndel OLD", "os.getenv('OLD', '')"),
        ("X = os.getenv('NAME', 'b') or os.getenv('NAME', 'a')", "'a', 'b'"),
        ("X = os.getenv(key='NAME', default='a')", "'a'"),
        ("from os import environ, getenv\nX = getenv('NAME')", "None"),
        ("X = environ['NAME']", "required"),
        ("X = os.environ.pop('NAME', '')", "''"),
        ("def _int(name, default):\n    return int(os.getenv(name) or default)\n\n\nX = _int('NAME', 1_000)", "1000"),
    ],
)
def test_a_setting_and_its_default(code: str, default: str) -> None:
    rows = between(f"{ROOT}env.py", None, f"import os\n{code}\n")
    assert Difference("setting", "NAME", "", default) in rows
    assert between(f"{ROOT}env.py", f"import os\n{code}\n", f"import os\n\n\n{code}\n") == []


@pytest.mark.parametrize(
    "code", ["os.environ['X'] = '1'", "os.getenv(name)", "other.get('X')", "os.getenv()", "settings.environ['X']"]
)
def test_what_reads_no_setting_by_its_name(code: str) -> None:
    assert between(f"{ROOT}env.py", None, code) == []


def test_a_default_that_changes_needs_attention_and_a_new_setting_does_not() -> None:
    (changed,) = between(f"{ROOT}config.py", "os.getenv('X', 'False')", "os.getenv('X', 'True')")
    assert changed == Difference("setting", "X", "'False'", "'True'")
    (gone,) = between(f"{ROOT}config.py", "os.getenv('X')", "")
    (new,) = between(f"{ROOT}config.py", "", "os.getenv('X')")
    assert [row.needs_attention for row in (changed, gone, new)] == [True, True, False]


def test_a_setting_of_the_start_script() -> None:
    old = 'PORT="${PORT:-8080}"\n: "${SLIM:=}"\necho "$PORT ${SLIM,,} ${PORT}" "${a:-b}" "${OTHER-x}"\n'
    assert between("backend/start.sh", None, old) == [
        Difference("setting", "PORT", "", "'8080'"),
        Difference("setting", "SLIM", "", "''"),
    ]
    new = old.replace("8080", "8081")
    assert between("backend/start.sh", old, new) == [Difference("setting", "PORT", "'8080'", "'8081'")]
    both = {"backend/start.sh": old.encode(), f"{ROOT}env.py": b"os.getenv('PORT', '8080')"}
    assert interface.differences(both, {**both, "backend/start.sh": b""}) == (
        Difference("setting", "SLIM", "''", ""),
    )  # fmt: skip


def test_a_setting_that_moves_to_another_file_is_the_same() -> None:
    old, new = {f"{ROOT}config.py": b"os.getenv('X')"}, {f"{ROOT}env.py": b"os.getenv('X')"}
    assert interface.differences(old, new) == ()


ROUTES = """
@router.get('/', response_model=list)
async def one(): pass

@router.websocket(
    '/{id}/live',
)
def two(): pass

@router.get
def three(): pass

@other.get('/no')
def four(): pass

@router.exception_handler('/no')
def five(): pass
"""


def test_an_endpoint_has_the_prefix_of_its_router() -> None:
    main = (
        "app.include_router(notes.router, prefix='/api/v1/notes', tags=['notes'])\n@app.post(f'/{x}')\ndef f(): pass\n"
    )
    new = {f"{ROOT}routers/notes.py": ROUTES.encode(), f"{ROOT}main.py": main.encode()}
    names = [row.name for row in interface.differences({}, new)]
    assert names == ["GET /api/v1/notes/", "POST f'/{x}'", "WEBSOCKET /api/v1/notes/{id}/live"]
    assert all(row.needs_attention for row in interface.differences(new, {}))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("op.drop_table('x')", "Add x"),
        ("for name in ('a', 'b'):\n        op.drop_table(name)", "Add x"),
        ("pass", "Add x (no way back)"),
        ("'''Nothing to do.'''", "Add x (no way back)"),
        ("raise NotImplementedError('no')", "Add x (no way back)"),
        ("log.info('no')\n    print('no')", "Add x (no way back)"),
    ],
)
def test_a_migration_and_whether_it_has_a_way_back(body: str, words: str) -> None:
    text = f'"""Add x.\n\nRevision ID: 1"""\n\n\ndef upgrade():\n    pass\n\n\ndef downgrade():\n    {body}\n'
    (row,) = between(MIGRATION, None, text)
    assert row == Difference("migration", "1_add_x.py", "", words)
    assert row.needs_attention
    assert between(MIGRATION, text, text.replace("Add x", "Other words")) == []


def test_a_migration_without_words_or_a_way_back() -> None:
    assert between(MIGRATION, "x = 1", None)[0].before == "no description (no way back)"


def test_requirements() -> None:
    old = "# a comment\n--extra-index-url x\nA==1.0\nb[x]>=2,<3  # why\nc==1; python_version < '3.12'\ne_f @ https://x/1\n"
    new = "a==1.1 --hash=sha256:1\nb[x,y]>=2,<3\nd\ne-f @ https://x/2\n"
    assert between(interface.REQUIREMENTS, old, new) == [
        Difference("requirement", "a", "==1.0", "==1.1"),
        Difference("requirement", "b", "[x] <3,>=2", "[x, y] <3,>=2"),
        Difference("requirement", "c", '==1; python_version < "3.12"', ""),
        Difference("requirement", "d", "", "any"),
        Difference("requirement", "e-f", "https://x/1", "https://x/2"),
    ]
    assert not between(interface.REQUIREMENTS, old, "")[0].needs_attention


def test_what_is_read_of_a_release() -> None:
    paths = ["backend/requirements.txt", f"{ROOT}a.py", f"{ROOT}a.js", "src/a.py", "backend/start.py"]
    assert [path for path in paths if interface.selects(path)] == paths[:2]


@pytest.mark.parametrize(
    "text",
    [
        "os.getenv('X'",
        "\0os.getenv",
        "os.getenv('X', " + "'a' + " * 20_000 + "'a')",
        "os.getenv('X', " + "+".join(["'a'"] * 1500) + ")",
        "getenv." + "a." * 5000 + "b()",
    ],
)
def test_a_file_that_can_not_be_read_is_named(text: str) -> None:
    (row,) = between(f"{ROOT}env.py", None, text)
    assert row == Difference("unread file", f"{ROOT}env.py", "", "no Python that can be read")
    assert row.needs_attention


def test_a_name_that_is_no_text() -> None:
    (row,) = between(f"{ROOT}env.py", None, r"os.getenv('\ud800\x1b[1mX', '\ud800')")
    assert f"{row.name}{row.after}".encode()
    assert "\x1b" not in row.name


def test_a_setting_that_is_required_needs_attention_unless_it_is_looked_for_first() -> None:
    (row,) = between(f"{ROOT}env.py", None, "X = os.environ['X']")
    assert row.needs_attention
    (row,) = between(f"{ROOT}env.py", None, "X = os.environ['X'] if os.getenv('X') else None")
    assert (row.after, row.needs_attention) == ("None", False)


def test_routers_within_routers() -> None:
    new = {
        f"{ROOT}main.py": b"app.include_router(audio.router, prefix='/api/v1/audio')",
        f"{ROOT}routers/audio/__init__.py": b"router.include_router(live.router)\n@router.get('/say')\ndef f(): pass",
        f"{ROOT}routers/audio/live.py": b"@router.api_route('/{path:path}', methods=['GET'])\ndef f(): pass",
        f"{ROOT}routers/other.py": b"@router.get('/x')\ndef f(): pass",
        f"{ROOT}routers/a.py": b"router.include_router(b.router, prefix='/b')\n@router.get('/x')\ndef f(): pass",
        f"{ROOT}routers/b.py": b"router.include_router(a.router, prefix='/a')",
    }
    assert [row.name for row in interface.differences({}, new)] == [
        "ANY /api/v1/audio/{path:path}",
        "GET /api/v1/audio/say",
        "GET …/b/a/b/a/x",  # a circle
        "GET …/x",
    ]
