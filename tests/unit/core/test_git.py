from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from helpers import release_repo
from webui_fork.core import git
from webui_fork.core.errors import SourceError, ToolError, UsageError
from webui_fork.core.settings import Settings

MODELS = "backend/open_webui/utils/models.py"
WHO = {
    **{f"GIT_{role}_NAME": "A" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_EMAIL": "a@fork.invalid" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_DATE": "1700000000 +0000" for role in ("AUTHOR", "COMMITTER")},
}


def test_a_clone_that_git_can_not_read_is_not_taken_for_clean(private_settings: Settings) -> None:
    assert git.checkout_state(private_settings) == ("", False)
    (private_settings.root / ".git").mkdir()
    with pytest.raises(ToolError, match="can't tell"):
        git.checkout_state(private_settings)


def test_what_git_says_is_the_reason(tmp_path: Path) -> None:
    repo, _ = release_repo(tmp_path)
    with pytest.raises(ToolError, match="git read-tree failed") as caught:
        repo.git.read_tree("nowhere")
    assert caught.value.why.startswith("fatal: ")
    assert "stderr" not in caught.value.why
    assert repo.resolve("nowhere") is None


def test_nothing_found_is_no_failure_and_a_failure_is_not_nothing(tmp_path: Path) -> None:
    repo, commit = release_repo(tmp_path)
    assert repo.grep("-h", "-F", "line_7 ", commit) == "line_7 = 7"
    assert repo.grep("-F", "no such line", commit) == ""
    with pytest.raises(ToolError, match="git grep failed"):
        repo.grep("-F", "line_7 ", "nowhere")
    with pytest.raises(ToolError, match="has no object 0000"):
        repo.read_blob("0" * 40)


def test_a_folder_that_is_no_repository_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is not a git repository"):
        git.Repo(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match="can't be made"):
        git.bare(tmp_path / "file/repo", os.environ)


def test_a_commit_needs_no_worktree_and_touches_no_index(tmp_path: Path) -> None:
    repo, parent = release_repo(tmp_path)
    folders: list[Path] = []

    def stage(folder: Path, env: Mapping[str, str]) -> None:
        assert list(folder.iterdir()) == []
        folders.append(folder)
        repo.git.rm("--cached", "--quiet", MODELS, env=env)

    commit = repo.commit(parent, "Take it away\n\nfor a reason\n", WHO, stage)
    assert commit == repo.commit(parent, "Take it away\n\nfor a reason\n", WHO, stage)
    assert repo.git.rev_parse(f"{commit}^") == parent
    assert set(repo.paths(parent)) - set(repo.paths(commit)) == {MODELS}
    assert repo.git.show("-s", "--format=%an %at%n%B", commit) == "A 1700000000\nTake it away\n\nfor a reason\n"
    assert not (repo.folder / "index").exists()
    assert not any(folder.exists() for folder in folders)


def test_a_rebase_starts_from_a_clean_commit(private_settings: Settings) -> None:
    git.run(private_settings.root, "init", "--quiet", env=os.environ)
    with pytest.raises(UsageError, match="has no commit yet"):
        git.require_clean(private_settings)
    git.run(private_settings.root, "commit", "--quiet", "--allow-empty", "-m", "x", env={**os.environ, **WHO})
    (private_settings.root / "new").touch()
    with pytest.raises(UsageError, match="not committed"):
        git.require_clean(private_settings)
    (private_settings.root / "new").unlink()
    assert git.checkout_state(private_settings) == (git.require_clean(private_settings), False)
