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
    ],
)
def test_a_setting_and_its_default(code: str, default: str) -> None:
    rows = between(f"{ROOT}env.py", None, f"import os\n{code}\n")
    assert Difference("setting", "NAME", "", default) in rows
    assert between(f"{ROOT}env.py", f"import os\n{code}\n", f"import os\n\n\n{code}\n") == []


@pytest.mark.parametrize(
    "code", ["os.environ['X'] = '1'", "os.getenv(name)", "other.get('X')", "os.getenv()", "def os.getenv("]
)
def test_what_reads_no_setting_by_its_name(code: str) -> None:
    assert between(f"{ROOT}env.py", None, code) == []


def test_a_default_that_changes_needs_attention_and_a_new_setting_does_not() -> None:
    (changed,) = between(f"{ROOT}config.py", "os.getenv('X', 'False')", "os.getenv('X', 'True')")
    assert changed == Difference("setting", "X", "'False'", "'True'")
    (gone,) = between(f"{ROOT}config.py", "os.getenv('X')", "")
    (new,) = between(f"{ROOT}config.py", "", "os.getenv('X')")
    assert [row.needs_attention for row in (changed, gone, new)] == [True, True, False]


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
    old = "# a comment\n--extra-index-url x\nA==1.0\nb[x]>=2,<3  # why\nc==1; python_version < '3.12'\n"
    new = "a==1.1\nb[x]>=2,<3\nd\n"
    assert between(interface.REQUIREMENTS, old, new) == [
        Difference("requirement", "a", "==1.0", "==1.1"),
        Difference("requirement", "c", '==1; python_version < "3.12"', ""),
        Difference("requirement", "d", "", "any"),
    ]


def test_what_is_read_of_a_release() -> None:
    paths = ["backend/requirements.txt", f"{ROOT}a.py", f"{ROOT}a.js", "src/a.py", "backend/start.py"]
    assert [path for path in paths if interface.selects(path)] == paths[:2]


def test_files_that_are_no_python() -> None:
    assert between(f"{ROOT}env.py", "os.getenv('X'", "\0os.getenv") == []
