"""A fork of forty commits becomes a series that gives its files again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import made_fork
from helpers import Talk
from webui_fork.backport import fork
from webui_fork.backport.fork import Adopted
from webui_fork.core import git
from webui_fork.core.git import Repo
from webui_fork.core.settings import Settings
from webui_fork.rebase import releases
from webui_fork.rebase.cherry_pick import Outcome
from webui_fork.series import apply


@pytest.fixture(scope="module")
def repo(real: Settings) -> Repo:
    return git.repository(real)


@pytest.fixture(scope="module")
def base(real: Settings) -> str:
    """The commit of the fork's release."""
    (one,) = releases.named(real, Talk(), [made_fork.RELEASE])
    return one.commit


@pytest.fixture(scope="module")
def folder(repo: Repo, base: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fork")
    assert len(made_fork.make(repo, base, folder)) >= 40
    return folder


@pytest.fixture(scope="module")
def adopted(real: Settings, folder: Path) -> Adopted:
    every = releases.of_range

    def two(settings: Settings, ui: Talk, first: str, last: str | None) -> list[releases.Release]:
        return [*every(settings, ui, first, "0.10.0")[:1], *every(settings, ui, "0.12.3", "0.12.4")[1:]]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(releases, "of_range", two)  # all of them take two minutes
        return fork.adopt(real, Talk(), f"file://{folder}#main", None)


def test_the_series_gives_the_forks_files_again(repo: Repo, base: str, folder: Path, adopted: Adopted) -> None:
    assert adopted.version == made_fork.RELEASE
    head = apply.apply(repo, base, adopted.patches, 1_700_000_000).head
    left = {one.path.partition(":")[0] for one in adopted.left}
    listed = repo.git.diff_tree("-r", "--name-only", "--no-renames", base, Repo(folder).resolve("HEAD")).splitlines()
    kept = [path for path in listed if path not in left]
    assert len(kept) > 20
    for path in kept:
        assert repo.read_file(head, path) == (folder / path).read_bytes(), path
    name = b"WEBUI_NAME = 'Ours'"
    assert name in (folder / "backend/open_webui/env.py").read_bytes()
    assert name not in (repo.read_file(head, "backend/open_webui/env.py") or b"")


def test_what_belongs_together_is_one_patch(adopted: Adopted) -> None:
    by_name = {patch.name: patch for patch in adopted.patches}
    assert by_name["add-sign-in-trail.patch"].paths == (
        "backend/open_webui/routers/auths.py",
        "backend/open_webui/utils/sign_in_trail.py",
    )
    assert by_name["add-chat-quota.patch"].paths == (
        "backend/open_webui/env.py",
        "backend/open_webui/utils/chat_quota.py",
    )
    assert 25 <= len(by_name) <= 35  # the made commits that a series can hold are 33, of which some are in one function


def test_what_no_patch_may_hold_is_named(adopted: Adopted) -> None:
    left = {one.path.partition(":")[0]: one.why for one in adopted.left}
    assert left.keys() == {
        ".github/workflows/ours.yml", "Dockerfile", "FLEET.md", "README.md", "backend/open_webui/env.py",
        "backend/requirements.txt", "package.json", "static/favicon.svg",
    }  # fmt: skip
    assert "name or logo" in left["backend/open_webui/env.py"]
    assert "clause 4" in left["static/favicon.svg"]
    assert "locks" in left["backend/requirements.txt"]


def test_it_says_how_far_each_patch_would_have_gone(adopted: Adopted) -> None:
    reach = dict(adopted.reach)
    assert reach.keys() == {patch.name for patch in adopted.patches}
    assert {version for cells in reach.values() for version, _ in cells} == {"0.12.4"}
    outcomes = [outcome for cells in reach.values() for _, outcome in cells]
    assert outcomes.count(Outcome.CONFLICT) < len(outcomes) / 4


def test_the_fork_says_of_which_release_it_is(folder: Path) -> None:
    assert json.loads((folder / "package.json").read_text())["version"] == made_fork.RELEASE
