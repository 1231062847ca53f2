"""What a person makes of a conflict, and what must not get lost on the way."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from helpers import RELEASE, make_patch, release_repo
from webui_fork.core.errors import ConflictError
from webui_fork.core.settings import Settings
from webui_fork.merge.text import Merger
from webui_fork.rebase import cherry_pick, conflict
from webui_fork.rebase.releases import Ends
from webui_fork.series import patch
from webui_fork.series.patch import Patch
from webui_fork.sources import archive, release

CODE = "backend/open_webui/code.py"
GONE = "backend/open_webui/gone.py"
HIDDEN = "backend/local_cfg.py"
EPOCH = 1_700_000_000


class Case:
    """A patch that edits, deletes and adds, and a release that changes the same line."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        files = {**RELEASE, CODE: b"x = 1\n", GONE: b"y = 1\n", ".gitignore": b"local_*\n"}
        self.settings = settings
        self.repo, old = release_repo(folder, files)
        members = [archive.Member(path, data) for path, data in sorted({**files, CODE: b"x = 3\n"}.items())]
        self.new = release._import(self.repo, members, "refs/releases/1.3.0/x", "x\n", EPOCH)
        data, commit = make_patch(self.repo, old, {CODE: b"x = 2\n", GONE: None, HIDDEN: b"z = 1\n"})
        self.patch: Patch = patch.parse("do-a-thing.patch", data)
        ends = Ends(self.repo, old, self.new, EPOCH, "1.3.0")
        carried = cherry_pick.carry_patch(ends, self.patch, old, commit, self.new, Merger({"PATH": os.environ["PATH"]}))
        self.conflict = conflict.Conflict(self.patch, carried, old, commit, self.new, None, None)
        self.words = conflict.lay_out(settings, self.repo, self.conflict)
        self.tree = conflict.tree(settings)

    def resolution(self, *, accept: bool = False) -> Patch:
        return conflict.resolution(self.settings, self.repo, self.patch, self.new, EPOCH, accept=accept)


@pytest.fixture
def case(private_settings: Settings, tmp_path: Path) -> Case:
    env = {**private_settings.environ, "PATH": os.environ["PATH"]}
    return Case(replace(private_settings, environ=env), tmp_path)


def test_the_whole_patch_is_in_the_tree_and_in_what_is_made_of_it(case: Case) -> None:
    assert not (case.tree / GONE).exists()
    assert (case.tree / HIDDEN).read_bytes() == b"z = 1\n"
    assert "<<<<<<< " in (case.tree / CODE).read_text()
    with pytest.raises(ConflictError, match="conflict markers"):
        case.resolution(accept=True)
    (case.tree / CODE).write_text("x = 23\n")
    made = case.resolution()
    assert set(made.paths) == {CODE, GONE, HIDDEN}
    assert "y = 1" in made.data.decode()


def test_what_is_no_python_is_not_taken(case: Case) -> None:
    (case.tree / CODE).write_text("x = (\n")
    with pytest.raises(ConflictError, match="not Python"):
        case.resolution()


def test_a_tree_that_nobody_touched_is_taken_only_on_a_word(case: Case) -> None:
    (case.tree / CODE).write_text("x = 23\n")
    laid_out = conflict._tree_of(case.settings, case.patch, case.settings.environ)
    (conflict.folder(case.settings) / "laid-out").write_text(laid_out)
    with pytest.raises(ConflictError, match="is unchanged since it was laid out") as error:
        case.resolution()
    assert "--accept" in error.value.remedy
    assert case.resolution(accept=True).paths
