from __future__ import annotations

from pathlib import Path

import pytest

from helpers import RELEASE, make_patch, release_repo
from webui_fork.core.errors import ApplyError, SeriesError
from webui_fork.series import apply
from webui_fork.series import patch as series_patch
from webui_fork.sources import archive
from webui_fork.sources import release as sources_release

MODELS = "backend/open_webui/utils/models.py"
EPOCH = 1_700_000_000


def change(number: int, to: str) -> dict[str, bytes | None]:
    return {MODELS: RELEASE[MODELS].replace(f"line_{number} = {number}\n".encode(), f"line_{number} = {to}\n".encode())}


def test_the_series_goes_on_as_commits_that_are_the_same_everywhere(tmp_path: Path) -> None:
    heads = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        repo, release = release_repo(tmp_path / name)
        first, parent = make_patch(repo, release, change(3, "'x'"), "First")
        second, _ = make_patch(repo, parent, {"backend/new.py": b"y = 1\n"}, "Second")
        patches = [series_patch.parse("first.patch", first), series_patch.parse("second.patch", second)]
        tree = apply.apply(repo, release, patches, EPOCH)
        assert [apply.export(repo, commit) for commit in tree.commits] == [first, second]
        heads.add(tree.head)
        assert {found.path: found.data for found in apply.changes(repo, tree)} == {
            MODELS: change(3, "'x'")[MODELS],
            "backend/new.py": b"y = 1\n",
        }
    assert len(heads) == 1


def test_an_empty_series_is_the_release(tmp_path: Path) -> None:
    repo, release = release_repo(tmp_path)
    tree = apply.apply(repo, release, [], EPOCH)
    assert tree.head == release
    assert apply.changes(repo, tree) == ()


def test_a_removed_file_is_a_change_without_content(tmp_path: Path) -> None:
    repo, release = release_repo(tmp_path)
    data, _ = make_patch(repo, release, {MODELS: None})
    tree = apply.apply(repo, release, [series_patch.parse("do-a-thing.patch", data)], EPOCH)
    assert apply.changes(repo, tree) == (apply.Change(MODELS, 0, None),)


def test_what_does_not_apply_names_patch_hunk_and_nearest_lines(tmp_path: Path) -> None:
    repo, release = release_repo(tmp_path)
    data, _ = make_patch(repo, release, change(20, "0"))
    moved = {**RELEASE, MODELS: RELEASE[MODELS].replace(b"line_19 = 19", b"line_19 = 'new'")}
    other = sources_release._import(repo, _members(moved), "refs/releases/2/x", "2\n", EPOCH)
    with pytest.raises(ApplyError) as caught:
        apply.apply(repo, other, [series_patch.parse("do-a-thing.patch", data)], EPOCH)
    text = str(caught.value)
    assert "patches/do-a-thing.patch does not apply: hunk 1 of " + MODELS in text
    assert "line_19 = 'new'" in text
    assert "nox -s patches -- apply" in text


def _members(files: dict[str, bytes]) -> list[archive.Member]:
    return [archive.Member(path, data) for path, data in sorted(files.items())]


def test_context_must_match_exactly(tmp_path: Path) -> None:
    """No fuzz: one changed line of context is a refusal, though patch(1) would let it pass."""
    repo, release = release_repo(tmp_path)
    data, _ = make_patch(repo, release, change(20, "0"))
    moved = {**RELEASE, MODELS: RELEASE[MODELS].replace(b"line_17 = 17\n", b"line_17 = 17  # touched\n")}
    other = sources_release._import(repo, _members(moved), "refs/releases/2/x", "2\n", EPOCH)
    with pytest.raises(ApplyError):
        apply.apply(repo, other, [series_patch.parse("do-a-thing.patch", data)], EPOCH)


def test_a_file_that_no_longer_compiles_is_refused(tmp_path: Path) -> None:
    repo, release = release_repo(tmp_path)
    data, _ = make_patch(repo, release, change(3, "(("))
    with pytest.raises(SeriesError, match="breaks 1 rule") as caught:
        apply.apply(repo, release, [series_patch.parse("do-a-thing.patch", data)], EPOCH)
    assert "compiles" in caught.value.why


def test_a_hand_edited_patch_is_not_canonical(tmp_path: Path) -> None:
    repo, release = release_repo(tmp_path)
    data, _ = make_patch(repo, release, change(3, "0"))
    for loose in (data + b"-- \n2.39.5\n", data.replace(b"\n\ndiff", b"\n---\n\ndiff", 1)):
        patch = series_patch.parse("do-a-thing.patch", loose)
        with pytest.raises(SeriesError) as caught:
            apply.apply(repo, release, [patch], EPOCH)
        assert "canonical" in caught.value.why
        (commit,) = apply.apply(repo, release, [patch], EPOCH, check=False).commits
        assert apply.export(repo, commit) == data


def test_a_failed_check_is_not_remembered_as_passed(tmp_path: Path) -> None:
    repo, release = release_repo(tmp_path)
    data, _ = make_patch(repo, release, change(3, "(("))
    for _ in range(2):
        with pytest.raises(SeriesError):
            apply.apply(repo, release, [series_patch.parse("do-a-thing.patch", data)], EPOCH)


def test_reading_a_folder_refuses_an_unlisted_patch(tmp_path: Path) -> None:
    (tmp_path / "series").write_text("")
    (tmp_path / "stray.patch").write_text("")
    with pytest.raises(SeriesError) as caught:
        apply.read_series(tmp_path)
    assert "patches/stray.patch: unlisted" in caught.value.why
