"""What the tests themselves stand on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import faults
import forked
import seconds
import shared
from faults import Case, Outcome
from webui_fork.series import proofs

TESTS = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How busy the machine will seem, time by time; calm after that."""
    steps: list[float] = []
    monkeypatch.setattr(seconds, "busy", lambda: steps.pop(0) if steps else 1.0)
    monkeypatch.setattr("time.sleep", lambda _: None)
    return steps


def test_nothing_imports_the_conftest_of_all() -> None:
    """pytest has it by another name, so there would be two: no run was recorded while its keys stood there."""
    words = re.compile(r"^\s*(from|import) (tests\.)?conftest\b", re.MULTILINE)
    assert not [file.name for file in TESTS.rglob("*.py") if words.search(file.read_text())]


def test_what_fixtures_record_comes_to_the_end_of_the_run(request: pytest.FixtureRequest) -> None:
    plugins = request.config.pluginmanager.get_plugins()
    (own,) = (one for one in plugins if getattr(one, "__file__", None) == str(TESTS / "conftest.py"))
    assert (own.BUILT, own.OTHERS) == (shared.BUILT, shared.OTHERS)


def test_what_runs_a_proof_tells_it_of_the_run() -> None:
    """Else each of its servers starts from nothing: three times the CPU, which nobody notices."""
    assert proofs.environment(TESTS.parent, {shared.RUN: "/of-this-run"})[shared.RUN] == "/of-this-run"


def test_a_tree_is_forked_from_a_server_with_its_own_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(shared.RUN, str(tmp_path))
    for name in ("a" * 64, "b" * 64):
        (tmp_path / name).mkdir()
        (tmp_path / f"tree-{name[0]}").mkdir()
        (tmp_path / f"tree-{name[0]}/root").symlink_to(tmp_path / name)
    (tmp_path / f"{'a' * 12}.sock").touch()
    assert not forked.available(tmp_path / "tree-a")  # before it has the database for them
    (tmp_path / f"{'a' * 12}.db").touch()
    assert forked.available(tmp_path / "tree-a")
    assert not forked.available(tmp_path / "tree-b")


def test_a_try_waits_for_a_calm_moment(calm: list[float]) -> None:
    calm += [3.0, 2.0, 1.1, 9.0]
    seconds.wait_for_calm()
    assert calm == [9.0]
    calm += [5.0] * 3
    seconds.wait_for_calm(0)  # not for ever
    assert calm == [5.0] * 3


@pytest.mark.parametrize(("misses", "passes"), [(0, True), (2, True), (3, False)])
def test_a_promise_in_seconds_may_be_missed_twice(misses: int, passes: bool) -> None:
    names: list[str] = []

    @seconds.thrice
    def promise() -> None:
        names.append(seconds.fresh("x"))
        assert len(names) > misses

    if passes:
        promise()
    else:
        with pytest.raises(AssertionError):
            promise()
    assert len(names) == len(set(names)) == min(misses + 1, 3)


def test_what_is_no_promise_is_not_asked_again() -> None:
    calls: list[int] = []

    @seconds.thrice
    def breaks() -> None:
        calls.append(1)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        breaks()
    assert calls == [1]


def test_a_case_is_asked_until_the_promise_is_kept() -> None:
    case = Case("openai", "fine")
    outcomes = [Outcome(case, None, "late"), Outcome(case, None, "", beside=True), Outcome(case, None, "never asked")]
    assert not faults.thrice(lambda _: outcomes.pop(0), case).wrong
    assert len(outcomes) == 1
    lost = [Outcome(case, None, "", beside=not case.keeps)] * 3
    assert faults.thrice(lambda _: lost.pop(), case).beside is not case.keeps
    assert not lost


def test_needs_are_seen_from_fixtures() -> None:
    assert shared.needs(["tmp_path", "real"]) == set()
    assert shared.needs(["docker_engine", "client", "page", "program"]) == {"engine", "browser", "registry"}
