from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

import remote_fix
from helpers import Talk
from remote_fix import CODE, FIXED, World
from webui_fork.cli import backport, main
from webui_fork.core.errors import UsageError
from webui_fork.core.settings import CHECKOUT, Settings


@pytest.fixture
def world(private_settings: Settings, tmp_path: Path) -> World:
    fixed = remote_fix.make(private_settings, tmp_path)
    fixed.put(CODE, FIXED)
    fixed.fix("fix")
    return fixed


def _run(world: World, *words: str) -> None:
    arguments: argparse.Namespace = main.parser("backport").parse_args(["backport", world.last(), *words])
    backport.run(world.settings, Talk(), arguments)


def test_the_list_numbers_the_blocks(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    _run(world, "--list")
    shown = capsys.readouterr().out
    assert shown.startswith(f"block 1: {CODE}:")
    assert "  +    if user.role == ROLE:\n" in shown
    _run(world, "--list", "--json")
    (block,) = json.loads(capsys.readouterr().out)["blocks"]
    assert (block["function"], block["removed"]) == ("delete_user", "")


def test_a_dry_run_says_what_would_become_of_it(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    _run(world, "--onto", "1.2.3", "--subject", "Keep administrators", "--dry-run")
    shown = capsys.readouterr().out
    assert "lines/1.2/patches/keep-administrators.patch" in shown
    assert "Nothing was written" in shown
    _run(world, "--onto", "1.2.3", "--subject", "Keep administrators", "--dry-run", "--json")
    value = json.loads(capsys.readouterr().out)
    assert (value["line"], value["red"], value["left"]) == ("1.2", 0, [])


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--subject", "Keep them"], "--onto is missing"),
        (["--onto", "1.2.3"], "--subject is missing"),
        (["--onto", "1.2.3", "--subject", "Keep them", "--advisory", "CVE-1\n"], "is not an advisory"),
        (["--onto", "1.2.3", "--subject", "Keep them", "--advisory", "GHSA-57q6-fvp4"], "is not an advisory"),
    ],
)
def test_what_is_missing_or_odd_is_said(world: World, words: list[str], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        _run(world, *words)


def test_a_verb_works_in_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WEBUI_FORK_ROOT", str(CHECKOUT))
    assert main.main(["patches", "list", "--line", "0.11", "--json"]) == 0
    names = [patch["name"] for patch in json.loads(capsys.readouterr().out)["patches"]]
    assert "keep-scim-from-deleting-administrators.patch" in names
    assert main.main(["patches", "--line", "0.11", "list", "--json"]) == 0
    assert names == [patch["name"] for patch in json.loads(capsys.readouterr().out)["patches"]]


@pytest.mark.parametrize("name", ["0.1", "../0.11", ".", "/"])
def test_a_line_that_does_not_exist_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEBUI_FORK_ROOT", str(CHECKOUT))
    assert main.main(["build", "--line", name]) == 2
    assert "There is no line" in capsys.readouterr().err


def test_what_is_of_the_whole_checkout_has_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("rebase", "refresh", "pin"):
        with pytest.raises(SystemExit):
            main.main([verb, "--line", "0.11"])
    assert "--line" in capsys.readouterr().err
