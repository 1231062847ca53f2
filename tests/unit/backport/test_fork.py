from __future__ import annotations

import pytest

from helpers import Talk
from remote_fix import World
from webui_fork.backport import fork
from webui_fork.core.errors import SourceError, UsageError


@pytest.mark.parametrize(
    "words",
    ["", "main", "https://host/repo", "https://host/repo#--upload-pack=x", "https://host/repo#a..b", "ext::sh#main",
     "https://me:key@host/r#main"],
)  # fmt: skip
def test_what_is_no_remote_and_ref_is_refused(world: World, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        fork.adopt(world.settings, Talk(), words, None)
    assert "key" not in caught.value.what


def test_a_ref_that_the_remote_has_not_is_an_error_in_words(world: World) -> None:
    with pytest.raises(SourceError, match="Could not fetch nothing"):
        fork.adopt(world.settings, Talk(), f"file://{world.remote}#nothing", None)


@pytest.mark.parametrize("package", [None, "{", "[]", '{"version": 7}', '{"version": "main"}'])
def test_a_fork_that_names_no_release_is_refused(world: World, package: str | None) -> None:
    if package is not None:
        world.put("package.json", package)
        world.fix("package")
    with pytest.raises(UsageError, match="names no release"):
        fork.adopt(world.settings, Talk(), f"file://{world.remote}#{world.git('branch', '--show-current')}", None)
