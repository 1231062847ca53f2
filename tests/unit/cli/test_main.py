from __future__ import annotations

from pathlib import Path

import pytest

from webui_fork.cli import build, main
from webui_fork.core.errors import UsageError


def test_a_user_s_mistake_is_words_and_a_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEBUI_FORK_ROOT", str(tmp_path))
    assert main.main(["build"]) == 3
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "upstream.lock is missing" in said
    assert "nox -s lock" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("verb", ["build", "lock", "patches", "serve"])
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main([verb, "--help"])
    assert caught.value.code == 0
    assert "example: nox -s" in capsys.readouterr().out


def test_ctrl_c_is_said_in_words(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "run", interrupted)
    assert main.main(["build"]) == 130
    assert "the next run goes on" in capsys.readouterr().err


def test_an_error_is_one_red_line_and_its_remedy_below(capsys: pytest.CaptureFixture[str]) -> None:
    error = UsageError("It is off.", why="Because.", remedy="Do this.")
    assert main._report(error, terminal=True) == 2
    assert capsys.readouterr().err == "\033[31merror: It is off.\033[0m\n  Because.\n  Do this.\n"
    main._report(error, terminal=False)
    assert "\033" not in capsys.readouterr().err
