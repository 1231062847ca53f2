"""The tests mirror the package: a module's tests are where its name says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from webui_fork.core.settings import CHECKOUT

# Modules that only integration tests reach. The list gets shorter, never longer.
UNTESTED = (CHECKOUT / "tests/assets/untested.txt").read_text().split()
PACKAGE, TESTS = CHECKOUT / "build/webui_fork", CHECKOUT / "tests/unit"


def test_every_module_has_its_tests_but_for_those_on_the_list() -> None:
    modules = {f"{file.parent.name}/{file.stem}" for file in PACKAGE.glob("*/[a-z]*.py")}
    tested = {f"{file.parent.name}/{file.stem.removeprefix('test_')}" for file in TESTS.glob("*/test_*.py")}
    assert modules - tested == set(UNTESTED)
    assert tested <= modules


def test_a_room_is_its_modules_and_a_sentence() -> None:
    assert sorted(file.name for file in PACKAGE.glob("*.py")) == ["__init__.py", "__main__.py"]
    rooms = [folder for folder in PACKAGE.iterdir() if (folder / "__init__.py").exists()]
    assert len(rooms) == 15
    for room in rooms:
        sentence = (room / "__init__.py").read_text()
        assert sentence.startswith('"""'), room
        assert sentence.endswith('."""\n'), room
        assert sentence.count("\n") == 1, room
        files = list(room.glob("[a-z]*.py"))
        assert len(files) <= 14 or room.name == "cli", room  # which has one a verb
        # what one can keep in mind
        assert sum(len(file.read_text().splitlines()) for file in files) <= 2600, room


VAGUE = {"found", "made", "there", "here", "said", "asked", "held", "wanted", "known"}


FILES = sorted([*PACKAGE.glob("*/*.py"), *(CHECKOUT / "tests").glob("[!a]*/**/*.py"), CHECKOUT / "noxfile.py"])


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_name_says_what_a_thing_is(file: Path) -> None:
    """A vague name may live for three lines, where one sees what it is."""
    for function in ast.walk(ast.parse(file.read_text())):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        lines: dict[str, list[int]] = {}
        for node in ast.walk(function):
            if isinstance(node, (ast.Name, ast.arg)):
                lines.setdefault(node.id if isinstance(node, ast.Name) else node.arg, []).append(node.lineno)
        assert not [name for name in VAGUE & lines.keys() if max(lines[name]) - min(lines[name]) >= 3], function.name


def test_what_the_threat_model_calls_shown_is_a_test() -> None:
    named = set(re.findall(r"`(test_\w+)`", (CHECKOUT / "docs/threat-model.md").read_text()))
    text = "\n".join(file.read_text() for file in TESTS.parent.rglob("test_*.py"))
    tests = set(re.findall(r"^ *def (test_\w+)", text, re.MULTILINE))
    assert len(named) > 30
    assert named <= tests
