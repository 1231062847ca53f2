"""One outcome per patch, on releases of a local repository."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from helpers import HEADER, RELEASE, make_patch, release_repo
from webui_fork.core.git import Repo
from webui_fork.merge.text import Merger
from webui_fork.rebase import cherry_pick
from webui_fork.rebase import run as rebase_run
from webui_fork.rebase.cherry_pick import Carried, Outcome
from webui_fork.rebase.releases import Ends
from webui_fork.series import apply
from webui_fork.series import patch as series_patch
from webui_fork.sources import release

EPOCH = 1_700_000_000
CODE = "backend/open_webui/utils/code.py"
OTHER = "backend/open_webui/utils/other.py"
BASE = """\
from open_webui.utils.other import helper


def load(url):
    data = fetch(url)
    return data


def store(url, value):
    text = dump(value)
    send(url, text)
    return text
"""
FILES = {**RELEASE, CODE: BASE.encode(), OTHER: b"def helper(a):\n    return a\n\n\ndef extra(): ...\n"}


class World:
    """Two releases and a patch."""

    def __init__(
        self, folder: Path, new: dict[str, bytes | None], version: str = "1.3.0", old: Mapping[str, bytes] | None = None
    ) -> None:
        from webui_fork.sources import archive

        before = {**FILES, **(old or {})}
        self.repo, self.old = release_repo(folder, before)
        files = {path: data for path, data in {**before, **new}.items() if data is not None}
        members = [archive.Member(path, data) for path, data in sorted(files.items())]
        self.new = release._import(self.repo, members, "refs/releases/1.3.0/x", "Open WebUI 1.3.0\n", EPOCH)
        self.ends = Ends(self.repo, self.old, self.new, EPOCH, version)

    def carry(self, changes: dict[str, bytes | None]) -> Carried:
        data, commit = make_patch(self.repo, self.old, changes)
        self.data = data
        patch = series_patch.parse("do-a-thing.patch", data)
        merge = Merger({"PATH": os.environ["PATH"]})
        return cherry_pick.carry_patch(self.ends, patch, self.old, commit, self.new, merge)

    def file(self, carried: Carried, path: str = CODE) -> str:
        assert carried.commit
        return (self.repo.read_file(carried.commit, path) or b"").decode()


def edited(old: str, new: str, text: str = BASE) -> bytes:
    assert old in text
    return text.replace(old, new, 1).encode()


GUARD = edited("    return data", "    data = data or None\n    return data")


def test_unchanged_is_byte_for_byte(tmp_path: Path) -> None:
    world = World(tmp_path, {"src/app.html": b"new\n"})
    carried = world.carry({CODE: GUARD})
    assert carried.outcome is Outcome.UNCHANGED
    assert carried.patch
    assert carried.patch.data == world.data


def test_what_the_release_has_but_for_words_is_for_a_person_to_drop(tmp_path: Path) -> None:
    fixed = edited("    data = fetch(url)", "    data = fetch(url, wait=1)")
    words = edited("    data = fetch(url)", "    # it hangs\n    data = fetch(url, wait=1)")
    carried = World(tmp_path / "fixed", {CODE: fixed}).carry({CODE: words})
    assert carried.outcome is Outcome.CONFLICT
    assert "the release has all of its code" in carried.why
    other = World(tmp_path / "other", {CODE: edited("send(url", "send(url, 1", BASE)})
    assert other.carry({CODE: words}).outcome is Outcome.OFFSET
    assert other.carry({CODE: edited("    data =", "    # only words\n    data =")}).outcome is Outcome.OFFSET


def test_an_older_release_is_in_the_bound_of_what_was_carried_to_it(tmp_path: Path) -> None:
    carried = World(tmp_path, {"src/app.html": b"new\n"}, "1.1.9").carry({CODE: GUARD})
    assert carried.patch
    assert carried.patch.field("Applies-To") == ">=1.1.9"
    assert carried.outcome is Outcome.OFFSET


def test_offset_has_the_same_hunks(tmp_path: Path) -> None:
    world = World(tmp_path, {CODE: b"import os\n\n\n" + BASE.encode()})
    carried = world.carry({CODE: edited("    send(url, text)", "    send(url, text, 1)")})
    assert carried.outcome is Outcome.OFFSET
    assert "send(url, text, 1)" in world.file(carried)


def test_merged_has_new_lines_around_it(tmp_path: Path) -> None:
    world = World(tmp_path, {CODE: edited("    text = dump(value)\n", "    text = dump(value)\n    count()\n\n")})
    carried = world.carry({CODE: edited("    return text", "    return text or None")})
    assert carried.outcome is Outcome.MERGED


def test_reformatted(tmp_path: Path) -> None:
    world = World(tmp_path, {CODE: edited("    data = fetch(url)\n", "    data = fetch(\n        url,\n    )\n")})
    assert world.carry({CODE: GUARD}).outcome is Outcome.REFORMATTED


def test_relocated_needs_its_proof(tmp_path: Path) -> None:
    world = World(tmp_path, {CODE: edited("    data = fetch(url)\n", "    body = data = fetch(url)\n")})
    carried = world.carry({CODE: edited("    data = fetch", "    send(url, url)\n    data = fetch")})
    assert carried.outcome is Outcome.RELOCATED
    assert carried.needs_proof


def test_upstreamed_when_nothing_of_it_is_left(tmp_path: Path) -> None:
    world = World(tmp_path, {CODE: b"import os\n\n\n" + GUARD})
    carried = world.carry({CODE: GUARD})
    assert carried.outcome is Outcome.UPSTREAMED
    assert carried.patch is None
    assert carried.has_text
    assert not carried.needs_proof
    assert not cherry_pick.upstreamed(series_patch.parse("a.patch", world.data), "its proof is green").has_text


def test_what_only_the_tree_says_is_in_the_release_needs_the_proof(tmp_path: Path) -> None:
    """The release has the patch's order of two statements, and one of them under a condition."""
    one, two, three = (f"    {name}(user, chat)\n" for name in ("one_step", "two_step", "three_step"))
    head, end = "def f(user, chat):\n", "    return chat\n"
    world = World(
        tmp_path,
        {OTHER: f"{head}{one}{three}    if chat.ok:\n    {two}{end}".encode()},
        old={OTHER: f"{head}{one}{two}{three}{end}".encode()},
    )
    carried = world.carry({OTHER: f"{head}{one}{three}{two}{end}".encode()})
    assert (carried.outcome, carried.needs_proof) == (Outcome.UPSTREAMED, True)
    assert rebase_run._unproved(carried).outcome is Outcome.CONFLICT


def test_a_conflict_keeps_the_merge_with_markers(tmp_path: Path) -> None:
    world = World(tmp_path, {CODE: edited("    data = fetch(url)\n", "    data = other(url)\n")})
    carried = world.carry({CODE: edited("    data = fetch(url)\n", "    data = mine(url)\n")})
    assert carried.outcome is Outcome.CONFLICT
    assert "<<<<<<< ours" in carried.files[0].marked
    assert carried.why.startswith(f"{CODE}: ")


def test_a_deleted_file_and_who_has_its_functions_now(tmp_path: Path) -> None:
    moved = "backend/open_webui/utils/elsewhere.py"
    world = World(tmp_path, {CODE: None, moved: b"# all new\n\n\n" + BASE.encode() + b"\n\nMORE = 1\n" * 40})
    carried = world.carry({CODE: GUARD})
    assert carried.outcome is Outcome.CONFLICT
    assert f"the new release has no {CODE}" in carried.why
    assert f"{moved} defines 2 of its 2 functions now" in carried.why


def test_a_renamed_file(tmp_path: Path) -> None:
    moved = "backend/open_webui/utils/renamed.py"
    world = World(tmp_path, {CODE: None, moved: BASE.encode()})
    carried = world.carry({CODE: GUARD})
    assert carried.outcome is Outcome.CONFLICT
    assert f"It was renamed to {moved} (100% the same)." in carried.why


def test_a_file_that_the_patch_adds_and_the_release_now_has(tmp_path: Path) -> None:
    mine = "backend/open_webui/utils/mine.py"
    world = World(tmp_path, {mine: b"x = 2\n"})
    assert world.carry({mine: b"x = 1\n"}).outcome is Outcome.CONFLICT
    assert world.carry({mine: b"x = 2\n"}).outcome is Outcome.UPSTREAMED
    assert world.carry({mine + ".sh": b"x\n"}).outcome is Outcome.UNCHANGED


def test_a_file_that_the_patch_deletes(tmp_path: Path) -> None:
    world = World(tmp_path, {CODE: b"x = 1\n"})
    assert world.carry({OTHER: None}).outcome is Outcome.UNCHANGED
    carried = world.carry({CODE: None})
    assert carried.outcome is Outcome.CONFLICT
    assert "deletes" in carried.why


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (b"async def helper(a):\n    return a\n", "helper() is now async"),
        (b"def helper(a, b):\n    return a\n", "helper() takes other arguments"),
        (b"def assist(a):\n    return a\n", "helper() is gone"),
    ],
)
def test_what_a_patch_calls_has_changed_in_a_file_that_it_does_not_touch(
    tmp_path: Path, other: bytes, words: str
) -> None:
    world = World(tmp_path, {OTHER: other})
    carried = world.carry({CODE: edited("    return data", "    return helper(data)")})
    assert carried.outcome is Outcome.CONFLICT
    assert words in carried.why


def test_a_name_that_a_patch_uses_is_gone(tmp_path: Path) -> None:
    world = World(tmp_path, {CODE: edited("from open_webui.utils.other import helper\n", "")})
    carried = world.carry({CODE: edited("    return text", "    return helper(text)")})
    assert carried.outcome is Outcome.CONFLICT
    assert "helper" in carried.why


def test_an_import_of_a_patch_is_gone(tmp_path: Path) -> None:
    world = World(tmp_path, {OTHER: b"def helper(a):\n    return a\n"})
    carried = world.carry({CODE: edited("import helper\n", "import extra, helper\n")})
    assert carried.outcome is Outcome.CONFLICT
    assert "imports extra from open_webui.utils.other, which is gone" in carried.why


def test_an_import_of_a_patch_may_be_a_folder(tmp_path: Path) -> None:
    part = "backend/open_webui/utils/parts/one.py"
    world = World(tmp_path, {OTHER: b""}, old={part: b""})
    with_parts = edited("from open", "from open_webui.utils import parts\nfrom open")
    assert world.carry({CODE: with_parts}).outcome is Outcome.UNCHANGED
    world = World(tmp_path / "gone", {part: None}, old={part: b""})
    assert "imports parts from open_webui.utils, which is gone" in world.carry({CODE: with_parts}).why


@pytest.mark.parametrize(("count", "outcome"), [(25, Outcome.CONFLICT), (26, Outcome.UNCHANGED)])
def test_a_name_that_many_files_define_says_nothing(tmp_path: Path, count: int, outcome: Outcome) -> None:
    files = {f"backend/open_webui/n{number}.py": FILES[OTHER] for number in range(count - 1)}
    changed = b"def helper(a, b):\n    return a\n"
    files["backend/open_webui/notes.txt"] = changed  # only Python counts
    world = World(tmp_path, {OTHER: changed, **dict.fromkeys(files, changed)}, old=files)
    assert world.carry({CODE: edited("    return data", "    return helper(data)")}).outcome is outcome


def test_every_result_is_its_own_export(tmp_path: Path) -> None:
    world = World(tmp_path, {CODE: b"import os\n\n\n" + BASE.encode()})
    carried = world.carry({CODE: GUARD, "backend/open_webui/utils/mine.py": b"x = 1\n"})
    assert carried.patch
    assert carried.commit
    assert apply.export(world.repo, carried.commit) == carried.patch.data
    tree = apply.apply(world.repo, world.new, [carried.patch], EPOCH)  # canonical, or it raises
    assert isinstance(world.repo, Repo)
    assert apply.changes(world.repo, tree)


def test_modes_are_carried(tmp_path: Path) -> None:
    """A patch that only makes a file executable is not empty, and a new script stays one."""
    world = World(tmp_path, {CODE: b"import os\n\n\n" + BASE.encode()})
    _, commit = make_patch(world.repo, world.old, {"backend/x.sh": b"#!/bin/sh\n"})
    with_modes = tmp_path / "index"
    env = {"GIT_INDEX_FILE": str(with_modes)}
    world.repo.git.read_tree(commit, env=env)
    blob = world.repo.git.rev_parse(f"{commit}:backend/x.sh")
    world.repo.git.update_index("--cacheinfo", f"100755,{blob},backend/x.sh", env=env)
    code = world.repo.git.rev_parse(f"{commit}:{CODE}")
    world.repo.git.update_index("--cacheinfo", f"100755,{code},{CODE}", env=env)
    tree = world.repo.git.write_tree(env=env)
    who = {
        f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in (("NAME", "x"), ("EMAIL", "x"))
    }
    mine = world.repo.git.commit_tree(tree, "-p", world.old, "-m", "Do a thing", "-m", HEADER, env=who)
    patch = series_patch.parse("do-a-thing.patch", apply.export(world.repo, mine))
    merge = Merger({"PATH": os.environ["PATH"]})
    carried = cherry_pick.carry_patch(world.ends, patch, world.old, mine, world.new, merge)
    assert carried.commit
    listed = world.repo.git.ls_tree("-r", carried.commit)
    assert [row.split()[0] for row in listed.splitlines() if row.endswith((CODE, "x.sh"))] == ["100755", "100755"]


def test_who_relies_on_what_the_patch_changes(tmp_path: Path) -> None:
    renamed = edited("def load(url)", "def load_url(url)")
    user = b"from open_webui.utils.code import load\n"
    (tmp_path / "one").mkdir()
    carried = World(tmp_path / "one", {"backend/open_webui/utils/user.py": user}).carry({CODE: renamed})
    assert carried.outcome is Outcome.CONFLICT
    assert "load()" in carried.why
    (tmp_path / "two").mkdir()
    again = BASE.encode() + b"\n\ndef again(url):\n    return load(url)\n"
    carried = World(tmp_path / "two", {CODE: again}).carry({CODE: edited("def load(url)", "def load(url, token)")})
    assert carried.outcome is Outcome.CONFLICT


def test_a_comment_defines_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, {OTHER: b"def helper(a):\n    return a\n\n\n# extra() was removed in 1.3\n"})
    carried = world.carry({CODE: edited("import helper\n", "import extra, helper\n")})
    assert carried.outcome is Outcome.CONFLICT


def test_a_key_that_both_add_to_a_dictionary(tmp_path: Path) -> None:
    keys = "X = {\n    'a': 1,\n    'b': 2,\n    'c': 3,\n    'd': 4,\n}\n"
    files = {**FILES, CODE: keys.encode()}
    repo, old = release_repo(tmp_path, files)
    world = World.__new__(World)
    theirs = keys.replace("    'd'", "    't': 30,\n    'd'").encode()
    from webui_fork.sources import archive

    members = [archive.Member(path, data) for path, data in sorted({**files, CODE: theirs}.items())]
    new = release._import(repo, members, "refs/releases/1.3.0/x", "x\n", EPOCH)
    world.repo, world.old, world.new, world.ends = repo, old, new, Ends(repo, old, new, EPOCH, "1.3.0")
    carried = world.carry({CODE: keys.replace("    'b'", "    't': 3,\n    'b'").encode()})
    assert carried.outcome is Outcome.CONFLICT
    assert "'t'" in carried.why


def test_modes_are_gits_and_nothing_where_there_is_no_file(tmp_path: Path) -> None:
    world = World(tmp_path, {})
    assert cherry_pick.modes_of(world.repo, world.old, (CODE, "nothing.py")) == {CODE: "100644", "nothing.py": ""}
    assert cherry_pick.modes_of(world.repo, world.old, ()) == {}


def test_a_file_of_which_the_release_seems_to_have_all_asks_for_a_proof(tmp_path: Path) -> None:
    """It has that in another function of the same lines, and not where the patch has it."""
    body = "    for item in items:\n        use(item)\n        note(item)\n    return items\n"
    checked = body.replace("        use", "        check(item)\n        use")
    base = f"def a(items):\n{body}\n\ndef b(items):\n{body}"
    theirs = f"def b(items):\n{checked}\n\ndef a(items):\n{body}"
    world = World(tmp_path, {CODE: theirs.encode()}, old={CODE: base.encode()})
    ours = base.replace(body, checked, 1)
    carried = world.carry({CODE: ours.encode(), OTHER: b"def helper(a):\n    return a + 1\n\n\ndef extra(): ...\n"})
    assert carried.outcome is Outcome.CONFLICT or carried.needs_proof
