from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import requests

import osv
from helpers import Server, Talk
from webui_fork.core import git as core_git
from webui_fork.core.errors import ConflictError
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.image import refresh_locks
from webui_fork.publish import refresh
from webui_fork.publish.audit import Finding, Queried
from webui_fork.publish.refresh_report import ImageSummary, Locked, RefreshReport
from webui_fork.rebase import candidate, state


@pytest.fixture
def own(private_settings: Settings) -> Settings:
    for name in ("images/open-webui/debian.lock", "images/open-webui/requirements.lock", "requirements/tool.lock"):
        (private_settings.root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, private_settings.root / name)
    shutil.copy(CHECKOUT / "upstream.lock", private_settings.root)
    return private_settings


def test_every_lock_s_packages_are_asked_about(own: Settings) -> None:
    rows = refresh.packages(own)
    assert {item.lock for item in rows} == {
        "images/open-webui/debian.lock", "images/open-webui/requirements.lock", "requirements/tool.lock",
    }  # fmt: skip
    bash = next(item for item in rows if item.name == "bash")
    assert (bash.ecosystem, bash.source) == ("Debian:12", "bash")
    assert next(item for item in rows if item.name == "bsdutils").source == "util-linux"
    assert {item.ecosystem for item in rows if item.name == "requests"} == {"PyPI"}


def test_two_packages_of_one_source_have_its_vulnerabilities(server: Server) -> None:
    osv.serve(server, {("util-linux", "2"): ["DSA-1"], ("x", "1"): ["GHSA-1", "GHSA-2"]})
    mount, bsd = (
        Locked("a", name, version, "Debian:12", "util-linux") for name, version in (("mount", "2"), ("b", "2+b1"))
    )
    x, y = (Locked("b", name, "1", "PyPI", name) for name in ("x", "y"))
    judged = osv.document(osv.judgement("pkg:pypi/x@1", name="GHSA-2"))
    with requests.Session() as http:
        database = refresh._Database(http, server.url, judged)
        ids = database.ids([mount, bsd, x, y])
        assert {item.name: sorted(own) for item, own in ids.items()} == {
            "mount": ["DSA-1"], "b": ["DSA-1"], "x": ["GHSA-1", "GHSA-2"], "y": [],
        }  # fmt: skip
        fixable = database.fixable(ids)
    assert {item.name: [finding.id for finding in findings] for item, findings in fixable.items()} == {"x": ["GHSA-1"]}


def test_a_package_with_two_versions_is_asked_about_twice(own: Settings) -> None:
    (own.root / "requirements/docs.lock").write_text(
        "x==1 ; a \\\n    --hash=sha256:0\nx==2 ; b \\\n    --hash=sha256:1\n"
    )
    assert [item.version for item in refresh.packages(own) if item.lock == "requirements/docs.lock"] == ["1", "2"]


def test_nothing_is_read_but_locks_of_packages(own: Settings, tmp_path: Path) -> None:
    (own.root / "images/upstream").mkdir()
    (own.root / "images/upstream/bases.lock").write_text("no package")
    assert not [item for item in refresh.packages(own) if "upstream" in item.lock]


@pytest.fixture
def repository(own: Settings) -> Settings:
    """A checkout of git, with what a refresh reads before it asks anybody."""
    folder = own.root / "images/open-webui"
    shutil.copy(CHECKOUT / "images/open-webui/vex.openvex.json", folder)
    (own.root / ".gitignore").write_text("out/\n")
    git(own, "init", "--quiet")
    for key in ("name", "email"):
        git(own, "config", f"user.{key}", "x@example.org")
    git(own, "add", "--all")
    git(own, "commit", "--quiet", "-m", "x")
    return own


def git(settings: Settings, *words: str) -> str:
    return core_git.in_checkout(settings, *words).stdout.strip()


def test_a_rebase_under_way_comes_first(repository: Settings, talk: Talk) -> None:
    state.write(repository, state.State("0" * 40, (CHECKOUT / "upstream.lock").read_text(), gate=False))
    with pytest.raises(ConflictError, match="A rebase is under way"):
        refresh.run(repository, talk, "http://127.0.0.1:9")


REPORT = RefreshReport((), (), ImageSummary("v1-p1"), ImageSummary("v1-p2"))


def committed(own: Settings, *_: object) -> RefreshReport:
    """Do what a refresh does to the worktree."""
    (own.root / "upstream.lock").write_text("new\n")
    git(own, "commit", "--quiet", "--all", "-m", "locks")
    return REPORT


def test_a_refresh_is_one_step_of_the_checkout(
    repository: Settings, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "_refresh", committed)
    assert refresh.run(repository, talk, "http://127.0.0.1:9") == REPORT
    assert (repository.root / "upstream.lock").read_text() == "new\n"
    assert git(repository, "log", "--format=%s") == "locks\nx"
    assert sorted(path.name for path in (repository.out / "refresh").iterdir()) == ["report.json", "report.md"]


def test_a_dry_run_only_tells(repository: Settings, talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "_refresh", committed)
    before = (repository.root / "upstream.lock").read_text()
    assert refresh.run(repository, talk, "http://127.0.0.1:9", dry_run=True) == REPORT
    assert (repository.root / "upstream.lock").read_text() == before
    assert git(repository, "log", "--format=%s") == "x"
    assert git(repository, "worktree", "list").count("\n") == 0
    assert not (repository.out / "refresh/report.json").exists()


def test_what_a_person_did_meanwhile_stays(repository: Settings, talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    def beside(own: Settings, *_: object) -> RefreshReport:
        (repository.root / "mine").write_text("mine\n")
        git(repository, "add", "mine")
        git(repository, "commit", "--quiet", "-m", "mine")
        return committed(own)

    monkeypatch.setattr(refresh, "_refresh", beside)
    with pytest.raises(ConflictError, match="changed meanwhile") as caught:
        refresh.run(repository, talk, "http://127.0.0.1:9")
    assert git(repository, "log", "--format=%s") == "mine\nx"
    assert git(repository, "worktree", "list").count("\n") == 0
    commit = caught.value.remedy.split("commit ")[1].split(":")[0]
    assert git(repository, "show", "--format=%s", "--no-patch", commit) == "locks"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_whatever_comes_in_between_leaves_the_checkout_as_it_was(
    repository: Settings, talk: Talk, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def broken(own: Settings, *_: object) -> RefreshReport:
        (own.root / "upstream.lock").write_text("half\n")
        raise error

    monkeypatch.setattr(refresh, "_refresh", broken)
    (repository.out / "refresh").mkdir(parents=True)
    (repository.out / "refresh/report.json").write_text("of last week")
    with pytest.raises(error):
        refresh.run(repository, talk, "http://127.0.0.1:9")
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "worktree", "list").count("\n") == 0
    assert not (repository.out / "refresh/report.json").exists()


VULNERABLE = Finding(Queried("PyPI", "x", "1"), "GHSA-1", (), "", ("2",))


class Asked:
    """A database that knows of what it is told, until the tools' locks were written twice."""

    def __init__(self, calls: list[Any], fixable: dict[Locked, tuple[Finding, ...]]) -> None:
        self.calls, self.answer = calls, fixable

    def at(self, place: Settings) -> Asked:
        return self

    def ids(self, packages: Iterable[Locked]) -> dict[Locked, frozenset[str]]:
        return {item: frozenset() for item in packages}

    def fixable(self, ids: object) -> dict[Locked, tuple[Finding, ...]]:
        return self.answer if len(self.calls) < 3 else {}


def refreshed(own: Settings, talk: Talk, monkeypatch: pytest.MonkeyPatch, lock: str) -> list[Any]:
    """Refresh where a package of one lock has a fix; return what was moved, and what the documents were told."""
    calls: list[Any] = []
    before, after = (Locked(lock, "x", version, "PyPI", "x") for version in ("1", "2"))
    monkeypatch.setattr(refresh, "packages", lambda _own: (after if calls else before,))
    monkeypatch.setattr(refresh, "_image", lambda _own, _ui: ImageSummary("v1-p1", "sha256:aa", 1))
    monkeypatch.setattr(
        refresh_locks, "refresh", lambda _own, _ui, _version, moves, strict: calls.append((moves, strict))
    )
    monkeypatch.setattr(refresh_locks, "refresh_tools", lambda _own, _ui, at_once=(): calls.append(list(at_once)))
    monkeypatch.setattr(candidate, "name_in_documents", lambda _own, _old, _new, line: calls.append(line))
    monkeypatch.setattr(candidate, "commit_all", lambda _own, subject, _body: calls.append(subject))
    database: Any = Asked(calls, {before: (VULNERABLE,)})
    assert refresh._refresh(own, talk, database)
    return calls


def test_an_image_s_package_moves_in_its_own_lock(own: Settings, talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = refreshed(own, talk, monkeypatch, "images/open-webui/requirements.lock")
    assert calls == [({"open-webui": ["x"]}, False), [], "- Refresh 1 packages.", "locks: refresh 1 packages"]


def test_the_tools_wait_unless_a_week_is_too_long_and_the_changelog_is_not_about_them(
    own: Settings, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = refreshed(own, talk, monkeypatch, "requirements/tool.lock")
    assert calls == [({}, False), [], ["x"], "", "locks: refresh 1 packages"]
