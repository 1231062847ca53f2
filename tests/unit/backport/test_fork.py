from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parseaddr
from pathlib import Path

import pytest

from helpers import Talk
from remote_fix import World
from webui_fork.backport import fork
from webui_fork.backport.fork import Adopted
from webui_fork.config.upstream_lock import Lock, PinnedFile
from webui_fork.core import git
from webui_fork.core import settings as core_settings
from webui_fork.core.errors import SourceError, UsageError
from webui_fork.core.git import Repo
from webui_fork.core.settings import CHECKOUT
from webui_fork.series import apply
from webui_fork.sources import release
from webui_fork.sources.archive import Member

EPOCH = 1_700_000_000


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


@pytest.mark.parametrize("package", [None, "{", "[]", '{"version": 7}', '{"version": "main"}', "[" * 200_000])
def test_a_fork_that_names_no_release_is_refused(world: World, package: str | None) -> None:
    if package is not None:
        world.put("package.json", package)
        world.fix("package")
    with pytest.raises(UsageError, match="names no release"):
        fork.adopt(world.settings, Talk(), f"file://{world.remote}#{world.git('branch', '--show-current')}", None)


@dataclass(frozen=True)
class Made:
    """A release and a fork of it in one repository, and what became of them."""

    repo: Repo
    release: str
    fork: str
    adopted: Adopted

    def file(self, path: str) -> bytes | None:
        """Return a file of the release with the series."""
        head = apply.apply(self.repo, self.release, self.adopted.patches, EPOCH).head
        return self.repo.read_file(head, path)

    @property
    def left(self) -> dict[str, str]:
        """What no patch holds, and why."""
        return {one.path: one.why for one in self.adopted.left}


def _adopted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, old: dict[str, bytes], new: dict[str, bytes],
    *, executables: frozenset[str] = frozenset(), author: str = "A",
) -> Made:  # fmt: skip
    repo = git.bare(folder / "source.git", os.environ)
    commits = []
    for number, files in enumerate((old, new)):
        members = [Member(path, data, number == 1 and path in executables) for path, data in sorted(files.items())]
        monkeypatch.setattr(release, "AUTHOR", author if number else "upstream")
        commits.append(release._import(repo, members, f"refs/x/{number}", "x\n", EPOCH))
    pin = PinnedFile("open_webui-1.2.3.tar.gz", 1, "0" * 64)
    lock = Lock("1.2.3", datetime(2026, 1, 2, tzinfo=UTC), pin, pin, None, ())
    obtained = fork._Fork(repo, "https://host/r.git", commits[1], lock, commits[0], is_newest=True)
    monkeypatch.setattr(fork, "_obtain", lambda *_: obtained)
    settings = core_settings.load({"HOME": str(folder), "PATH": os.environ["PATH"]}, root=CHECKOUT)
    return Made(repo, commits[0], commits[1], fork.adopt(settings, Talk(), "x", None))


B = "backend/open_webui"
CODE = b"import os\n\n\ndef f(a):\n    return a\n\n\ndef g(a):\n    return a\n"


def test_the_series_gives_the_files_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = {
        f"{B}/a.py": CODE,
        f"{B}/gone.py": b"x = 1\n",
        f"{B}/crlf.py": b"x = 1\r\ny = 2\r\n",
        f"{B}/tail.py": b"x = 1",
    }
    new = {
        f"{B}/a.py": CODE.replace(b"import os\n", b"import sys\nimport os\nimport secrets\n").replace(
            b"def f(a):\n    return a", b"def f(a):\n    return secrets"
        ),
        f"{B}/new.py": b"import os\n\nLIMIT = 7\n\n\ndef limit():\n    return LIMIT\n",
        f"{B}/crlf.py": b"x = 1\r\ny = 3\r\n",
        f"{B}/tail.py": b"x = 1\n\n\ndef more():\n    return 1",
        f"{B}/run.sh": b"echo 1\n",
    }
    series = _adopted(tmp_path, monkeypatch, old, new, executables=frozenset({f"{B}/run.sh"}))
    assert not series.left
    for path in old | new:
        assert series.file(path) == new.get(path), path
    subjects = {patch.subject: patch for patch in series.adopted.patches}
    assert b"+import secrets\n" in subjects["Change f in a"].data
    assert b"sys" not in subjects["Change f in a"].data
    assert b"+import sys\n" in subjects["Arrange imports"].data
    assert b"new file mode 100755" in subjects["Add run"].data


def test_what_no_patch_can_hold_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = {f"{B}/run.sh": b"x\n", f"{B}/emptied.py": b"x = 1\n", f"{B}/was.py": b"", f"{B}/folder/z.py": b"z = 1\n"}
    new = {f"{B}/run.sh": b"x\n", f"{B}/emptied.py": b"", f"{B}/pkg/__init__.py": b"", f"{B}/folder": b"z = 1\n"}
    new |= {f"{B}/\u00e4 b.py": b"x = 1\n", f'{B}/a"b.py': b"x = 1\n"}
    new |= {f"{B}/nul.py": b"x = '\0'\n", f"{B}/latin.py": b"# \xe9\n"}
    old["src/x.svelte"], new["src/x.svelte"] = b"a\n", b"b\n"
    series = _adopted(tmp_path, monkeypatch, old, new, executables=frozenset({f"{B}/run.sh"}))
    assert series.left == {
        f"{B}/run.sh": "only its mode changes",
        f"{B}/emptied.py": EMPTY,
        f"{B}/was.py": EMPTY,
        f"{B}/pkg/__init__.py": EMPTY,
        f"{B}/\u00e4 b.py": "a name that git quotes in a patch",
        f'{B}/a"b.py': "a name that git quotes in a patch",
        f"{B}/nul.py": "not text",
        f"{B}/latin.py": "not text",
        f"{B}/folder": "a file in place of a folder, or the other way around",
    }
    assert {patch.subject for patch in series.adopted.patches} == {"Remove z", "Change x"}


EMPTY = "an empty file, which has no lines for a patch: put a comment into it"


def test_a_file_with_a_marked_line_keeps_all_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = b"import os\nfrom xml import ET\n\nWEBUI_NAME = 'Open WebUI'\n\n\ndef f(a):\n    return ET\n"
    new = old.replace(b"import os\n", b"import os\nimport sys\n").replace(b"from xml", b"from defused")
    new = new.replace(b"'Open WebUI'", b"'Ours'").replace(b"return ET", b"return ET, sys")
    series = _adopted(tmp_path, monkeypatch, {f"{B}/env.py": old}, {f"{B}/env.py": new})
    assert series.file(f"{B}/env.py") == new.replace(b"'Ours'", b"'Open WebUI'")
    (place,) = series.left
    assert series.left[place].startswith("2 lines with one about the product's name")


def test_a_patch_that_lint_refuses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = b"from env import WEBUI_NAME, A\n\n\ndef f():\n    return A\n"
    new = b"from env import WEBUI_NAME, A, B\n\n\ndef f():\n    return A, B\n"
    series = _adopted(tmp_path, monkeypatch, {f"{B}/a.py": old}, {f"{B}/a.py": new})
    assert "which lint refuses" in series.left["patches/change-f-in-a.patch"]


@pytest.mark.parametrize("author", ["Doe, John", "renovate[bot]", "a@b.c", 'Jo "the" X', "J. R. \u00c4"])
def test_any_author_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, author: str) -> None:
    series = _adopted(tmp_path, monkeypatch, {f"{B}/a.py": CODE}, {f"{B}/a.py": CODE + b"x = 1\n"}, author=author)
    (patch,) = series.adopted.patches
    assert parseaddr(patch.author)[0] == author
    assert series.file(f"{B}/a.py") == CODE + b"x = 1\n"
