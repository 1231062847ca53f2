from __future__ import annotations

import re
from dataclasses import replace

import pytest

from webui_fork.core import settings
from webui_fork.core.settings import CHECKOUT
from webui_fork.rebase import target


def pyproject(asked_for: str) -> bytes:
    return f'[project]\nname = "open-webui"\nrequires-python = "{asked_for}"\n'.encode()


@pytest.mark.parametrize(
    ("asked_for", "python", "fits"),
    [
        (">= 3.11, < 3.13.0a1", "3.11.2", True),
        (">= 3.11, < 3.13.0a1", "3.12.9", True),
        (">= 3.11, < 3.13.0a1", "3.13.0", False),
        (">= 3.12", "3.11.2", False),
        (">= 3.11.4", "3.11.2", False),
        ("", "3.11.2", True),
    ],
)
def test_a_release_says_which_pythons_it_runs_on(asked_for: str, python: str, fits: bool) -> None:
    words = target.left_behind(pyproject(asked_for), "9.0.0", python)
    assert words == ("" if fits else f"Open WebUI 9.0.0 needs Python {asked_for}; the image's base has {python}.")


@pytest.mark.parametrize("text", [b"", b"[project", b"\xff", b"project = 1", pyproject("the newest"), b"[project]\n"])
def test_what_can_t_be_read_decides_nothing(text: bytes) -> None:
    assert target.left_behind(text, "9.0.0", "3.11.2") == ""


def test_the_interpreter_is_the_one_that_is_locked() -> None:
    here = replace(settings.load({"PATH": ""}), root=CHECKOUT)
    assert re.fullmatch(r"3\.11\.\d+", target.interpreter(here))
