from __future__ import annotations

import pytest

from helpers import Talk
from remote_fix import CODE, FIXED, LATER, World
from webui_fork.backport import fix
from webui_fork.backport.fix import Fix, Part
from webui_fork.core import git
from webui_fork.core.errors import SeriesError, SourceError, UsageError

EMPTY = "an empty file, which has no lines for a patch: put a comment into it"
MIGRATION = "backend/open_webui/migrations/versions/1_add.py"


def _obtained(world: World, words: str) -> Fix:
    return fix.obtain(world.settings, Talk(), words)


def test_a_part_is_a_file_and_functions() -> None:
    assert fix.part("a/b.py") == Part("a/b.py")
    assert fix.part("a/b.py:one,Form.check") == Part("a/b.py", ("one", "Form.check"))


NO_FIXES = [
    "0.12.2",
    "0.12.1...0.12.2",
    "https://host/repo",
    f"https://me:key@host/r#{'a' * 40}",
    "https://host/repo#main",
    f"--upload-pack=x#{'a' * 40}",
]


@pytest.mark.parametrize("words", NO_FIXES)
def test_what_is_no_fix_is_refused_and_shows_no_secret(world: World, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        _obtained(world, words)
    assert "key" not in caught.value.what


def test_a_commit_of_a_remote_is_fetched_with_its_parent(world: World) -> None:
    world.put(CODE, FIXED)
    words = world.fix("fix")
    obtained = _obtained(world, words)
    repo = git.repository(world.settings)
    assert repo.read_file(obtained.before, CODE) == LATER.encode()
    assert repo.read_file(obtained.after, CODE) == FIXED.encode()
    assert obtained.origin == f"backport, file://{world.remote}/commit/{obtained.after}"
    assert not obtained.release


def test_a_commit_that_the_remote_has_not_is_an_error_in_words(world: World) -> None:
    with pytest.raises(SourceError, match="Could not fetch"):
        _obtained(world, f"file://{world.remote}#{'1' * 40}")


def test_a_commit_without_a_parent_is_refused(world: World) -> None:
    with pytest.raises(UsageError, match="no parent"):
        _obtained(world, world.last())


def test_a_merge_is_refused(world: World) -> None:
    world.git("switch", "--quiet", "-c", "side")
    world.put("side.txt", "x")
    world.fix("side")
    world.git("switch", "--quiet", "-")
    world.put(CODE, FIXED)
    world.fix("fix")
    world.git("merge", "--quiet", "--no-edit", "side")
    with pytest.raises(UsageError, match="or several"):
        _obtained(world, world.last())


def _several(world: World) -> Fix:
    world.put(CODE, FIXED)
    world.put(MIGRATION, "x = 1\n")
    world.put("backend/requirements.txt", "new==1\n")
    world.put("CHANGELOG.md", "new\n")
    return _obtained(world, world.fix("fix"))


def test_of_a_commit_its_code_is_taken_and_what_stays_behind_is_named(world: World) -> None:
    parts, left = fix.parts(git.repository(world.settings), _several(world), ())
    assert parts == (Part(CODE),)
    assert [words.partition(":")[0] for words in left] == ["CHANGELOG.md", MIGRATION, "backend/requirements.txt"]
    assert "migration" in left[1]
    assert "locks" in left[2]


def test_a_migration_is_refused_where_it_is_named(world: World) -> None:
    with pytest.raises(SeriesError) as caught:
        fix.parts(git.repository(world.settings), _several(world), (Part(MIGRATION),))
    assert MIGRATION in caught.value.why


def test_what_is_named_has_to_differ(world: World) -> None:
    several, repo = _several(world), git.repository(world.settings)
    with pytest.raises(UsageError, match="The fix does not change"):
        fix.parts(repo, several, (Part("backend/open_webui/nothing.py"),))
    with pytest.raises(UsageError, match="Nothing differs"):
        fix.blocks(repo, several, (Part(CODE, ("create_user",)),))


def test_of_two_releases_a_person_says_what_the_fix_is(world: World) -> None:
    several = _several(world)
    releases = Fix(several.before, several.after, "backport, x", "1.3.0")
    with pytest.raises(UsageError, match="which are the fix"):
        fix.parts(git.repository(world.settings), releases, ())
    parts, left = fix.parts(git.repository(world.settings), releases, (Part(CODE),))
    assert (parts, left) == ((Part(CODE),), ())


def test_a_commit_without_code_is_refused(world: World) -> None:
    world.put("docs.md", "x\n")
    with pytest.raises(UsageError, match="no code"):
        fix.parts(git.repository(world.settings), _obtained(world, world.fix("docs")), ())


def test_a_file_that_goes_is_gone(world: World) -> None:
    world.put(CODE, None)
    gone, repo = _obtained(world, world.fix("gone")), git.repository(world.settings)
    assert fix.narrowed(repo, gone, fix.blocks(repo, gone, (Part(CODE),))) == {CODE: None}


def test_a_misspelt_function_is_an_error_also_beside_a_right_one(world: World) -> None:
    several, repo = _several(world), git.repository(world.settings)
    with pytest.raises(UsageError, match="delete_usr"):
        fix.blocks(repo, several, (Part(CODE, ("delete_user", "delete_usr")),))


@pytest.mark.parametrize("words", [f"{CODE}:", f"{CODE}:,", f"{CODE}:a,", ":a", ""])
def test_an_empty_name_is_no_part(words: str) -> None:
    with pytest.raises(UsageError, match="empty name"):
        fix.part(words)


def test_a_block_that_two_parts_name_is_one_block(world: World) -> None:
    several, repo = _several(world), git.repository(world.settings)
    assert len(fix.blocks(repo, several, (Part(CODE), Part(CODE, ("delete_user",))))) == 1


def test_the_older_release_comes_first(world: World) -> None:
    for words in ("0.12.2..0.12.1", "v0.12.2..v0.12.2", "0.12.10..0.12.9"):
        with pytest.raises(UsageError, match="is not older than"):
            _obtained(world, words)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (MIGRATION, "migration"),
        ("backend/open_webui/internal/migrations/001.py", "migration"),
        ("backend/requirements-slim.txt", "locks"),
        ("package.json", "locks"),
        ("package-lock.json", "locks"),
        ("pyproject.toml", "locks"),
        ("uv.lock", "locks"),
        ("backend/start.sh", "not code"),
        ("srcs/x.ts", "not code"),
    ],
)
def test_what_is_never_carried(world: World, path: str, why: str) -> None:
    world.put(CODE, FIXED)
    world.put("src/lib/x.ts", "export const x = 1;\n")
    world.put(path, "new\n")
    parts, left = fix.parts(git.repository(world.settings), _obtained(world, world.fix("fix")), ())
    assert parts == (Part(CODE), Part("src/lib/x.ts"))
    (words,) = left
    assert words.startswith(f"{path}: ")
    assert why in words


def test_what_of_a_commit_has_no_lines_stays_behind(world: World) -> None:
    world.put(CODE, FIXED)
    world.put("backend/open_webui/empty/__init__.py", "")
    (world.remote / "backend/open_webui/x.bin").write_bytes(b"\xff\xfe")
    (world.remote / "backend/open_webui/grants.py").chmod(0o755)
    obtained, repo = _obtained(world, world.fix("fix")), git.repository(world.settings)
    parts, left = fix.parts(repo, obtained, ())
    assert parts == (Part(CODE),)
    assert sorted(words.partition(": ")[2] for words in left) == [EMPTY, "not text", "only its mode changes"]
    with pytest.raises(SeriesError, match="not text"):
        fix.blocks(repo, obtained, (Part("backend/open_webui/x.bin"),))


def test_what_a_person_does_not_name_of_a_commit_is_said(world: World) -> None:
    world.put("backend/open_webui/more.py", "x = 1\n")
    parts, left = fix.parts(git.repository(world.settings), _several(world), (Part(CODE),))
    assert parts == (Part(CODE),)
    assert "backend/open_webui/more.py: not named" in left
    assert len(left) == 4


def test_a_file_that_is_emptied_stays(world: World) -> None:
    world.put(CODE, "")
    emptied, repo = _obtained(world, world.fix("emptied")), git.repository(world.settings)
    assert fix.narrowed(repo, emptied, fix.blocks(repo, emptied, (Part(CODE),))) == {CODE: ""}


def test_what_needs_another_import_is_refused(world: World) -> None:
    world.put(CODE, FIXED.replace("from fastapi", "from starlette").replace("HTTPException(403)", "HTTPException(401)"))
    changed, repo = _obtained(world, world.fix("import")), git.repository(world.settings)
    with pytest.raises(SeriesError) as caught:
        fix.narrowed(repo, changed, fix.blocks(repo, changed, (Part(CODE, ("delete_user",)),)))
    assert "`from starlette import HTTPException`" in caught.value.why
