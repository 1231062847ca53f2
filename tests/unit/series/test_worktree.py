from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from helpers import RELEASE, interrupted, make_patch, release_repo
from webui_fork.core.errors import ApplyError, SeriesError
from webui_fork.core.git import Repo
from webui_fork.core.settings import Settings
from webui_fork.series import apply, worktree
from webui_fork.series import patch as series_patch

MODELS = "backend/open_webui/utils/models.py"
EPOCH = 1_700_000_000


@pytest.fixture
def place(private_settings: Settings, tmp_path: Path) -> tuple[Settings, Repo, str, list[series_patch.Patch], Path]:
    settings = replace(private_settings, cache=tmp_path)
    repo, release = release_repo(tmp_path)
    changed = RELEASE[MODELS].replace(b"line_3 = 3\n", b"line_3 = 4\n")
    data, _ = make_patch(repo, release, {MODELS: changed}, "First")
    settings.patches.mkdir()
    (settings.patches / "first.patch").write_bytes(data)
    (settings.patches / "series").write_text("first.patch\n")
    return settings, repo, release, [series_patch.parse("first.patch", data)], settings.out / "worktree"


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=An Author", "-c", "user.email=a@fork.invalid"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def test_apply_then_export_changes_no_byte(place: tuple[Settings, Repo, str, list[series_patch.Patch], Path]) -> None:
    settings, repo, release, patches, folder = place
    tree = worktree.apply(settings, repo, release, patches, EPOCH, folder, upto_failure=False)
    assert tree.applied == 1
    assert b"line_3 = 4" in (folder / MODELS).read_bytes()
    exported = worktree.export(repo, worktree.commits_of(settings, folder))
    assert [patch.data for patch in exported] == [patch.data for patch in patches]


def test_an_edit_becomes_a_patch_with_a_header(
    place: tuple[Settings, Repo, str, list[series_patch.Patch], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, repo, release, patches, folder = place
    worktree.apply(settings, repo, release, patches, EPOCH, folder, upto_failure=False)
    with pytest.raises(SeriesError, match="Nothing is changed"):
        worktree.new(settings, folder, "Second thing", "Why", "none", "1.2.3", front_end=False)
    (folder / "backend/new.py").write_text("x = 1\n")
    with pytest.raises(SeriesError, match="not committed"):
        worktree.commits_of(settings, folder)
    assert (
        worktree.new(settings, folder, "Second thing", "Why", "none", "1.2.3", front_end=False) == "second-thing.patch"
    )
    exported = worktree.export(repo, worktree.commits_of(settings, folder))
    with monkeypatch.context() as patched:
        interrupted(patched, worktree, "write_order")
        with pytest.raises(KeyboardInterrupt):
            worktree.write(settings, exported)
    assert [patch.name for patch in apply.read_series(settings.patches)[1]] == ["first.patch", "second-thing.patch"]
    (settings.patches / "second-thing.patch").unlink()
    assert worktree.write(settings, exported) == ("second-thing.patch",)
    assert (settings.patches / "series").read_text().splitlines()[1:] == ["first.patch", "second-thing.patch"]
    assert exported[1].field("Proof") == "tests/proofs/test_second_thing.py"
    proof = settings.root / "tests/proofs/test_second_thing.py"
    compile(proof.read_text(), proof, "exec")
    assert "def test_second_thing(webui: Site)" in proof.read_text()
    assert worktree.write(settings, exported[1:]) == ("first.patch (removed)",)


def test_a_new_patch_bears_the_name_of_git_s_user_and_leaves_a_proof_alone(
    place: tuple[Settings, Repo, str, list[series_patch.Patch], Path],
) -> None:
    settings, repo, release, patches, folder = place
    for words in (["init", "--quiet"], ["config", "user.name", "Ada"], ["config", "user.email", "ada@example.org"]):
        git(settings.root, *words)
    worktree.apply(settings, repo, release, patches, EPOCH, folder, upto_failure=False)
    proof = settings.root / "tests/proofs/test_second_thing.py"
    proof.parent.mkdir(parents=True)
    proof.write_text("# mine\n")
    (folder / "backend/new.py").write_text("x = 1\n")
    worktree.new(settings, folder, "Second thing", "Why", "none", "1.2.3", front_end=False)
    assert worktree.export(repo, worktree.commits_of(settings, folder))[1].author == "Ada <ada@example.org>"
    assert proof.read_text() == "# mine\n"


@pytest.mark.parametrize(
    ("path", "words"),
    [("src/lib/x.svelte", "belongs to the front end"), ("LICENSE", "clause 4"), ("a/.wh.b", "whiteout")],
)
def test_what_no_patch_may_change_is_refused_at_once(
    place: tuple[Settings, Repo, str, list[series_patch.Patch], Path], path: str, words: str
) -> None:
    settings, repo, release, patches, folder = place
    worktree.apply(settings, repo, release, patches, EPOCH, folder, upto_failure=False)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text("x\n")
    with pytest.raises(SeriesError, match="No patch may change that") as caught:
        worktree.new(settings, folder, "Second thing", "Why", "none", "1.2.3", front_end=False)
    assert words in caught.value.why
    git(folder, "reset", "--quiet", "--hard")
    with pytest.raises(SeriesError, match="Nothing is changed"):  # nothing was committed
        worktree.new(settings, folder, "Second thing", "Why", "none", "1.2.3", front_end=False)


def test_work_that_is_not_exported_is_not_thrown_away(
    place: tuple[Settings, Repo, str, list[series_patch.Patch], Path],
) -> None:
    settings, repo, release, patches, folder = place
    worktree.apply(settings, repo, release, patches, EPOCH, folder, upto_failure=False)
    (folder / MODELS).write_text("mine\n")
    with pytest.raises(SeriesError, match="not in patches/ yet"):
        worktree.apply(settings, repo, release, patches, EPOCH, folder, upto_failure=False)
    git(folder, "commit", "-q", "-a", "-m", "Mine")
    with pytest.raises(SeriesError, match="not in patches/ yet"):
        worktree.apply(settings, repo, release, patches, EPOCH, folder, upto_failure=False)
    assert (folder / MODELS).read_text() == "mine\n"
    git(folder, "reset", "-q", "--hard", "HEAD~1")
    worktree.apply(settings, repo, release, patches, EPOCH, folder, upto_failure=False)


def test_a_folder_that_is_no_worktree_is_not_touched(
    place: tuple[Settings, Repo, str, list[series_patch.Patch], Path], tmp_path: Path
) -> None:
    settings, repo, release, patches, _ = place
    own = tmp_path / "own"
    own.mkdir()
    (own / "thesis").write_text("precious")
    with pytest.raises(SeriesError, match="is not a worktree"):
        worktree.apply(settings, repo, release, patches, EPOCH, own, upto_failure=False)
    assert (own / "thesis").exists()


def test_upto_failure_stops_before_the_patch_that_fails(
    place: tuple[Settings, Repo, str, list[series_patch.Patch], Path],
) -> None:
    settings, repo, release, patches, folder = place
    elsewhere, _ = make_patch(repo, release, {MODELS: RELEASE[MODELS].replace(b"line_3 = 3", b"line_3 = 5")}, "Second")
    both = [*patches, series_patch.parse("second.patch", elsewhere)]
    with pytest.raises(ApplyError):
        worktree.apply(settings, repo, release, both, EPOCH, folder, upto_failure=False)
    tree = worktree.apply(settings, repo, release, both, EPOCH, folder, upto_failure=True)
    assert tree.applied == 1
    assert tree.stopped_at
    assert "second.patch" in tree.stopped_at.what
    # what did not go on is kept by an export, not deleted
    (settings.patches / "second.patch").write_bytes(elsewhere)
    exported = worktree.export(repo, worktree.commits_of(settings, folder))
    assert worktree.write(settings, exported, worktree.pending(settings, folder)) == ()
    assert (settings.patches / "series").read_text().splitlines()[1:] == ["first.patch", "second.patch"]
    assert (settings.patches / "second.patch").read_bytes() == elsewhere


def test_an_empty_worktree_does_not_delete_the_series(
    place: tuple[Settings, Repo, str, list[series_patch.Patch], Path],
) -> None:
    settings, *_ = place
    with pytest.raises(SeriesError, match="no patch would be left"):
        worktree.write(settings, ())
    assert (settings.patches / "first.patch").exists()


def test_two_commits_of_one_name_and_merges_are_refused(
    place: tuple[Settings, Repo, str, list[series_patch.Patch], Path],
) -> None:
    settings, repo, release, patches, folder = place
    worktree.apply(settings, repo, release, patches, EPOCH, folder, upto_failure=False)
    (folder / MODELS).write_text("x = 1\n")
    git(folder, "commit", "-q", "-a", "-m", "First")
    with pytest.raises(SeriesError, match="Two commits"):
        worktree.export(repo, worktree.commits_of(settings, folder))
